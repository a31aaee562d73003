"""Train TASN on the drawn birds and save what the notebooks load: python data_scripts/make_saved_run.py

Writes notebooks/saved_run/tasn.safetensors (the trained model with its recipe and class names), full.safetensors (a
plain network that sees the whole images, for its class activation maps), result.json (their accuracy, measured from
these files; --measure does only this) and epochs.safetensors: the attention on four test images before training and
after every epoch. Six minutes on two CPU cores.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
import torch
from accelerate.utils import set_seed

from tasnlib.data.birds import EASY, Birds
from tasnlib.data.files import write_atomically
from tasnlib.networks.build import build_plain, build_tasn
from tasnlib.training.checkpoints import load_model, load_recipe, save_weights
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import accuracies, evaluate
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES

FOLDER = Path(__file__).parent.parent / "notebooks" / "saved_run"
CHOSEN = [34, 15, 51, 0]  # of the test images
SEED = 0


def measure() -> None:
    """Test the saved models on 1,000 drawn birds that they were not trained on."""
    recipe = load_recipe(FOLDER / "tasn.safetensors")
    test = Birds.load(EASY, "test", recipe.test_images, folder=FOLDER.parent.parent / "datasets")
    accuracy = {}
    for name in ("tasn", "full"):
        model, _ = load_model(FOLDER / f"{name}.safetensors")
        accuracy |= accuracies(evaluate(model, test, recipe.batch_size), test.labels)
    result = {
        "dataset": "birds",
        "recipe": recipe.name,
        "seed": SEED,
        "accuracy": accuracy,
        "test_images": len(test),
        "test_hash": test.data_hash,
        "recipe_values": asdict(recipe),
    }
    write_atomically(FOLDER / "result.json", (json.dumps(result, indent=1) + "\n").encode())
    print({name: f"{share:.1%}" for name, share in result["accuracy"].items()})


def main() -> None:
    recipe = RECIPES["laptop"]
    data_folder = FOLDER.parent.parent / "datasets"
    train = Birds.load(EASY, "train", recipe.train_images, folder=data_folder)
    test = Birds.load(EASY, "test", recipe.test_images, folder=data_folder)
    images = test.images[CHOSEN]
    set_seed(SEED)
    model = build_tasn(recipe, test.classes)
    looks: list[dict[str, torch.Tensor]] = []

    @torch.no_grad()
    def look(entry: dict | None = None) -> None:
        was_training = model.training
        model.eval()
        output = model(images.float() / 255, channel=torch.zeros(len(CHOSEN), dtype=torch.long))
        model.train(was_training)
        structure_images = (output.structure_images * 255).round().to(torch.uint8)
        looks.append({"structure": output.structure, "structure_images": structure_images})
        if entry:
            print(f"epoch {entry['epoch']}: master right in {entry['accuracy']['master']:.1%}")

    look()
    history, _ = fit(
        *(model, train, test, recipe, SEED, data_folder / "saved_run.training.safetensors", make_accelerator()),
        report=look,
    )
    save_weights(FOLDER / "tasn.safetensors", model, "tasn", recipe, test.class_names)
    kept = {name: torch.stack([one[name] for one in looks]) for name in looks[0]}
    kept |= {"images": images, "labels": test.labels[CHOSEN], "boxes": test.boxes[CHOSEN]}
    for entry in history:  # times differ from run to run
        del entry["seconds"], entry["images_per_second"]
    header = {"history": json.dumps(history), "seed": str(SEED), "recipe": recipe.name}
    write_atomically(FOLDER / "epochs.safetensors", safetensors.torch.save(kept, header))


def main_plain() -> None:
    """The plain network, with TASN's recipe, backbone, seed and number of epochs."""
    recipe, data_folder = RECIPES["laptop"], FOLDER.parent.parent / "datasets"
    train = Birds.load(EASY, "train", recipe.train_images, folder=data_folder)
    test = Birds.load(EASY, "test", recipe.test_images, folder=data_folder)
    set_seed(SEED)
    model = build_plain(recipe, test.classes, "full")
    fit(
        *(model, train, test, recipe, SEED, data_folder / "saved_run.full.safetensors", make_accelerator()),
        report=lambda entry: print(f"epoch {entry['epoch']}: plain right in {entry['accuracy']['full']:.1%}"),
    )
    save_weights(FOLDER / "full.safetensors", model, "full", recipe, test.class_names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the course's saved run anew: notebooks/saved_run is replaced.")
    parser.add_argument("--measure", action="store_true", help="only measure the run that is there")
    if not parser.parse_args().measure:
        main()
        main_plain()
    measure()
