"""What one line of code gains for a frozen network: `attend_and_sample` on photographs, beside the middle of the image.

    python -m benchmarks.frozen --data FOLDER --weights FOLDER [--size 112 224] [--json FILE]

EfficientNet-Lite0 with its ImageNet weights is left as it is; only a linear classifier is trained on its features of
the resized training photographs (24 look-alike classes of the Grocery Store Dataset, 336 px). Weight decay, zoom and
power are chosen on the validation photographs, and the test photographs are looked at once. Ten minutes on one core.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2.functional import center_crop
from tqdm import tqdm

from benchmarks.report import json_file, surroundings
from benchmarks.setting import Setting
from tasnlib.attention_sampler import AttentionSampler, class_activation
from tasnlib.data.grocery import load_grocery
from tasnlib.data.photographs import ImageFiles
from tasnlib.model import downsample
from tasnlib.networks.backbones import classifier_backbone

NETWORK = "timm/tf_efficientnet_lite0"
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2)
LOOKS = [(zoom, power) for zoom in (1.5, 2.0, 3.0, 4.0) for power in (1.0, 2.0)]
BATCH = 32


def batches(data: ImageFiles, title: str) -> Any:
    for start in tqdm(range(0, len(data), BATCH), desc=title, file=sys.stdout, mininterval=5):
        yield data.take(range(start, min(start + BATCH, len(data)))).images.float() / 255


def middle(images: Tensor, size: int) -> Tensor:
    return downsample(center_crop(images, [side // 2 for side in images.shape[2:]]), size)


def linear_probe(features: Tensor, labels: Tensor, decay: float, classes: int) -> nn.Linear:
    """Multinomial logistic regression: convex, so there is no seed."""
    head = nn.Linear(features.shape[1], classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(features), labels) + decay * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head.requires_grad_(False)


def best_probe(train: Tensor, val: Tensor, sets: dict[str, ImageFiles]) -> nn.Linear:
    heads = [linear_probe(train, sets["train"].labels, decay, sets["train"].classes) for decay in DECAYS]
    return max(heads, key=lambda head: (head(val).argmax(1) == sets["val"].labels).sum().item())


@torch.no_grad()
def measure(size: int, sets: dict[str, ImageFiles], weights: str) -> dict[str, Any]:
    backbone, _ = classifier_backbone(NETWORK, weights, size)
    backbone.eval().requires_grad_(False)
    views = {"plain": downsample, "middle": middle}
    features: dict[tuple[str, str], Tensor] = {}
    for split, data in sets.items():
        found: dict[str, list[Tensor]] = {name: [] for name in views}
        for images in batches(data, f"{size} px, {split}"):
            for name, view in views.items():
                found[name].append(backbone(view(images, size)))
        features |= {(name, split): torch.cat(parts) for name, parts in found.items()}
    with torch.enable_grad():
        heads = {name: best_probe(features[name, "train"], features[name, "val"], sets) for name in views}
    network = nn.Sequential(backbone, heads["plain"])

    def looks(split: str, settings: list[tuple[float, float]]) -> dict[tuple[float, float], Tensor]:
        """The probabilities of the sampled image, by zoom and power."""
        parts: dict[tuple[float, float], list[Tensor]] = {setting: [] for setting in settings}
        for images in batches(sets[split], f"{size} px, {split}, second look"):
            attention = class_activation(network, downsample(images, size))
            for zoom, power in settings:
                sampled = AttentionSampler(size, zoom, power)(images, attention).images
                parts[zoom, power].append(network(sampled).softmax(1))
        return {setting: torch.cat(found) for setting, found in parts.items()}

    def right(split: str, probabilities: Tensor) -> Tensor:
        return (probabilities.argmax(1) == sets[split].labels).float()

    def of(name: str, split: str) -> Tensor:
        return heads[name](features[name, split]).softmax(1)

    on_val = looks("val", LOOKS)
    chosen = max(LOOKS, key=lambda one: right("val", of("plain", "val") + on_val[one]).sum().item())
    default = (2.0, 1.0)
    second = looks("test", list(dict.fromkeys((chosen, default))))
    plain = of("plain", "test")
    rows = {
        "plain": plain,
        "the middle half": of("middle", "test"),
        "plain and the middle half": plain + of("middle", "test"),
        "plain and its own middle half": plain + heads["plain"](features["middle", "test"]).softmax(1),
        "the second look alone, as chosen": second[chosen],
        "attend_and_sample, its defaults": plain + second[default],
        "attend_and_sample, as chosen": plain + second[chosen],
    }
    base, result = right("test", plain), {}
    for name, probabilities in rows.items():
        hits = right("test", probabilities)
        difference = hits - base
        result[name] = {
            "accuracy": hits.mean().item(),
            "gain": difference.mean().item(),
            "standard error of the gain": (difference.std() / len(difference) ** 0.5).item(),
        }
    return {"size": size, "zoom and power as chosen": chosen, "test images": len(base), "rows": result}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frozen", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of GroceryStoreDataset")
    parser.add_argument("--weights", required=True, help="a folder with tf_efficientnet_lite0.safetensors, or DEFAULT")
    parser.add_argument("--size", type=int, nargs="+", default=[112, 224])
    parser.add_argument("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    sets = {split: load_grocery(options.data, split, 336, look_alikes=True) for split in ("train", "val", "test")}
    found = [measure(size, sets, options.weights) for size in options.size]
    for one in found:
        zoom, power = one["zoom and power as chosen"]
        print(f"\n{one['size']} px, {one['test images']} test photographs; chosen: zoom {zoom:g}, power {power:g}")
        for name, row in one["rows"].items():
            gain = f"{100 * row['gain']:+5.1f} ± {100 * row['standard error of the gain']:.1f}" if row["gain"] else ""
            print(f"{name:34} {100 * row['accuracy']:5.1f} %   {gain}")
    if options.json:
        about = surroundings(Setting(torch.device("cpu"), "full", "float32"))
        options.json.write_text(json.dumps(about | {"network": NETWORK, "results": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
