"""Training images are pure functions of (seed, epoch, image)."""

import pickle

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tasnlib.data.inspection import inspected
from tasnlib.data.photographs import ImageFiles
from tests.data.photo_sets import photograph, spoil

SIZES = [(60, 40), (40, 60), (48, 48), (33, 90), (300, 40), (20, 24), (41, 40)]


@pytest.fixture
def birds(tmp_path) -> ImageFiles:
    folder = tmp_path / "작은 새 사진"
    paths = [folder / f"{'굴뚝새' if i % 2 else 'a wren'} {i}.jpg" for i in range(len(SIZES))]
    folder.mkdir()
    for number, (path, size) in enumerate(zip(paths, SIZES, strict=True)):
        photograph(*size, number).save(path, quality=90)
    return ImageFiles(paths, [0, 0, 0, 1, 1, 1, 1], ["robin", "wren"], 32, "birds, train")


# -- A data set --------------------------------------------------------------------------------------------------------


def test_evaluation_form_labels_and_end(birds):
    batch = birds.take(range(7))
    assert batch.images.shape == (7, 3, 32, 32)
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    for number, single in enumerate(birds):  # ends by itself
        assert torch.equal(single.images[0], batch.images[number])
    assert number == 6
    assert torch.equal(birds.take([9]).images, batch.images[2:3])  # the second pass
    with pytest.raises(IndexError, match="index is 7; it must be from 0 to 6"):
        birds[7]
    for wrong in ([3, -1], [], [2**70]):
        with pytest.raises(ValueError, match="indices must be"):
            birds.take(wrong)
    with pytest.raises(TypeError):
        birds.take([0.5])


@pytest.mark.parametrize("style", ["official", "modern"])
def test_a_training_image_is_a_function_of_seed_epoch_and_image(birds, style):
    training = birds.augmented(style, seed=5)
    everything = training.take(range(21))
    assert everything.indices.tolist() == list(range(7)) * 3
    torch.manual_seed(1)  # the caller's generator plays no part, and is left alone
    state = torch.random.get_rng_state()
    for numbers in ([20], [3, 0, 3], list(range(20, -1, -1))):
        assert torch.equal(training.take(numbers).images, everything.images[numbers])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(birds.subset(7).augmented(style, seed=5).take(range(21)).images, everything.images)
    loader = DataLoader(training, batch_size=4, sampler=list(range(21)), num_workers=2, collate_fn=lambda batch: batch)
    assert torch.equal(torch.cat([batch.images for batch in loader]), everything.images)
    # Another epoch, another seed, another image: another picture.
    assert len({picture.numpy().tobytes() for picture in everything.images}) == 21
    assert (birds.augmented(style, seed=6).take(range(21)).images != everything.images).flatten(1).any(1).all()
    assert torch.equal(birds.augmented("none", seed=5).take(range(21)).images, birds.take(range(21)).images)


def test_two_images_with_the_same_pixels_are_augmented_apart(tmp_path):
    photograph(40, 40, 0).save(tmp_path / "one.png")
    twice = ImageFiles([tmp_path / "one.png"] * 2, [0, 0], ["one"], 40, "twice").augmented("official", 0)
    assert not torch.equal(*twice.take([0, 1]).images)


def test_an_unreadable_image_is_named_or_grey(birds):
    spoil(birds.paths[4], "truncated")
    with pytest.raises(ValueError, match=birds.paths[4].name):
        birds.take([4])
    found = inspected(birds, workers=2, progress=False)
    assert (found.unreadable, birds.unreadable) == (frozenset({4}), frozenset())
    for data in (found, found.augmented("official", 0)):
        assert (data.take([4, 11]).images == 128).all()
        assert torch.equal(data.take([4]).labels, torch.tensor([1]))
    assert torch.equal(found.take([3]).images, birds.take([3]).images)


def test_subsets_are_balanced_and_keep_what_belongs_to_each_image(tmp_path):
    paths = []
    for number in range(60):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (8, 8), (number, 0, 0)).save(paths[-1])
    data = ImageFiles(paths, [i // 12 for i in range(60)], list("abcde"), 8, "sixty")
    data.unreadable = frozenset(range(0, 60, 2))
    some = data.subset(25)
    assert torch.bincount(some.labels).tolist() == [5] * 5
    chosen = torch.tensor([paths.index(path) for path in some.paths])
    assert some.unreadable == frozenset((chosen % 2 == 0).nonzero()[:, 0].tolist())
    seen = some.subset(11).take(range(11)).images[:, 0, 0, 0]  # a subset of a subset
    for path, value in zip(some.subset(11).paths, seen.tolist(), strict=True):
        assert value == (paths.index(path) if paths.index(path) % 2 else 128)
    with pytest.raises(ValueError, match="count is 61; sixty allows 1 to 60"):
        data.subset(61)


def test_a_data_set_can_be_pickled(birds):
    training = birds.augmented("modern", 3)
    sent = pickle.loads(pickle.dumps(training))
    assert torch.equal(sent.take(range(7)).images, training.take(range(7)).images)


def test_what_does_not_fit_together_is_rejected(tmp_path):
    for number, changes in enumerate(
        [
            {"paths": [], "labels": []},
            {"labels": [0]},
            {"labels": [0, 2]},
            {"labels": [-1, 0]},
            {"class_names": ["x", "x"]},
            {"image_size": 0},
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = {"paths": [folder / "a", folder / "b"], "labels": [0, 1], "class_names": ["x", "y"], "image_size": 24}
        with pytest.raises(ValueError):  # noqa: PT011
            ImageFiles(**{**given, "name": "birds", **changes})


def test_bad_styles_and_seeds_are_rejected(birds):
    for style, seed in (("autumn", 0), ("official", -1), ("official", 2**63)):
        with pytest.raises(ValueError, match="it must be"):
            birds.augmented(style, seed)
