"""Out of this project: torch.export and ONNX of the sampler and of a prediction, for any number of images."""

import contextlib
import io
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tasnlib.attention import AttentionNet
from tasnlib.attention_sampler import AttentionSampler
from tasnlib.model import TASN
from tasnlib.networks.small import small_backbone, small_trunk

B = torch.export.Dim("b")


class SampledImages(nn.Module):
    """The sampler with its map as an input."""

    def __init__(self, antialias: bool = False):
        super().__init__()
        self.sampler = AttentionSampler((24, 32), power=2, antialias=antialias)

    def forward(self, images: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        return self.sampler(images, attention).images


class Prediction(nn.Module):
    def __init__(self):
        super().__init__()
        backbone, features = small_backbone()
        trunk = AttentionNet(*small_trunk(), 5, dilations=((1, 2), (1, 2, 3)))
        self.tasn = TASN(trunk, backbone, nn.Linear(features, 5), 48, 48).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.tasn.predict(images)


CASES = {
    "sampler": (SampledImages, [(3, 60, 80), (7, 9)]),
    "antialiased": (lambda: SampledImages(antialias=True), [(3, 60, 80), (7, 9)]),
    "prediction": (Prediction, [(3, 144, 144)]),
}


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    build, shapes = CASES[request.param]
    return build().eval(), lambda images: [torch.rand(images, *shape) for shape in shapes]


def test_exported_programs_take_any_number_of_images(case):
    model, inputs = case
    program = torch.export.export(model, tuple(inputs(2)), dynamic_shapes=tuple({0: B} for _ in inputs(2))).module()
    for images in (1, 3):
        given = inputs(images)
        torch.testing.assert_close(program(*given), model(*given), atol=1e-6, rtol=0)


def test_onnx_gives_the_same_numbers(case, tmp_path):
    model, inputs = case
    if torch.__version__.startswith("2.11.") and any(isinstance(one, nn.AdaptiveMaxPool2d) for one in model.modules()):
        pytest.skip("torch 2.11 cannot write adaptive max pooling, in which the small backbone ends, as ONNX")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.onnx.export(model, tuple(inputs(2)), dynamic_shapes=tuple({0: B} for _ in inputs(2)))
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    everywhere_zero = inputs(3)
    everywhere_zero[-1] = torch.zeros_like(everywhere_zero[-1])
    for given in (inputs(1), inputs(3), everywhere_zero):
        (found,) = session.run(None, {name: one.numpy() for name, one in zip(names, given, strict=True)})
        np.testing.assert_allclose(found, model(*given).numpy(), atol=1e-4)


def test_compiles_without_graph_breaks(case):
    model, inputs = case
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=True)
    for images in (2, 3):
        given = inputs(images)
        torch.testing.assert_close(compiled(*given), model(*given), atol=1e-6, rtol=0)
