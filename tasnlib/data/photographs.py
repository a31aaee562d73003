"""Photographs in files, handed out as batches: the same for every data set that is a list of files with labels.

Which files cannot be read, and what exactly the data is, is found out once, and remembered.
"""

import contextlib
import copy
import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from filelock import FileLock
from jaxtyping import Int
from PIL import features
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from tasnlib.data.batch import Batch, image_numbers
from tasnlib.data.files import expanded, first_of, print_text, write_atomically
from tasnlib.data.image_file import decode_image, open_image, read_bytes
from tasnlib.data.randomness import image_keys
from tasnlib.data.transforms import augment, augmentation, resize_short_side

GREY = 128  # the value of all pixels of an image that cannot be read


class ImageFiles(Dataset):
    """Images in files, as evaluation sees them: short side to `image_size`, and of that the square in the middle.

    `augmented` gives a copy that hands out training images, each a pure function of (seed, epoch, image). `name` is for
    messages and results. Paths are shown and hashed relative to `root`, by default the folder that contains them all.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        labels: Sequence[int] | Int[Tensor, " images"],
        class_names: Sequence[str],
        image_size: int,
        name: str,
        root: Path | None = None,
    ):
        self.paths = [Path(path) for path in paths]
        self.labels = torch.as_tensor(labels).long()
        self.class_names, self.classes = list(class_names), len(class_names)
        self.image_size, self.name = image_size, name
        if not 0 < len(self.paths) == len(self.labels):
            raise ValueError(f"{name} has {len(self.labels)} labels for {len(self.paths)} paths; each needs one")
        if not 0 <= self.labels.min() <= self.labels.max() < self.classes:
            raise ValueError(f"{name} has labels outside of 0 to {self.classes - 1}, for {self.classes} class_names")
        if len(set(class_names)) < self.classes:
            raise ValueError(f"{name} has class_names that are not all different")
        if not 1 <= image_size <= 2**16:
            raise ValueError(f"image_size is {image_size}; it must be from 1 to {2**16}")
        self.root = Path(root) if root is not None else Path(os.path.commonpath([p.parent for p in self.paths]))
        self.unreadable: frozenset[int] = frozenset()
        self.data_hash: str | None = None  #: of all names, labels and bytes; filled in by `inspected`
        self.style, self.seed = "none", 0

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):  # or a loop over the data set would never end
            raise IndexError(f"index is {index}; it must be from 0 to {len(self) - 1}")
        return self.take([index])

    def take(self, indices: Iterable[int] | Tensor | np.ndarray) -> Batch:
        """The images of these numbers: n is image n % len in epoch n // len, see `Batch`."""
        numbers = image_numbers(indices)
        images = torch.empty(len(numbers), 3, self.image_size, self.image_size, dtype=torch.uint8)
        with torch.random.fork_rng(devices=[]):
            for place, number in enumerate(numbers):
                epoch, image = divmod(number, len(self))
                if image in self.unreadable:
                    images[place] = GREY
                    continue
                of_epoch = int(image_keys(self.seed, "train", np.array([epoch]))[0])
                # Only the CPU's generator: torch.manual_seed would also set those of the caller's GPUs.
                torch.default_generator.manual_seed(int(image_keys(of_epoch, "train", np.array([image]))[0]))
                resized = resize_short_side(open_image(self.paths[image]), self.image_size)
                images[place] = augment(self.style, resized, self.image_size)
        chosen = torch.tensor(numbers) % len(self)
        return Batch(images, self.labels[chosen], chosen)

    __getitems__ = take  # a data loader that finds this method does not collate image by image

    def augmented(self, style: str, seed: int) -> "ImageFiles":
        """A copy that hands out training images of a style of `transforms.augment`."""
        augmentation(style, self.image_size)  # raises for an unknown style
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed}; it must be from 0 to 2^63 - 1")
        return self._with(style=style, seed=seed)

    def subset(self, count: int) -> "ImageFiles":
        """`count` images, evenly spaced, so that classes stay nearly balanced. Inspect it anew for its `data_hash`."""
        if not 1 <= count <= len(self):
            raise ValueError(f"count is {count}; {self.name} allows 1 to {len(self)}")
        chosen = (torch.arange(count) * len(self) + len(self) // 2) // count
        old = chosen.tolist()
        return self._with(
            paths=[self.paths[i] for i in old],
            labels=self.labels[chosen],
            unreadable=frozenset(new for new, i in enumerate(old) if i in self.unreadable),
            data_hash=self.data_hash if count == len(self) else None,
        )

    def inspected(self, workers: int = 8, progress: bool = True, folder: Path | str | None = None) -> "ImageFiles":
        """A copy with `unreadable` and `data_hash` filled in, by decoding every file once, in `workers` threads.

        Prints the names of those that cannot be read. The result is kept in `folder`, for the same names, labels, sizes
        and times of change. Of several processes that call it at once, the first inspects, and the others take its
        result. Raises ValueError where more than half of the files cannot be read.
        """
        names = [path.relative_to(self.root).as_posix() for path in self.paths]
        with contextlib.ExitStack() as turn:
            record = found = None
            if folder is not None:
                reader = [PIL.__version__, features.version("jpg"), features.version("libjpeg_turbo")]
                with ThreadPool(workers) as pool:  # on a network drive many ask faster than one
                    states = pool.map(_state, self.paths, chunksize=256)
                identity = json.dumps([reader, names, self.labels.tolist(), states])
                digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
                record = expanded(folder, "folder") / f"inspection-{len(names)}-{digest}.json"
                with contextlib.suppress(OSError):  # where there can be no lock, none waits
                    record.parent.mkdir(parents=True, exist_ok=True)
                    turn.enter_context(FileLock(record.with_name(f".{record.name}.lock")))
                found = _remembered(record)
            if found is None:
                found = self._inspect(names, workers, progress)
                if record and found.lasting and 2 * len(found.unreadable) <= len(names):
                    try:
                        write_atomically(record, json.dumps(found._asdict(), indent=1).encode())
                    except OSError as reason:
                        print(f"the files were inspected, but that could not be noted for the next run ({reason})")
        if found.unreadable:
            bad = first_of([f"{names[number]} ({reason})" for number, reason in found.unreadable.items()], 10)
            text = f"{self.name}: {len(found.unreadable)} of {len(names)} files cannot be read: {bad}"
            if 2 * len(found.unreadable) > len(names):
                raise ValueError(f"{text}. Is {self.root} the right folder, and its disk in order?")
            print_text(text)
        return self._with(unreadable=frozenset(found.unreadable), data_hash=found.data_hash)

    def _inspect(self, names: list[str], workers: int, progress: bool) -> "Inspection":
        def look(path: Path) -> tuple[str, ValueError | None]:
            sha = "unread"
            try:
                content = read_bytes(path)
                sha = hashlib.sha256(content).hexdigest()
                decode_image(content, path)
            except ValueError as reason:
                return sha, reason
            return sha, None

        whole, unreadable, lasting = hashlib.sha256(), {}, True
        bar = {"desc": f"inspecting {self.name}", "unit": " images", "mininterval": 1, "file": sys.stdout}
        with ThreadPool(workers) as pool:  # Pillow lets go of Python's lock while it decodes
            looked = tqdm(pool.imap(look, self.paths, chunksize=8), total=len(names), disable=not progress, **bar)
            for number, (sha, reason) in enumerate(looked):
                # No name holds a zero byte, so nothing in it can look like its end.
                entry = f"{names[number]}\0{int(self.labels[number])}\0{sha}\0"
                whole.update(entry.encode("utf-8", "surrogateescape"))
                if reason is not None:
                    unreadable[number] = str(reason).replace(str(self.paths[number]), "it")  # its name is printed
                    lasting &= getattr(reason.__cause__, "errno", None) in (None, errno.ENOENT)
        return Inspection(unreadable, whole.hexdigest(), lasting)

    def _with(self, **changes: Any) -> "ImageFiles":
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other


class Inspection(NamedTuple):
    """What opening every file showed."""

    unreadable: dict[int, str]  #: the reason, by the image's index
    data_hash: str  #: sha256 of names, labels and bytes
    lasting: bool = True  #: False where the disk failed, which may pass


def _remembered(record: Path) -> Inspection | None:
    try:
        stored = json.loads(record.read_bytes())
        return Inspection({int(number): str(why) for number, why in stored["unreadable"].items()}, stored["data_hash"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        print(f"{record} cannot be read ({reason}): inspecting the files again")
        return None


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of change, which tell without reading that a file is another one."""
    try:
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    except OSError:
        return None
