"""Every number that a sentence of notebook 06 states: recomputed from the kept results, without the library's tables.
Most are printed beside their sentences."""

import json
from statistics import fmean, stdev

from scipy.stats import t as student
from scipy.stats import ttest_rel

from benchmarks.high_resolution.drawings import FIXED, PERIOD, birds_at
from benchmarks.high_resolution.methods import LOOK, TILE
from benchmarks.high_resolution.runs import FULL
from tasnlib.course.paper_figures import paper_cost
from tasnlib.data.birds import EASY, HARD
from tasnlib.research.ablations.attention_nets import NARROW_SIZE
from tests.course.numbers.claims import Claims
from tests.course.numbers.prose import NOTEBOOKS, read

BOOK = read("06")
# One variant stands in several tables, by different names.
SAME = dict.fromkeys(("structure only", "attention, zoom up to 4"), "trilinear, squared")
PREDICTS = ("master", "downsampled", "downsampled_aliased", "full")
FIVE = range(5)
A, B = (71.0, 65.0, 68.0), (73.0, 66.0, 71.0)  # of section 1
PAIRED = [b - a for a, b in zip(A, B, strict=True)]
PART, DISTILLED, ALONE = "part net, no distillation", "part net and distillation", "structure only"
PRODUCTS = "X Xᵀ X, not normalised"
EQUAL, OWN = "structure only, equal compute", "part net with weights of its own"


def kept():
    """Results by data set, title and seed."""
    found = {}
    for path in sorted((NOTEBOOKS / "ablations" / "laptop").glob("*.json")):
        result = json.loads(path.read_text())
        if result["split"] == "test":
            found[result["dataset"], SAME.get(result["title"], result["title"]), result["seed"]] = result
    return found


RESULTS = kept()


def runs(title, dataset="hard", seeds=range(3)):
    return [RESULTS[dataset, SAME.get(title, title), seed] for seed in seeds]


def accuracies(title, dataset="hard", seeds=range(3), net=None):
    """In percent."""
    shares = [run["accuracy"] for run in runs(title, dataset, seeds)]
    return [100 * next(share[name] for name in (net, *PREDICTS) if name in share) for share in shares]


def mean(title, dataset="hard", seeds=range(3), net=None):
    return fmean(accuracies(title, dataset, seeds, net))


def gain(title, other, dataset="hard", seeds=range(3)):
    return mean(title, dataset, seeds) - mean(other, dataset, seeds)


def measured(name, title, dataset="hard"):
    return fmean(run["attention"][name] for run in runs(title, dataset))


def p_value(title, other, dataset="hard", seeds=range(3)):
    return 100 * ttest_rel(accuracies(title, dataset, seeds), accuracies(other, dataset, seeds)).pvalue


def up_to(zoom, dataset="hard"):
    return mean(f"attention, zoom up to {zoom}", dataset)


def zooms():
    return tuple(value for zoom in (2, 3, 4, 8) for value in (up_to(zoom), zoom))


def costs(title):
    return runs(title)[0]["multiply_adds"]


def differences(title, other, seeds=FIVE):
    return [
        mine - its for mine, its in zip(accuracies(title, seeds=seeds), accuracies(other, seeds=seeds), strict=True)
    ]


def deviation(title, other="trilinear, squared", dataset="easy"):
    return stdev(a - b for a, b in zip(accuracies(title, dataset), accuracies(other, dataset), strict=True))


def narrow(name):
    """A measure of the small network's map, not squared and squared."""
    return measured(name, "trilinear, not squared"), measured(name, "trilinear, squared")


def broad(name):
    """The same of the paper's network, before the norm."""
    return measured(name, "before the norm, s = 7"), measured(name, "before the norm, s = 7, squared")


def looking(stages):
    """Multiply-adds of the attention network at paper size."""
    return paper_cost(stages)["attention_net"]


def place(before, squared, scale, dataset):
    return mean(f"{'before' if before else 'after'} the norm, s = {scale}{', squared' if squared else ''}", dataset)


def before_not_after(dataset):
    pairs = [(squared, scale) for squared in (True, False) for scale in (7, 1)]
    return fmean(place(True, *pair, dataset) - place(False, *pair, dataset) for pair in pairs)


