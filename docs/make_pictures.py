"""Take the README's pictures from the notebooks' figures: python docs/make_pictures.py"""

import base64
import io
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).parent.parent
CHOSEN = {  # index of the figure, and the crop as shares: left, top, right, bottom
    "01_bilinear_attention": (0, (0, 0, 1, 0.65)),
    "02_trilinear_attention": (0, (0, 0, 1, 1)),
    "03_attention_sampler": (5, (0, 0, 1, 1)),
    "04_distillation": (1, (0, 0, 1, 1)),
    "05_train_full": (3, (0, 0, 1, 0.5)),
    "06_ablations": (3, (0, 0, 1, 1)),
    "07_explore": (2, (0, 0, 1, 1)),
    "08_photographs": (2, (0, 0.37, 0.62, 0.98)),
}
SIDE = (300, 170)

WHOLE = {"there_and_back": ("03_attention_sampler", "a bird with three boxes")}  # figures by their alternative text


def figures(name: str) -> list[tuple[str, Image.Image]]:
    """The figures of a notebook, with their alternative texts."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        (output.metadata["image/png"]["alt"], Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))))
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


for name, (number, (left, top, right, bottom)) in CHOSEN.items():
    picture = figures(name)[number][1].convert("RGB")
    width, height = picture.size
    picture = picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))
    picture.thumbnail(SIDE)
    frame = Image.new("RGB", SIDE, "white")
    frame.paste(picture, ((SIDE[0] - picture.width) // 2, (SIDE[1] - picture.height) // 2))
    frame.save(ROOT / "docs" / f"{name}.png", optimize=True)
    print(f"docs/{name}.png")
for file, (name, start) in WHOLE.items():
    (picture,) = (picture for alt, picture in figures(name) if alt.startswith(start))
    picture.convert("RGB").save(ROOT / "docs" / f"{file}.png", optimize=True)
    print(f"docs/{file}.png")
