"""Draw the overview in the README from a trained run: python docs/make_overview.py runs/NAME"""

import sys
from pathlib import Path

import torch

from tasnlib.course.plots.picture_grids import overview
from tasnlib.data.birds import EASY, Birds
from tasnlib.model import downsample
from tasnlib.training.checkpoints import load_model

model, _ = load_model(Path(sys.argv[1]) / "tasn.safetensors")
birds = Birds.load(EASY, "test", 40)
chosen = [5, 34, 15]
images = birds.images[chosen].float() / 255
with torch.no_grad():
    output = model(images, channel=torch.zeros(len(chosen), dtype=torch.long))
columns = {
    "structure map": output.structure,
    "structure image": output.structure_images,
    "detail image": output.detail_images,
    "downsampled": downsample(images, model.out_size),
}
path = Path(__file__).parent / "overview.png"
overview(images, columns, birds.boxes[chosen]).savefig(path, dpi=80, bbox_inches="tight")
print(path)