def squared_or_not(dataset):
    pairs = [(before, scale) for before in (True, False) for scale in (7, 1)]
    return fmean(place(b, True, scale, dataset) - place(b, False, scale, dataset) for b, scale in pairs)


LARGE = [json.loads(path.read_text()) for path in sorted((NOTEBOOKS / "high_resolution").glob("*px-*.json"))]
LARGE_COSTS = json.loads((NOTEBOOKS / "high_resolution" / "costs.json").read_text())["sizes"]
PLAN = LARGE[0]["plan"]
QUARTER, WINDOW = "crop at the maximum, 1/4 of the side", "crop at the maximum, 128 px"
STAGES, LOGITS = "TASN, two stages", "maximum over tiles of the logits"


def large(title, size, series="fixed", net="master"):
    """Accuracies in percent, one per seed."""
    kind = [run for run in LARGE if (run["size"], run["title"]) == (size, title) and run["series"] in (series, "both")]
    assert [run["seed"] for run in kind] == [0, 1, 2]
    return [100 * run["accuracy"][net] for run in kind]


def method(title, size=512):
    return next(run["method"] for run in LARGE if (run["title"], run["size"]) == (title, size))


def large_cost(what, title, size=2048):
    return LARGE_COSTS[str(size)][title][what] / (1e6 if what == "multiply_adds" else 1)


def bird_lengths():
    """In pixels, of the fixed series: 1.3 units of 20 to 28 % of 512."""
    return 1.3 * 0.20 * 512, 1.3 * 0.28 * 512


