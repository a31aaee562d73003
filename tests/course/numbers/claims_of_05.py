"""Every number that a sentence of notebook 05 states: recomputed, or taken from where it is defined. Those of the run
itself are printed beside their sentences."""

import json
import math

from tasnlib.course.plots.published_log import PUBLISHED, PUBLISHED_EPOCHS
from tasnlib.data.birds import EASY
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import learning_rate_at
from tests.course.numbers.claims import Claims, all_code, all_output
from tests.course.numbers.prose import NOTEBOOKS, read

BOOK = read("05")
OUTPUT = all_output(BOOK)
LAPTOP, OFFICIAL = RECIPES["laptop"], RECIPES["official"]
MASTER = dict(zip(PUBLISHED_EPOCHS, PUBLISHED["master"], strict=True))
CUB_TEST_IMAGES = 5794
IN_A_ROW = [f"head {head}, wing {wing}" for wing in ("along", "across") for head in ("along", "across")]
READ_THE_STRIPES = (
    "structure only",
    "part net, no distillation",
    "part net and distillation",
    "full resolution (upper bound)",
)


def plateau():
    """Epochs over which the published log gains less than half a point, before its first step."""
    flat = [
        later - epoch for epoch in MASTER for later in MASTER if later <= 100 and MASTER[later] - MASTER[epoch] < 0.5
    ]
    return max(flat)


def everything_is_near_the_ceiling():
    """Every net that could read the stripes, and from seed to seed by less than a point. By the kept results."""
    accuracies: dict[str, list[float]] = {}
    for path in (NOTEBOOKS / "ablations" / "laptop").glob("*.json"):
        result = json.loads(path.read_text())
        if (result["dataset"], result["split"]) == ("easy", "test") and result["title"] in READ_THE_STRIPES:
            net = "full" if "full resolution" in result["title"] else "master"
            accuracies.setdefault(result["title"], []).append(100 * result["accuracy"][net])
    assert len(accuracies) == len(READ_THE_STRIPES)
    return all(min(seeds) > 98.5 and max(seeds) - min(seeds) < 1 for seeds in accuracies.values())


def padded(batches):
    return batches * OFFICIAL.batch_size


CLAIMS: Claims = {
    "TASN looks twice": lambda: "structure_images  (2, 3, 48, 48)\ndetail_images     (2, 3, 48, 48)" in OUTPUT,
    "one bird of each class, cut out of its image, one genus in each row": lambda: all(
        len({name.split(",")[0] for name in EASY.class_names[row : row + 4]}) == 1 for row in range(0, 16, 4)
    ),
    "From left to right, the head's run along, across, along, across, and the wing's along, along, across, across": (
        lambda: [name.split(", ", 1)[1] for name in EASY.class_names] == 4 * IN_A_ROW
    ),
    "during the first fifth of all steps, the *warm-up*, it rises from 0, and then it falls to 0 again along half a "
    "cosine": lambda: (
        [round(learning_rate_at(LAPTOP, done), 6) for done in (0, 0.1, 0.2, 0.6, 1)] == [0, 0.001, 0.002, 0.001, 0]
    ),
    "the four birds are the four species of one genus": lambda: (
        "[:64:17]" in all_code(BOOK) and [EASY.class_names[i % 16] for i in range(64)[::17]] == [*EASY.class_names[:4]]
    ),
    "barely gained anything in the last two epochs": lambda: "7/8" in OUTPUT and aliased_gain() < 2,
    "*zoom at most 4.0*": lambda: (LAPTOP.max_zoom,),
    "4 × 4 = 16 times the pixels": lambda: (LAPTOP.max_zoom, LAPTOP.max_zoom, LAPTOP.max_zoom**2),
    # On photographs
    "a plateau of sixty epochs": lambda: (plateau(),),
    "a step where the learning rate drops to a tenth": lambda: (
        OFFICIAL.milestones[0] * OFFICIAL.epochs == 100 and MASTER[101] - MASTER[100] > 2
    ),
    "divides by 5,760 or 5,856 images instead of the actual 5,794, because it counts whole batches of 96": lambda: (
        *(padded(CUB_TEST_IMAGES // 96), padded(math.ceil(CUB_TEST_IMAGES / 96)), CUB_TEST_IMAGES, OFFICIAL.batch_size),
    ),
    "by a percent of its value": lambda: max(abs(padded(n) / CUB_TEST_IMAGES - 1) for n in (60, 61)) < 0.0115,
    "good at the task too: 81 % in the end": lambda: (PUBLISHED["attention"][-1],),
    # The box, and the words after it
    "the authors' code multiplies by 7 and squares": lambda: OFFICIAL.structure_power == 2 and (OFFICIAL.scale,),
    "On the `easy` drawn birds every network that can read the stripes is near 100 %, and differences of a few tenths "
    "of a percent": everything_is_near_the_ceiling,
    "weights their losses by a half": lambda: OFFICIAL.own_weight == OFFICIAL.master_weight and (OFFICIAL.own_weight,),
}
FROM_ELSEWHERE = {"CUB-200-2011: 87.9 %, as later papers quote it": "later papers"}


def aliased_gain():
    """In points, from the sixth epoch of eight to the last."""
    lines = [line for line in OUTPUT.splitlines() if line.startswith("epoch") and "downsampled_aliased" in line]
    sixth, last = (float(line.split("downsampled_aliased ")[1].split()[0]) for line in (lines[5], lines[7]))
    return last - sixth
