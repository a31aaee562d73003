"""Exercises of notebook 01. Solutions are written as a student would write them."""

import torch

from tasnlib.exercises.checking import Exercise, Mistake


def _features(generator):
    b, c, h, w = (int(torch.randint(2, 7, (), generator=generator)) for _ in range(4))
    return {"features": torch.randn(b, c, h, w + 1, generator=generator).relu()}


def relation(features):
    x = features.flatten(2)  # (b, c, hw)
    return x @ x.transpose(1, 2)  # (b, c, c)


EXERCISES = [
    Exercise(
        name="relation",
        solution=relation,
        inputs=_features,
        mistakes=[
            Mistake(
                "You compared places with places. Compare channels with channels: the answer is (b, c, c).",
                lambda features: features.flatten(2).transpose(1, 2) @ features.flatten(2),
            ),
            Mistake(
                "You summed over the batch as well. Every image has a relation of its own.",
                lambda features: (
                    (features.flatten(2) @ features.flatten(2).mT).sum(0, keepdim=True).expand(len(features), -1, -1)
                ),
            ),
            Mistake(
                "You divided by the number of places. This exercise wants the plain sum.",
                lambda features: features.flatten(2) @ features.flatten(2).mT / features[0, 0].numel(),
            ),
        ],
        properties=[
            (
                "Channel i fires with channel j as much as j with i: the answer equals its transpose.",
                lambda inputs, answer: torch.allclose(answer, answer.mT, atol=1e-4),
            ),
        ],
        hint="Entry (i, j) is the sum over all places of channel i times channel j.",
    ),
]
