"""Any torchvision classification backbone as an encoder of pictures."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.models.encoders.pictures.torchvision_weights import load_network
from multimodal_attn.ranges import Count, DropoutRate, ImageSize

_AFTER_THE_MAP = ("avgpool", "classifier")  # stages that may keep a map's size, and are none of the backbone


class ImageCNN(PictureEncoder):
    """A torchvision backbone cut at a layer.

    Args:
        backbone: torchvision's name, such as ``resnet18`` or ``efficientnet_b0``; ``vit_...`` are for ``ImageViT``.
        layer: the node whose output is the memory, such as ``layer4``; or 32 or 16, for the last stage whose map has
            this stride: 7 x 7 or 14 x 14 cells of a 224-pixel picture, or about as many in older networks.
        weights: a torchvision weights name (``IMAGENET1K_V1``, ``DEFAULT``), the path of a state dict, or None for
            random.
        image_size: side of the square pictures in pixels.
        dim: width D of the memory; None keeps the backbone's channels.
        trainable_from: None freezes the backbone, a part's name fine-tunes from there on, "all" trains everything.
        dropout: on the memory.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.

    Raises:
        ValueError: for an unknown backbone, layer or weights, or if the layer does not give a grid.
    """

    unfetched: ClassVar = {"weights": None}

    def __init__(
        self,
        backbone: str,
        layer: str | Count,
        weights: str | None,
        image_size: ImageSize,
        dim: Count | None = 512,
        trainable_from: str | None = None,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
    ) -> None:
        if backbone.startswith("vit_"):
            raise ValueError(
                f"encoder.backbone: {backbone!r} has patches and no maps; expected encoder=image_vit for it"
            )
        network, (mean, std) = load_network(backbone, weights)
        node, channels_last = find_map(network, layer, image_size, backbone)
        extractor = create_feature_extractor(network, {node: "grid"}, suppress_diff_warning=True)
        body = _GridOf(extractor, channels_last, f"{backbone}, {node}")
        with torch.no_grad():
            _, channels, rows, columns = body.eval()(torch.zeros(1, 3, image_size, image_size)).shape
        super().__init__(
            body,
            channels,
            image_size,
            dim,
            dropout=dropout,
            mean=mean,
            std=std,
            trainable_from=trainable_from,
            pretrained=weights is not None,
            grid=(rows, columns),
            distortion=distortion,
        )
        self.network_name = body.name


class _GridOf(nn.Module):
    """Takes the one tensor out of the feature extractor's dictionary, as (B, channels, rows, columns)."""

    def __init__(self, extractor: nn.Module, channels_last: bool, name: str) -> None:
        super().__init__()
        # Children keep their torchvision names, so that encoder.trainable_from can speak of them.
        for child_name, child in extractor.named_children():
            self.add_module(child_name, child)
        self._extractor = [extractor]  # in a list: registered once, as the children above
        self.channels_last, self.name = channels_last, name

    def extra_repr(self) -> str:
        return self.name

    def forward(self, pictures: Tensor) -> Tensor:
        grid: Tensor = self._extractor[0](pictures)["grid"]
        return grid.permute(0, 3, 1, 2) if self.channels_last else grid


@torch.no_grad()
def find_map(network: nn.Module, layer: str | int, image_size: int, backbone: str) -> tuple[str, bool]:
    """The node that gives the memory, and whether its channels come last, as Swin's do.

    Args:
        network: of torchvision.
        layer: a layer's name or a stride.
        image_size: side of the square pictures in pixels.
        backbone: its name, for the error.

    Raises:
        ValueError: if there is none.
    """
    train_nodes, nodes = get_graph_node_names(network, suppress_diff_warning=True)
    in_both = set(train_nodes)
    stages = _stages(network, nodes)
    if isinstance(layer, int):
        chosen = [stage for stage in stages if stage.split(".")[0] not in _AFTER_THE_MAP]
    else:
        chosen = [layer]
        if _last_inside(layer, nodes) is None:
            raise ValueError(f"encoder.layer: {layer!r} is not in {backbone}; expected 32, 16, or one of {stages}")
    ends = {_last_inside(stage, nodes) for stage in chosen}
    wanted = [node for node in nodes if node in ends and node in in_both]
    extractor = create_feature_extractor(network, {node: node for node in wanted}, suppress_diff_warning=True).eval()
    outputs = extractor(torch.zeros(1, 3, image_size, image_size))
    shapes = {node: _map_shape(output) for node, output in outputs.items()}
    for node in reversed(wanted):
        found = shapes[node]
        if found is not None and (not isinstance(layer, int) or _has_stride(image_size, found[0], layer)):
            return node, found[1]
    if isinstance(layer, int):
        raise ValueError(
            f"encoder.layer: {backbone} has no map of stride {layer} for pictures of {image_size} pixels; expected 32"
            " or 16, another data.image_size, or the name of a layer"
        )
    raise ValueError(f"encoder.layer: {layer!r} of {backbone} gives no (channels, rows, columns) map")


def _stages(network: nn.Module, nodes: list[str]) -> list[str]:
    """Names of the network's parts and, where parts follow each other in a sequence, of the parts of these."""
    sequences = {name for name, part in network.named_children() if isinstance(part, nn.Sequential | nn.ModuleList)}
    stages = [
        ".".join(node.split(".")[:depth])
        for node in nodes
        for depth in ((1, 2) if node.split(".")[0] in sequences else (1,))
    ]
    return list(dict.fromkeys(stages))


def _last_inside(stage: str, nodes: list[str]) -> str | None:
    """A stage's name stands for the last node inside it."""
    return next((node for node in reversed(nodes) if node == stage or node.startswith(stage + ".")), None)


def _map_shape(output: object) -> tuple[int, bool] | None:
    """Rows of a square map and whether its channels come last; None for anything else."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        return None
    _, first, second, third = output.shape
    if second == third:
        return second, False
    return (first, True) if first == second else None


def _has_stride(image_size: int, rows: int, stride: int) -> bool:
    # Networks without padding lose some cells at the borders: to the nearest power of two.
    return round(math.log2(image_size / rows)) == math.log2(stride)
