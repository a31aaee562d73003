"""Predictions for folders of images, as rows of a CSV file; a stopped call goes on where it stopped."""

import csv
import glob
import hashlib
import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from tasnlib.data.data_set_folder import is_litter, list_folder
from tasnlib.data.files import cannot_write, first_of, print_text, write_atomically
from tasnlib.data.image_folder import is_image
from tasnlib.runs.prediction import Predictor, prepared
from tasnlib.training.loaders import explained_worker_death, ignore_interrupt

BATCH = 32  # images that are predicted together


def find_images(named: Sequence[str]) -> list[str]:
    """Files by their names or by patterns ("*.jpg"; ** for any depth), and every image in folders, at any depth.

    Hidden ones only if named so. Raises ValueError for a name that leads to nothing, OSError for unreadable folders."""
    found: dict[str, None] = {}  # each once, in order
    for name in named:
        places = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        places = [place for place in places if not any(map(is_litter, {*Path(place).parts} - {*Path(name).parts}))]
        files = [file for place in places for file in (_inside(Path(place)) if Path(place).is_dir() else [place])]
        if not files:
            raise ValueError(f"{name!r} leads to no image; name image files, folders, or patterns such as '*.jpg'")
        found |= dict.fromkeys(files)
    return list(found)


def _inside(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[str]:
    inside, above = list_folder(folder), (*above, folder.resolve())
    yield from (str(folder / file) for file in [*inside.files, *inside.broken] if is_image(file))
    for deeper in (folder / name for name in inside.folders):
        if deeper.resolve() not in above:  # as a link may be
            yield from _inside(deeper, above)


def predict_files(
    predictor: Predictor, names: Sequence[str], table: Path, top: int = 3, views: str = "whole", num_workers: int = 0
) -> None:
    """Append to a CSV file, for each file without a prediction: its `top` most probable classes, or why there are none.

    Each row names the file in full, the model by a hash of its weights, and the views, see `Predictor.shares`. Raises,
    before any work, OSError where the table cannot be written, ValueError where another call is writing it, for other
    columns or rows of another model or other views in it, and for a `top` or `num_workers` that cannot be."""
    if top < 1 or num_workers < 0:
        raise ValueError(f"top is {top} and num_workers {num_workers}; they must be 1 or more, and 0 or more")
    names, top = list(dict.fromkeys(map(os.path.abspath, names))), min(top, len(predictor.class_names))
    model = hashlib.sha256(safetensors.torch.save(predictor.model.state_dict())).hexdigest()[:12]
    columns = ["file", "model", "views", "problem"]
    columns += [f"{what}_{number}" for number in range(1, top + 1) for what in ("class", "share")]
    if table.exists() and not table.is_file():
        raise ValueError(f"{table} is not a regular file; name another file")
    with _appended(table := table.resolve()):  # what a link leads to
        turn = FileLock(table.with_name(f".{table.name}.lock")).acquire(timeout=0)
    with turn, explained_worker_death(num_workers), tqdm(total=len(names), unit=" images") as bar:
        done, problems, start = _rows_done(table, columns, [model, views], set(names)), list[str](), time.perf_counter()
        left: Any = [name for name in names if name not in done]
        bar.update(len(names) - len(left))
        read: Any = partial(_read, size=predictor.image_size)
        for batch in DataLoader(left, BATCH, collate_fn=read, num_workers=num_workers, worker_init_fn=ignore_interrupt):
            images = [image for _, image, _ in batch if image is not None]
            shares = iter(predictor.shares(torch.stack(images), views) if images else ())
            rows = [[name, model, views, problem] for name, _, problem in batch]
            problems += [row[0] for row in rows if row[3]]
            for row in (one for one in rows if not one[3]):
                best = next(shares).topk(top)
                for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                    row += [predictor.class_names[label], f"{share:.4f}"]
            with _appended(table) as writer:
                writer.writerows(rows)
            bar.update(len(batch))
    seconds, before = time.perf_counter() - start, len(names) - len(left)
    print(f"{len(left):,} images in {seconds:.1f} s, {len(left) / seconds:.1f} a second; {before:,} were there before")
    if problems:
        print_text(f"{len(problems):,} of {len(names):,} cannot be read: {first_of(problems, 10)}")


def _read(names: list[str], size: int) -> list[tuple[str, Tensor | None, str]]:
    """In a worker process: each name, with its image, or else with what is wrong with it."""
    found: list[tuple[str, Tensor | None, str]] = []
    for name in names:
        try:
            found.append((name, prepared(name, size), ""))
        except ValueError as reason:
            found.append((name, None, " ".join(str(reason).split())))
    return found


@contextmanager
def _appended(table: Path) -> Iterator[Any]:
    """A writer of rows at the end of the table; raises OSError, saying what to do, where it cannot be written."""
    try:
        with table.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield csv.writer(file)
    except Timeout:
        raise ValueError(f"another call is writing {table}; wait until it ends, or name another file") from None
    except OSError as reason:
        raise cannot_write(table, reason, 0) from reason


def _rows_done(table: Path, columns: list[str], same: list[str], asked: set[str]) -> set[str]:
    """The files with a prediction. Problems to try again and a row cut short are removed; a new table gets a header."""
    text = table.read_bytes().decode("utf-8-sig", "surrogateescape")
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row] or [columns]
    except csv.Error as reason:  # of a quote that is not closed
        raise ValueError(f"{table} is not a table of this command: {reason}; name another file") from reason
    if rows and (not text.endswith("\n") or (len(rows[-1]) < len(columns) and len(rows[-1]) != 4)):
        rows.pop()  # it was cut short
    if header != columns or any(len(row) not in (4, len(columns)) or row[1:3] != same for row in rows):
        expected = f"{', '.join(columns)} with {' and '.join(same)}"
        raise ValueError(f"{table} has other columns, or another model's rows, than {expected}; name another file")
    kept = [row for row in rows if not row[3] or row[0] not in asked]
    csv.writer(whole := io.StringIO(newline="")).writerows([columns, *kept])
    if whole.getvalue() != text:
        write_atomically(table, whole.getvalue().encode("utf-8", "surrogateescape"))
    return {row[0] for row in kept if not row[3]}
