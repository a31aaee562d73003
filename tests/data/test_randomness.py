"""The random numbers behind the birds, held against published values and an independent reference in plain integers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasnlib.data.randomness import SPLITS, Randomness, hash32, image_keys

BITS64, BITS32, GOLDEN = 2**64 - 1, 2**32 - 1, 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def finaliser(x: int) -> int:
    """SplitMix64's, in Python's own whole numbers, which cannot overflow."""
    for shift, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
        x = ((x ^ (x >> shift)) * multiplier) & BITS64
    return x ^ (x >> 31)


def key_of(seed: int, split: str, index: int) -> int:
    start = finaliser((finaliser((seed + GOLDEN) & BITS64) + SPLITS[split]) & BITS64)
    return finaliser((start + (index + 1) * GOLDEN) & BITS64)


def unxorshift(x: int, shift: int) -> int:
    found = x
    for _ in range(64 // shift):
        found = x ^ (found >> shift)
    return found


def key_whose_first_bits_are(bits: int) -> int:
    """The finaliser run backwards."""
    x = unxorshift(bits, 31)
    for shift, multiplier in zip((27, 30), reversed(MULTIPLIERS), strict=True):
        x = unxorshift(x * pow(multiplier, -1, 2**64) & BITS64, shift)
    return (x - GOLDEN) & BITS64


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """(images, numbers): 2000 images, 60 numbers each."""
    return Randomness(image_keys(0, "train", np.arange(2000))).uniform(0, 1, 60)


def test_the_generator_is_splitmix64_as_published():
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # its first three numbers from state 0
    numbers = Randomness(np.zeros(1, np.uint64)).uniform(0, 1, 3)
    assert numbers.tolist() == [[(bits >> 11) * 2.0**-53 for bits in published]]


def test_keys_are_these_on_every_machine():
    # Another number here is another data set: cached birds, published results and trained models no longer fit.
    assert image_keys(0, "train", np.arange(3)).tolist() == [
        6235967106033911276,
        4964577235801436555,
        5009519748041543987,
    ]
    assert image_keys(7, "test", np.array([10**6])).tolist() == [7110142113866524845]


def test_numbers_are_these_on_every_machine():
    drawn = Randomness(image_keys(0, "train", np.array([0, 1])))
    assert drawn.uniform(0, 1, 2).tolist() == [
        [0.3660577160841394, 0.26405596930022257],
        [0.0852856041626523, 0.9852263775443856],
    ]
    assert drawn.choice(100, 3).tolist() == [[22, 25, 74], [54, 73, 94]]


@given(st.integers(0, 2**64 - 1), st.sampled_from(list(SPLITS)), st.integers(0, 2**62))
def test_keys_and_numbers_agree_with_whole_number_arithmetic(seed, split, index):
    keys = image_keys(seed, split, np.array([index]))
    assert keys.dtype == np.uint64
    assert keys.tolist() == [key_of(seed, split, index)]
    expected = [(finaliser((key_of(seed, split, index) + k * GOLDEN) & BITS64) >> 11) * 2.0**-53 for k in (1, 2, 3)]
    assert Randomness(keys).uniform(0, 1, 3).tolist() == [expected]


def test_no_two_images_share_a_key():
    keys = [image_keys(seed, split, np.arange(4000)) for seed in range(4) for split in SPLITS]
    assert len(np.unique(np.concatenate(keys))) == 4 * 3 * 4000


@given(st.lists(st.integers(0, 199), min_size=1, max_size=20))
def test_an_image_has_the_same_numbers_in_any_company(indices):
    def draw(indices):
        randomness = Randomness(image_keys(3, "val", np.asarray(indices)))
        return [randomness.uniform(-1, 2), randomness.uniform(0, 1, 2, 3), randomness.choice(7, 4)]

    for some, everything in zip(draw(indices), draw(range(200)), strict=True):
        assert (some == everything[indices]).all()


def test_the_kth_number_is_the_kth_however_it_is_asked_for():
    keys = image_keys(0, "train", np.arange(5))
    at_once, in_turn = Randomness(keys).uniform(0, 1, 2, 3), Randomness(keys)
    one_by_one = np.stack([in_turn.uniform(0, 1) for _ in range(6)], axis=1)
    assert (at_once.reshape(5, 6) == one_by_one).all()


def test_numbers_are_uniform_and_independent(many):
    count = many.size
    assert many.min() >= 0
    assert many.max() < 1
    assert abs(many.mean() - 1 / 2) < 5 * (1 / 12 / count) ** 0.5
    assert abs(many.var() - 1 / 12) < 5 * (1 / 180 / count) ** 0.5
    tenths = np.bincount((many * 10).astype(int).ravel(), minlength=10)
    assert ((tenths - count / 10) ** 2 / (count / 10)).sum() < 33  # chi², 9 degrees of freedom: 1 in 10 000
    between_numbers = np.corrcoef(many, rowvar=False)[~np.eye(60, dtype=bool)]
    assert abs(between_numbers).max() < 6 / 2000**0.5
    between_neighbours = np.corrcoef(many[:-1].ravel(), many[1:].ravel())[0, 1]
    assert abs(between_neighbours) < 5 / count**0.5


def test_numbers_fill_the_range_that_was_asked_for(many):
    drawn = Randomness(image_keys(0, "train", np.arange(2000))).uniform(-20, 30, 60)
    assert np.allclose(drawn, -20 + 50 * many, rtol=0, atol=1e-13)


def test_choices_are_balanced_whole_numbers():
    chosen = Randomness(image_keys(1, "train", np.arange(3000))).choice(5, 4)
    counts = np.bincount(chosen.ravel())
    assert chosen.dtype == np.int64
    assert len(counts) == 5
    assert ((counts - 2400) ** 2 / 2400).sum() < 23.5  # chi², 4 degrees of freedom: 1 in 10 000


def test_even_the_largest_number_is_below_the_upper_end():
    keys = np.array([key_whose_first_bits_are(BITS64)], np.uint64)
    assert Randomness(keys).uniform(0, 1).tolist() == [1 - 2.0**-53]
    assert [Randomness(keys).choice(options).item() for options in range(1, 300)] == list(range(299))


def hash32_in_python(x: int) -> int:
    x &= BITS32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & BITS32
    x = ((x ^ (x >> 15)) * 0x046CA68B) & BITS32
    return x ^ (x >> 16)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_hash32_never_overflows(numbers):
    numbers += [0, 1, -1, BITS32, 2**63 - 1, -(2**63)]
    hashed = hash32(torch.tensor(numbers))
    assert hashed.tolist() == [hash32_in_python(number) for number in numbers]
    assert all(0 <= number <= BITS32 for number in hashed.tolist())


def test_hash32_is_one_to_one():
    # xor-shift and multiplying by an odd number can both be undone.
    assert hash32(torch.arange(-(2**18), 2**18)).unique().numel() == 2**19


def test_hash32_spreads_neighbours_evenly():
    hashed = hash32(torch.arange(2**16))
    for shift in (0, 8, 16, 24):
        counts = torch.bincount((hashed >> shift) & 0xFF, minlength=256).double()
        assert ((counts - 256) ** 2 / 256).sum() < 350  # chi², 255 degrees of freedom: 1 in 10 000


def test_every_bit_that_enters_hash32_moves_every_bit_that_leaves_it():
    numbers = torch.arange(2**13)
    for bit in range(32):
        changed = hash32(numbers) ^ hash32(numbers ^ (1 << bit))
        shares = torch.stack([((changed >> out) & 1).double().mean() for out in range(32)])
        assert bool(((shares > 0.35) & (shares < 0.65)).all()), f"bit {bit}: {shares.min():.2f} to {shares.max():.2f}"
