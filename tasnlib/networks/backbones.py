"""The convolutional networks inside TASN, by name: what recognises (backbone) and what looks (trunk of the attention).

Every network takes images in [0, 1] and normalises them itself, so that an image can be shown, sampled and recognised
without anybody having to remember in which of its forms it is.
"""

import re
from pathlib import Path

from torch import Tensor, nn
from torchvision import models

from tasnlib.arguments import checked, within
from tasnlib.data.files import is_folder
from tasnlib.networks.pretrained import TIMM, headless_network, run_once
from tasnlib.networks.small import small_backbone, small_trunk
from tasnlib.networks.strides import keep_halvings, layers_up_to_the_last_map

__all__ = ["attention_trunk", "classifier_backbone", "small_backbone", "small_trunk", "weights_in_folder"]


@checked
def classifier_backbone(
    name: str, weights: models.WeightsEnum | str | Path | None = "DEFAULT"
) -> tuple[nn.Module, int]:
    """A network without its classifier: images (b, 3, h, w) in [0, 1] to features (b, d). Returns it and d.

    Args:
        name: "small"; any classification network of torchvision ("resnet50", "vgg16", "vit_b_16"); or any of timm, as
            "timm/NAME" or "timm/NAME.TAG", where the tag picks one of several published weights.
        weights: one of torchvision's weights, by name ("DEFAULT", "IMAGENET1K_V1") or as enum; for timm "DEFAULT"; the
            path of a file (.pth or .safetensors: what `network.state_dict()` returns), whose classifier is dropped
            and whose other tensors must fit one by one; or None, for random ones. "small" takes None only.

    Raises:
        ValueError: if there is no network or no weights of that name, or if a file does not fit.
        OSError: if the weights cannot be fetched.
        ImportError: if timm is asked for and not installed.

    >>> import torch
    >>> backbone, dimension = classifier_backbone("mobilenet_v3_small", weights=None)
    >>> dimension, backbone.eval()(torch.rand(2, 3, 64, 64)).shape
    (1024, torch.Size([2, 1024]))
    """
    if name == "small":
        if weights is not None:
            raise ValueError(f"weights is {str(weights)!r}, but no weights are published for 'small'; it must be None")
        return small_backbone()
    normalize, network, size = headless_network(name, weights)
    features = run_once(network, size)
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ValueError(f"name is {name!r}, whose output is no feature vector an image. Choose another, as 'resnet50'")
    return nn.Sequential(normalize, network), features.shape[1]


@checked
def attention_trunk(
    name: str,
    weights: models.WeightsEnum | str | Path | None = "DEFAULT",
    halvings: int = 3,
    leave_out: int = 0,
) -> tuple[nn.Module, int]:
    """A plain convolutional network as trunk: images (b, 3, h, w) in [0, 1] to maps (b, c, h / 2^halvings,
    w / 2^halvings). Returns it and c.

    The trunk is the network's layers up to its last map of the image, with strides set to 1 and no weight changed:

    1. An image is run through, and every layer with a stride (convolution, shortcut, pooling) is put under the
       halvings that it does: the first from h to h/2, the second from h/2 to h/4, and so on. Networks for ImageNet
       have five.
    2. Halvings are taken out: the last one, then the last but two, then the others from the last to the first. So the
       halvings that are left lie apart, and the first two, which make the network affordable, stay longest.
    3. Where a layer's padding was right only for its stride, it is set so that the size stays.

    For "resnet18" and three halvings that is the trunk of the paper's attention network as the authors' code has it:
    the strides of its second and fourth stages are 1, and 224×224 ends as 28×28 instead of 7×7, with 512 channels.
    Nothing is dilated in exchange, so each cell sees less of the image than it was trained to.

    Args:
        name, weights: as of `classifier_backbone`. "small" has a trunk of its own, `small_trunk`.
        halvings: how many are left, 0 to as many as the network has.
        leave_out: so many of its last layers (of a ResNet: stages).

    Raises:
        ValueError: as `classifier_backbone`; if the network is not convolutional, or no chain of layers (ViT, Swin,
            HRNet, Inception); if it has no such number of halvings.
        OSError, ImportError: as `classifier_backbone`.

    >>> import torch
    >>> trunk, channels = attention_trunk("resnet18", weights=None)
    >>> channels, trunk(torch.rand(1, 3, 64, 64)).shape
    (512, torch.Size([1, 512, 8, 8]))
    """
    if name == "small":
        raise ValueError("name is 'small', whose trunk is made by small_trunk()")
    normalize, network, _ = headless_network(name, weights)
    try:
        layers = layers_up_to_the_last_map(network)
        within(leave_out, "leave_out", 0, len(layers) - 1)
        trunk = nn.Sequential(normalize, *layers[: len(layers) - leave_out])
        if isinstance(network, models.DenseNet):  # it applies its last ReLU outside of its layers
            trunk.append(nn.ReLU())
        keep_halvings(trunk, halvings)
    except ValueError as reason:
        raise ValueError(
            f"name is {name!r}, which gives no trunk with {halvings} halvings: {reason}. Plain convolutional networks "
            "do: 'resnet18', 'vgg11', 'mobilenet_v3_small', 'efficientnet_b0', 'convnext_tiny', 'densenet121'"
        ) from reason
    return trunk, run_once(trunk, (64, 64)).shape[1]


@checked
def weights_in_folder(folder: str | Path, name: str) -> Path:
    """The one file of a network's weights in a folder: NAME*.pth or NAME*.safetensors, without "timm/" and any tag.

    Of "vgg16-397923af.pth" and "vgg16_bn-6c64b313.pth" the first is vgg16's.

    Raises:
        ValueError: if there is no such file, or more than one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "resnet18-f37072fd.pth").touch()
    ...     weights_in_folder(folder, "resnet18").name
    'resnet18-f37072fd.pth'
    """
    start = name.removeprefix(TIMM).partition(".")[0]
    if not start:
        raise ValueError(f"name is {name!r}; it must be that of a network, see `classifier_backbone`")
    found_there = sorted(Path(folder).iterdir()) if is_folder(folder) else []
    files = [file for file in found_there if file.name.startswith(start) and file.suffix in (".pth", ".safetensors")]
    if len(files) > 1:  # a longer name is another network's
        files = [path for path in files if re.match(r"[-.]", path.name[len(start) :])]
    if len(files) != 1:
        found = ", ".join(sorted(path.name for path in files)) or "none"
        raise ValueError(
            f"weights is the folder {str(folder)!r}; it must hold one file {start}*.pth or {start}*.safetensors, "
            f"found: {found}"
        )
    return files[0]
