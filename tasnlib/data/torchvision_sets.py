"""Data sets that torchvision reads and downloads: it knows their files, splits and hashes.

Maji et al. 2013 (FGVC-Aircraft); Nilsback and Zisserman 2008 (Flowers-102); Parkhi et al. 2012 (Oxford-IIIT Pets);
Bossard et al. 2014 (Food-101); Van Horn et al. 2021 (iNaturalist 2021, whose test labels are not public: its official
validation images are the test set, as everywhere).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torchvision import datasets

from tasnlib.data.data_set_folder import DataSetFolder, distinct_names
from tasnlib.data.files import expanded, is_folder
from tasnlib.data.photographs import ImageFiles


class TorchvisionSet(NamedTuple):
    """How torchvision calls a data set. Where it has a validation split as well, both train the model."""

    title: str
    folder: str  #: that torchvision makes and reads, in the folder that one names
    reader: Callable[..., Any]
    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)


_INAT = TorchvisionSet("iNaturalist 2021", "2021_valid", datasets.INaturalist, ("2021_train",), ("2021_valid",))
SETS = {
    "aircraft": TorchvisionSet("FGVC-Aircraft", "fgvc-aircraft-2013b", datasets.FGVCAircraft, ("trainval",)),
    "flowers102": TorchvisionSet("Flowers-102", "flowers-102", datasets.Flowers102, ("train", "val")),
    "pets": TorchvisionSet("Oxford-IIIT Pets", "oxford-iiit-pet", datasets.OxfordIIITPet, ("trainval",)),
    "food101": TorchvisionSet("Food-101", "food-101", datasets.Food101),
    "inat2021": _INAT,
    "inat2021_mini": _INAT._replace(title="iNaturalist 2021 mini", train=("2021_train_mini",)),
}


def load_torchvision(name: str, folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of one of `SETS`, with labels from 0, the official split ("train" or "test") and class names. `folder`
    is the one above what torchvision unpacks, or that. Raises ValueError for files that it cannot read or that miss."""
    known = SETS[name]
    advice = f"Download it with: python data_scripts/download_torchvision_set.py {name}"
    data_set = DataSetFolder(known.title, f"{known.folder}/, as torchvision unpacks it", advice)
    root = expanded(folder, "folder")
    if root.name == known.folder:
        root = root.parent
    else:
        root = data_set.find(root, split, lambda at: is_folder(at / known.folder), f"no {known.folder}/")
    try:
        parts = [known.reader(root, part) for part in getattr(known, split)]
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as reason:
        raise data_set.error(root, f"torchvision cannot read the images for {split!r} ({reason})") from reason
    found = [_contents(part) for part in parts]
    labels = {file.relative_to(root).as_posix(): label for images, _ in found for file, label in images}
    return data_set.photographs(root, split, labels, found[0][1], image_size, root / known.folder)


def _contents(part: Any) -> tuple[list[tuple[Path, int]], list[str]]:
    """Every image with its label, and the classes' names. torchvision keeps the images under three names."""
    if not isinstance(part, datasets.INaturalist):
        files = part._images if isinstance(part, datasets.OxfordIIITPet) else part._image_files
        return list(zip(map(Path, files), part._labels, strict=True)), [name.replace("_", " ") for name in part.classes]
    kinds = part.all_categories  # 00000_Animalia_..._Lumbricus_terrestris is Lumbricus terrestris
    species = [" ".join(kind.split("_")[-2:]) for kind in kinds]
    images = sorted((Path(part.root, kinds[label], file), label) for label, file in part.index)  # listed as on the disk
    return images, distinct_names(species, kinds)  # a plant and an animal may share a name
