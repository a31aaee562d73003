"""Draw the overview in the README from a trained run: python docs/make_overview.py runs/NAME"""

import sys
from pathlib import Path

import torch

from tasnlib.course import plots
from tasnlib.data.birds import EASY, Birds
from tasnlib.model import downsample
from tasnlib.training.checkpoints import load_model

model, _ = load_model(Path(sys.argv[1]) / "tasn.safetensors")
birds = Birds.load(EASY, "test", 40)
chosen = [5, 34, 15]
images = birds.images[chosen].float() / 255
with torch.no_grad():
    output = model(images, channel=torch.zeros(len(chosen), dtype=torch.long))
figure = plots.sampling_overview(
    *(images, output.structure, output.structure_images, output.detail_images),
    plain_images=downsample(images, model.out_size),
    boxes=birds.boxes[chosen],
)
path = Path(__file__).parent / "overview.png"
plots.save_png(figure, path, largest=1_000_000)
print(path)
