"""Sharing a trained model, as a folder or on the Hugging Face Hub, with a card that says what was measured."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin, snapshot_download

from tasnlib.data.files import expanded, read_json
from tasnlib.runs.prediction import Predictor, load

FILES = ["tasn.safetensors", "result.json", "by_class.json"]
CARD = str(Path(__file__).with_name("model_card.md"))


class SharedModel(Predictor, ModelHubMixin):
    """The TASN in a run's folder: `save_pretrained(FOLDER)`, `push_to_hub(REPOSITORY)`, `from_pretrained(EITHER)`.

    Runs of other seeds alone give the card their accuracies. Raises as `prediction.load`, ValueError for other runs."""

    def __init__(self, folder: str | Path, other_seeds: Sequence[str | Path] = (), device: Any = None):
        self.folder = expanded(folder, "folder")
        loaded = load(self.folder / FILES[0], device)
        super().__init__(loaded.model, loaded.class_names, loaded.image_size)
        own, *others = [expanded(one, "folder") / "result.json" for one in (folder, *other_seeds)]
        self.results = runs = [read_json(path) for path in ([own] if own.is_file() else []) + others]
        same = [(one.get("dataset"), one.get("data"), dict(one.get("recipe_values", {}), weights="")) for one in runs]
        if any(one != same[0] for one in same) or len({one.get("seed") for one in runs}) < len(runs):
            raise ValueError("other_seeds must be runs with other seeds, and with this run's images and recipe")
        self._hub_mixin_config = None  # the recipe is in the file of the weights, and the folder's path is private

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Create the repository if need be, and upload; raises OSError for what the hub answers, or if it does not."""
        with _explained(f"{repo_id} was not uploaded, and {self.folder} is as it was"):
            return super().push_to_hub(repo_id, **options)

    @classmethod
    def from_pretrained(cls, model: str | Path, device: Any = None, **options: Any) -> "SharedModel":  # type: ignore
        """From a folder, or from a repository of the hub; raises OSError as `push_to_hub`."""
        if not (folder := expanded(model, "model")).is_dir():
            with _explained(f"{model} could not be loaded"):
                folder = Path(snapshot_download(str(model), allow_patterns=FILES, **options))
        return cls(folder, device=device)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Into a folder, which is made. `push_to_hub=True` uploads it as well."""
        return super().save_pretrained(expanded(save_directory, "save_directory"), **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        for name in FILES:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, save_directory / name)
            else:  # of a model that was saved there before
                (save_directory / name).unlink(missing_ok=True)
        if (save_directory / "README.md").exists():
            print(f"{save_directory} has a README.md, which stays as it is; delete it first for a card of this model")
        if (result := save_directory / "result.json").is_file():
            public = {name: value for name, value in read_json(result).items() if name != "checkpoint"}  # a path
            result.write_text(json.dumps(public, indent=1))

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """From result.json: data, recipe, the accuracy with each seed, and what was not measured."""
        tags = ["tasn", "fine-grained-recognition"]
        data = ModelCardData(library_name="tasnlib", pipeline_tag="image-classification", tags=tags)
        missing = {net for one in self.results for net, share in one.get("accuracy", {}).items() if share is None}
        return ModelCard.from_template(data, CARD, class_names=self.class_names, results=self.results, missing=missing)


@contextlib.contextmanager
def _explained(failed: str) -> Iterator[None]:
    try:
        yield
    except Exception as reason:  # the hub's own errors, and those of the connection, which have no common type
        said = " ".join(str(reason).split())[:300]
        refused = "401 " in said or "403 " in said  # not in a port
        remedy = "log in (hf auth login), or pass a token" if refused else "check the name, or try again later"
        raise OSError(f"{failed}: {said} What to do: {remedy}") from reason
