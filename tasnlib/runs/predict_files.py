"""Predictions for folders of images, as rows of a CSV file; a stopped call goes on where it stopped."""

import csv
import glob
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import safetensors.torch
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from tasnlib.data.data_set_folder import is_litter
from tasnlib.data.files import cannot_read, cannot_write, first_of, print_text
from tasnlib.data.image_folder import is_image
from tasnlib.runs.prediction import Predictor, prepared
from tasnlib.training.loaders import explained_worker_death, ignore_interrupt

BATCH = 32  # images that are predicted together


def find_images(named: Sequence[str]) -> list[str]:
    """Files by their names or by patterns ("*.jpg"; ** for any depth), and every image in folders, at any depth.

    Raises ValueError for a name that leads to nothing, OSError for a folder that cannot be read."""
    found: dict[str, None] = {}  # each once, in order
    for name in named:
        places = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        named_so = set(Path(name).parts)  # also where it is hidden
        places = [place for place in places if not any(map(is_litter, {*Path(place).parts} - named_so))]
        files = [file for place in places for file in (_inside(place) if Path(place).is_dir() else [place])]
        if not files:
            raise ValueError(f"{name!r} leads to no image; name image files, folders, or patterns such as '*.jpg'")
        found |= dict.fromkeys(files)
    return list(found)


def _inside(folder: str) -> Iterator[str]:
    def unreadable(reason: OSError) -> None:
        raise cannot_read(reason.filename, reason) from reason

    for at, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        yield from (str(Path(at, file)) for file in sorted(files) if is_image(file) and not is_litter(file))


def predict_files(
    predictor: Predictor, names: Sequence[str], table: Path, top: int = 3, views: str = "whole", num_workers: int = 0
) -> None:
    """Append to a CSV file, for every name without a row: its `top` most probable classes, or why it cannot be read.

    Each row names the model, by a hash of its weights, and the views, see `Predictor.shares`. Prints images a second
    and the files that cannot be read. Raises, before any work, OSError where the table cannot be written, ValueError
    where it has other columns, or rows of another model or other views."""
    top = max(1, min(top, len(predictor.class_names)))
    model = hashlib.sha256(safetensors.torch.save(predictor.model.state_dict())).hexdigest()[:12]
    columns = ["file", "model", "views", "problem"]
    columns += [f"{what}_{number}" for number in range(1, top + 1) for what in ("class", "share")]
    try:
        file = table.open("a+", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as reason:
        raise cannot_write(table, reason, 0) from reason
    with file, explained_worker_death(num_workers), tqdm(total=len(names), unit=" images") as bar:
        problems = _rows_done(file, table, columns, [model, views])
        left, rows, start = [name for name in names if name not in problems], csv.writer(file), time.perf_counter()
        bar.update(len(names) - len(left))
        read: Any = partial(_read, size=predictor.image_size)
        options = {"collate_fn": read, "num_workers": num_workers, "worker_init_fn": ignore_interrupt}
        for batch in DataLoader(left, BATCH, **options):  # type: ignore[arg-type]
            images = [image for _, image, _ in batch if image is not None]
            shares = iter(predictor.shares(torch.stack(images), views) if images else ())
            for name, image, problem in batch:
                row, problems[name] = [name, model, views, problem], problem
                if image is not None:
                    best = next(shares).topk(top)
                    for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                        row += [predictor.class_names[label], f"{share:.4f}"]
                rows.writerow(row)
            file.flush()
            bar.update(len(batch))
    seconds, before = time.perf_counter() - start, len(names) - len(left)
    print(f"{len(left):,} images in {seconds:.1f} s, {len(left) / seconds:.1f} a second; {before:,} were there before")
    if unreadable := [name for name in names if problems[name]]:
        print_text(f"{len(unreadable):,} of {len(names):,} cannot be read: {first_of(unreadable, 10)}")


def _read(names: list[str], size: int) -> list[tuple[str, Tensor | None, str]]:
    """In a worker process: each name, with its image, or else with what is wrong with it."""
    found: list[tuple[str, Tensor | None, str]] = []
    for name in names:
        try:
            found.append((name, prepared(name, size), ""))
        except ValueError as reason:
            found.append((name, None, " ".join(str(reason).split())))
    return found


def _rows_done(file: TextIO, table: Path, columns: list[str], same: list[str]) -> dict[str, str]:
    """The problem, or "", of each file that has a row. A row cut short is removed; a new table gets its header."""
    file.seek(0)
    text = file.read()
    whole = text[: text.rfind("\n") + 1]
    header, *rows = [*csv.reader(whole.splitlines(keepends=True))] or [columns]
    if header != columns or (text and not whole) or any(row[1:3] != same for row in rows):
        expected = f"{', '.join(columns)} with {' and '.join(same)}"
        raise ValueError(f"{table} has other columns, or another model's rows, than {expected}; name another file")
    file.truncate(len(whole.encode("utf-8", "surrogateescape")))
    if not whole:
        csv.writer(file).writerow(columns)
    return {row[0]: row[3] for row in rows}