CLAIMS: Claims = {
    # Section 1
    "B's mean is 2 points higher": lambda: (fmean(B) - fmean(A),),
    "± 3 and ± 3.6, is larger": lambda: (stdev(A), stdev(B)),
    "better for every seed, by 2 ± 1.": lambda: stdev(PAIRED) == 1 and (fmean(PAIRED),),
    "here 0.6.": lambda: (stdev(PAIRED) / 3**0.5,),
    "B won three times out of three": lambda: (sum(d > 0 for d in PAIRED),),
    "in one direction or the other, 7 times in 100": lambda: (100 * ttest_rel(B, A).pvalue, 100),
    "more than 4.3 standard errors from 0 with three seeds, and 2.8 with five": lambda: (
        student.ppf(0.975, 2),
        student.ppf(0.975, 4),
    ),
    "asks for a *t* of 14": lambda: (student.ppf(1 - 0.025 / 10, 2),),
    "−13.6 ± 2.3 has *t* = −10": lambda: (
        *(gain("crop at the maximum", "trilinear, squared", "easy"), deviation("crop at the maximum")),
        gain("crop at the maximum", "trilinear, squared", "easy") / (deviation("crop at the maximum") / 3**0.5),
    ),
    "−0.6 ± 0.1 is 6 birds of 1000": lambda: (
        *(gain(PRODUCTS, "mean of the features", "easy"), deviation(PRODUCTS, "mean of the features")),
        *(-10 * gain(PRODUCTS, "mean of the features", "easy"), runs(PRODUCTS, "easy")[0]["test_images"]),
    ),
    "four in ten such tables": lambda: (10 * (1 - 0.95**10),),
    "64 classes": lambda: (HARD.classes,),
    "Chance is 6.3 % on easy birds and 1.6 % on hard ones": lambda: (100 / EASY.classes, 100 / HARD.classes),
    "no stripes gets 25 % and 6.3 %": lambda: (100 / EASY.species, 100 / HARD.species),
    # Sections 3 and 4
    "nearly everything: without it, accuracy is 29 % and 7 %": lambda: (mean("uniform", "easy"), mean("uniform")),
    "the squared maps lie between 86 and 90 %": lambda: (mean("inner softmax only"), mean("mean of the features")),
    "5 or 6 birds of 1000": lambda: (
        *(-10 * gain(title, "mean of the features", "easy") for title in ("inner softmax only", PRODUCTS)),
        runs(PRODUCTS, "easy")[0]["test_images"],
    ),
    "diversity falls from 0.76 to 0.47": lambda: (
        measured("diversity", "one channel of the features"),
        measured("diversity", "one channel, trilinear"),
    ),
    "Attention sampling gets 79 to 97 %": lambda: (up_to(8), up_to(2)),
    "6 points ahead of the squared one on hard birds (p = 2.0 %)": lambda: (
        gain("trilinear, not squared", "trilinear, squared"),
        p_value("trilinear, not squared", "trilinear, squared"),
    ),
    "from 0.43 to 0.53 of it": lambda: narrow("mass"),
    "of mean maps end within 1 point of each other; two of these half-point": lambda: all(
        abs(gain(title, "mean of the features", "easy")) < 1 for title in (PRODUCTS, "inner softmax only")
    ),
    "with both maps squared, it is 3 points behind": lambda: (-gain("trilinear, squared", "mean of the features"),),
    "it gets 63 % (on easy birds 80 and 98 %)": lambda: (
        *(mean("one channel, trilinear"), mean("one channel of the features", "easy")),
        mean("one channel, trilinear", "easy"),
    ),
    "97 with up to 2, 93 with 3, 87 with 4, 79 with 8": zooms,
    "gives 35 % on easy birds, where the genus alone gives 25 %": lambda: (
        mean("aliased downsampling", "easy"),
        100 / EASY.species,
    ),
    "144 × 144 pixels, nine times": lambda: (HARD.image_size, HARD.image_size, (HARD.image_size / 48) ** 2),
    "6 points, for each of three seeds, p = 2.3 %": lambda: (
        gain("aliased downsampling", "uniform", "easy"),
        p_value("aliased downsampling", "uniform", "easy"),
    ),
    "ends at 29.3 %, like *uniform*": lambda: (accuracies("uniform", "easy")[0],),
    "differ by 6 points here, p = 2.3 %": lambda: (
        gain("aliased downsampling", "uniform", "easy"),
        p_value("aliased downsampling", "uniform", "easy"),
    ),
    "sampling is 2 points behind": lambda: (-gain("attention, zoom up to 4, antialiased", "attention, zoom up to 4"),),
    "a period of 3.5 pixels and are seen at a third of the size": lambda: (HARD.stripe_period, 48 / HARD.image_size),
    "magnifies least (3.3, 97 %)": lambda: (measured("magnification", "attention, zoom up to 2"), up_to(2)),
    "near 5.7 lie a zoom of up to 3 with 93 % and one channel's trilinear map with 63 %": lambda: (
        *(measured("magnification", "attention, zoom up to 3"), 3, up_to(3), mean("one channel, trilinear")),
    ),
    "costs 8 times as many": lambda: (costs("full resolution (upper bound)") / costs("attention, zoom up to 4"),),
    "2 points ahead of a zoom of 2": lambda: (gain("full resolution (upper bound)", "attention, zoom up to 2"), 2),
    "may train twice as long": lambda: (runs(EQUAL)[0]["epochs"] / runs(ALONE)[0]["epochs"],),
    # Section 5
    "at most 1 %, the next one 1.25 %, the third 1.7 %": lambda: (5 / 5, 5 / 4, 5 / 3),
    "3.6 points more than structure only, for every one of five seeds": lambda: (
        min(differences(PART, ALONE)) > 0 and (gain(PART, ALONE, seeds=FIVE),)
    ),
    "69 % by its own predictions, where the master net has 90": lambda: (
        *(mean(PART, seeds=FIVE, net="part"), mean(PART, seeds=FIVE)),
    ),
    "see every image twice in each step": lambda: (2,),
    "its own gains 1.3 points": lambda: (gain(OWN, ALONE, seeds=FIVE),),
    "*loses* 1.1 points, again for every seed": lambda: (
        max(differences(DISTILLED, PART)) < 0 and (-gain(DISTILLED, PART, seeds=FIVE),)
    ),
    "a teacher that is right on 68 % pulls a student that is right on 89 %": lambda: (
        *(mean(DISTILLED, seeds=FIVE, net="part"), mean(DISTILLED, seeds=FIVE)),
    ),
    "by 3 to 13 points: 6 on average": lambda: (
        *(min(differences(PART, "T = 1")), max(differences(PART, "T = 1")), gain(PART, "T = 1", seeds=FIVE)),
    ),
    # Sections 6 and 7
    "it takes an eighth of the work, with two a twentieth": lambda: (looking(3) / looking(4), looking(2) / looking(4)),
    "at an eighth of its width and for 72-pixel images": lambda: NARROW_SIZE == 72 and (64 / 512, NARROW_SIZE),
    "12 epochs on easy birds and for 24 on hard ones": lambda: tuple(
        runs("before the norm, s = 7", dataset)[0]["epochs"] for dataset in ("easy", "hard")
    ),
    "these 60 runs": lambda: (sum("the norm, s" in title for _, title, _ in RESULTS),),
    "by 6 points on easy birds and by 14 on hard ones": lambda: (before_not_after("easy"), before_not_after("hard")),
    "asks for 1.25, 1.7, 2.5 and 5 %": lambda: (5 / 4, 5 / 3, 5 / 2, 5),
    "*cost* 6 points on hard birds": lambda: (gain("trilinear, not squared", "trilinear, squared"),),
    "narrow already (0.43 of it in the parts), this one's is broad (0.11, squared 0.16)": lambda: (
        *(narrow("mass")[0], *broad("mass")),
    ),
    "from 2.0 to 2.9, and ours from 6.1 to 7.6": lambda: (*broad("magnification"), *narrow("magnification")),
    "9 points on hard birds and 10 on easy ones, and": lambda: (squared_or_not("hard"), squared_or_not("easy")),
    "5 % of the structure map lies in the parts": lambda: (
        100 * measured("mass", "before the norm, s = 7, squared", "easy"),
    ),
    "puts 40 % there": lambda: (100 * measured("mass", "trilinear, squared", "easy"),),
    "4 points ahead of": lambda: (accuracies("X Xᵀ X, not normalised")[0] - accuracies("inner softmax only")[0],),
    "vary by 12 points between seeds on hard birds": lambda: (stdev(accuracies("before the norm, s = 7, squared")),),
    # Section 9
    "So far an image had 144 pixels": lambda: (EASY.image_size,),
    "a third smaller beside the image, in images of 512, 1024 and 2048 pixels, in two series": lambda: (
        *(1 - birds_at(FIXED, 512).bird_size[0] / EASY.bird_size[0], *PLAN["sizes"]),
    ),
    "at 2048 pixels everything is four times as large as at 512": lambda: (2048, 2048 / 512, 512),
    "133 to 186 pixels long": bird_lengths,
    "a quarter of the image wide or 128 pixels, resized to 64": lambda: (
        *(method(QUARTER, 2048)["window"] / 2048, method(WINDOW, 2048)["window"], method(WINDOW, 2048)["out"]),
    ),
    "the structure image, 64 pixels a side, zoom up to 4 (16 in one row)": lambda: (
        *(method("TASN")["out"], method("TASN")["max_zoom"], method("TASN, zoom up to 16")["max_zoom"]),
    ),
    "TASN samples 128 pixels a side": lambda: (LOOK,),
    "at 64 places a side. The zooms multiply: up to 4 · 4 = 16": lambda: (
        *(method(STAGES)["out"], *[method(STAGES)["max_zoom"]] * 2, method(STAGES)["max_zoom"] ** 2),
    ),
    "one tile of 128 pixels": lambda: (TILE,),
    "the image resized to 128 pixels": lambda: (LOOK,),
    "with 800 birds for 5 epochs, from three seeds, and tested with 300 birds": lambda: (
        *(PLAN["train_images"], PLAN["epochs"], PLAN["test_images"]),
    ),
    "the first 100 birds": lambda: (PLAN["tested_larger"],),
    "repeat every 6 pixels": lambda: (PERIOD,),
    "spreads 64 samples over each side of the image and magnifies up to 4 times": lambda: (
        *(method("TASN")["out"], method("TASN")["max_zoom"]),
    ),
    "all methods but the crop of 128 pixels do as well at 1024 and 2048 pixels as at 512": lambda: all(
        abs(fmean(large(title, size, "growing")) - fmean(large(title, 512))) < 4
        for title in {run["title"] for run in LARGE if run["series"] == "growing"} - {WINDOW}
        for size in (1024, 2048)
    ),
    "TASN is right on 99 % everywhere": lambda: all(
        round(fmean(large("TASN", size, "growing"))) == 99 for size in (512, 1024, 2048)
    ),
    "51, 204 and 815 times as many": lambda: tuple(
        large_cost("multiply_adds", "full resolution", size) / large_cost("multiply_adds", "TASN", size)
        for size in (512, 1024, 2048)
    ),
    "Where the zoom is 4, the 64 samples lie 2 pixels apart at 512 pixels, 4 at 1024, and 8 at 2048: 3, 1.5 and 0.75 "
    "samples to a period": lambda: (4, 64, 512 / 256, 512, 1024 / 256, 1024, 2048 / 256, 2048, 6 / 2, 6 / 4, 6 / 8),
    "28, 60 and 84 % with the three seeds": lambda: tuple(large("TASN", 1024)),
    "A zoom of up to 16 allows 6 samples to a period and gives 83 %. Two stages have the same limit and give 94 %": (
        lambda: (16, 6 * 64 * 16 / 1024, fmean(large("TASN, zoom up to 16", 1024)), fmean(large(STAGES, 1024)))
    ),
    "At 2048 pixels the attention network sees a bird that is 10 pixels long": lambda: (
        *(2048, fmean(bird_lengths()) * LOOK / 2048),
    ),
    "is right on 5, 12 and 10 %; chance is 6 %, and the colours alone would give 25 %, as they do in smaller": lambda: (
        *(*large("TASN", 2048, net="attention"), 100 / EASY.classes, 100 / EASY.species),
    ),
    "TASN gets 12 % (17 in two stages), and a crop of 128 pixels 29": lambda: (
        *(fmean(large("TASN", 2048)), fmean(large(STAGES, 2048)), 128, fmean(large(WINDOW, 2048))),
    ),
    "99 % or more, for 815 times the multiply-adds of TASN": lambda: (
        min(fmean(large("full resolution", 2048, net=net)) for net in ("master", "maximum over tiles of the features")),
        large_cost("multiply_adds", "full resolution") / large_cost("multiply_adds", "TASN"),
    ),
    "With 64 samples, a window of 128 pixels has 3 samples to a period": lambda: (64, 128, PERIOD * 64 / 128),
    "98 % in the fixed series at 1024 pixels, the best of the cheap methods, 4 points ahead of TASN": lambda: (
        *(fmean(large(WINDOW, 1024)), 1024, fmean(large(WINDOW, 1024)) - fmean(large(STAGES, 1024))),
    ),
    "A quarter of that image is 256 pixels, 1.5 samples to a period, and antialiased: 22 %": lambda: (
        *(1 / 4, 256, PERIOD * 64 / 256, fmean(large(QUARTER, 1024))),
    ),
    "128 pixels hold less than half of the bird's length at 1024 pixels, and less than a quarter at 2048: "
    "75 and 37 %": (
        lambda: (
            128 / (2 * bird_lengths()[0]) < 0.5
            and (*(128, 1 / 2, 1024, 1 / 4, 2048), *(fmean(large(WINDOW, size, "growing")) for size in (1024, 2048)))
        )
    ),
    "it gets 91 to 94 % wherever the look finds the bird": lambda: (
        min(means := [fmean(large(STAGES, *kind)) for kind in ((512,), (1024,), (1024, "growing"), (2048, "growing"))]),
        max(means),
    ),
    "a bird is longer than a tile: 79 to 85 %": lambda: (
        bird_lengths()[0] > TILE
        and (
            min(means := [fmean(large("full resolution", size, net=LOGITS)) for size in (512, 1024, 2048)]),
            max(means),
        )
    ),
    "48 pixels takes 1.7 milliseconds at 512 pixels and 11.8 at 2048, with the same network": lambda: (
        *(48, large_cost("milliseconds", "plain, 48 px", 512), 512),
        *(large_cost("milliseconds", "plain, 48 px"), 2048),
    ),
    "with more than twice the multiply-adds, takes 16.5": lambda: (
        large_cost("multiply_adds", "TASN") / large_cost("multiply_adds", "plain, 48 px") > 2
        and (2, large_cost("milliseconds", "TASN"))
    ),
    "nothing was more accurate at any size": lambda: all(
        max(fmean(large("full resolution", size, net=net)) for net in ("master", "maximum over tiles of the features"))
        > max(fmean(large(title, size)) for title in {run["title"] for run in LARGE if run["size"] == size} - {FULL})
        for size in (512, 1024, 2048)
    ),
    "five epochs of 800 birds": lambda: (PLAN["epochs"], PLAN["train_images"]),
    "(94 and 99 % at 512 pixels)": lambda: (fmean(large(STAGES, 512)), fmean(large("TASN", 512)), 512),
    # Summary
    "99 % against 29 % on easy birds, 87 % against 7 % on hard ones": lambda: (
        *(mean("trilinear, squared", "easy"), mean("uniform", "easy"), mean("trilinear, squared"), mean("uniform")),
    ),
    "worth 33 points on hard birds": lambda: (gain("one channel, trilinear", "one channel of the features"),),
    "97 % with up to 2, 93 with 3, 87 with 4, 79 with 8": zooms,
    "The part net gains 3.6 points on hard birds": lambda: (gain(PART, ALONE, seeds=FIVE),),
    "costs 1.1 points with": lambda: (-gain(DISTILLED, PART, seeds=FIVE),),
    "scored 6 and 14 points higher": lambda: (before_not_after("easy"), before_not_after("hard")),
    "gained 9 and 10 points": lambda: (squared_or_not("hard"), squared_or_not("easy")),
    "99 % for one part in 815 of full resolution's": lambda: (
        fmean(large("TASN", 2048, "growing")),
        large_cost("multiply_adds", "full resolution") / large_cost("multiply_adds", "TASN"),
    ),
    "99, 57 and 12 % at 512, 1024 and 2048 pixels": lambda: (
        *(fmean(large("TASN", size)) for size in PLAN["sizes"]),
        *PLAN["sizes"],
    ),
    "it cost 6 on hard birds": lambda: (gain("trilinear, not squared", "trilinear, squared"),),
}
FROM_ELSEWHERE = {
    "the same three seeds": "section 1's example",
    "the same network twice": "an example",
    "so half of the backbone's work": "one image, not two",
    "half-point differences": "printed above: 0.6 and 0.5",
    "at most 5 %.\n\n**Predict": "a convention",
    "a p-value of at most 5 %.": "a convention",
    "at most 5 %/*m*, the next one 5 %/(*m* − 1)": "Holm's rule",
    "5 % for the whole table": "Holm's rule",
    "two kinds of birds, from seeds 0, 1 and 2": "the plan",
    "seeds 3 and 4": "the plan",
    "differs significantly from 4": "the row's name",
    "That a zoom of 2": "the row's name",
    "a zoom of 2 is enough": "the row's name",
    "From 1 to 3 magnification": "the figure",
    "beyond 6 more": "the figure",
    "for one 512 px image": "the paper",
    "keeps 56×56 cells": "the paper's network",
    "3×3 kernels over 512 channels at five": "the paper's network",
    "The inner scale s is 7": "the authors' code",
    "before the norm also 2": "the row's name",
    "about two hours on 2 cores": "timed once",
    "with 1 as well as with 7": "the row's name",
    "gave 85.5 % on": "the authors' port",
    "86.2 % with the part net": "the authors' port",
    "87.0 %. They": "the authors' code",
    "With three seeds and ten rows": "section 1's example",
    "a zoom of up to 2, 3, 4 or 8": "the rows' names",
    "zoom of up to 4 is": "the row's name",
    "deviation is 0.15 of the side": "the sampler's default",
    "a quarter of the image's side": "a zoom of 4",
    "a crop of a sixteenth": "a quarter, squared",
    "five more seeds of each, 3 to 7, gave 33 and 34 % on average": "trained once, not kept: 33.3 and 34.3",
    "about 3 more is better, beyond 6": "the figure",
    "p = 5.8 and 6.2 %": "printed in section 7",
    "ResNet-18 at 512 px": "the profile gpu",
    "At 1024 pixels, the stripes are": "the size above",
    "may be found at 2048 pixels": "the size above",
    "about two hours on 2 cores.\n\nThe stripes": "timed once",
    "[07 · Explore": "a link",
}
