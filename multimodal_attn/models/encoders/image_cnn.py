"""Any torchvision classification backbone as an encoder of pictures."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from multimodal_attn.models.encoders.picture import IMAGENET_MEAN, IMAGENET_STD, PictureEncoder


class ImageCNN(PictureEncoder):
    """A torchvision backbone cut at a layer.

    Args:
        backbone: torchvision's name, such as ``resnet18`` or ``efficientnet_b0``.
        layer: the node whose output is the memory, such as ``layer4``.
        weights: a torchvision weights name (``IMAGENET1K_V1``, ``DEFAULT``), the path of a state dict, or None for
            random.
        image_size: side of the square pictures in pixels.
        dim: width D of the memory; None keeps the backbone's channels.
        trainable_from: None freezes the backbone, a part's name fine-tunes from there on, "all" trains everything.
        dropout: on the memory.

    Raises:
        ValueError: for an unknown backbone, layer or weights, or if the layer does not give a grid.
    """

    def __init__(
        self,
        backbone: str,
        layer: str,
        weights: str | None,
        image_size: int,
        dim: int | None = 512,
        trainable_from: str | None = None,
        dropout: float = 0.0,
    ) -> None:
        network, mean, std = _load(backbone, weights)
        nodes = get_graph_node_names(network)[1]
        # A stage's name stands for the last node inside it.
        node = next((n for n in reversed(nodes) if n == layer or n.startswith(layer + ".")), None)
        if node is None:
            raise ValueError(f"encoder.layer: {layer!r} is not in {backbone}; expected one of {_stages(nodes)}")
        body = _GridOf(create_feature_extractor(network, {node: "grid"}))
        with torch.no_grad():
            shape = body.eval()(torch.zeros(1, 3, image_size, image_size)).shape
        if len(shape) != 4:
            raise ValueError(
                f"encoder.layer: {layer!r} of {backbone} gives {len(shape)} axes;"
                " expected a (channels, rows, columns) map"
            )
        super().__init__(
            body,
            shape[1],
            image_size,
            dim,
            dropout=dropout,
            mean=mean,
            std=std,
            trainable_from=trainable_from,
            pretrained=weights is not None,
        )


class _GridOf(nn.Module):
    """Takes the one tensor out of the feature extractor's dictionary."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        # Children keep their torchvision names, so that encoder.trainable_from can speak of them.
        for name, child in extractor.named_children():
            self.add_module(name, child)
        self._extractor = [extractor]  # in a list: registered once, as the children above

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._extractor[0](pictures)["grid"]


def _stages(nodes: list[str]) -> list[str]:
    return list(
        dict.fromkeys(node.split(".")[0] if node.count(".") < 2 else ".".join(node.split(".")[:2]) for node in nodes)
    )


def _load(backbone: str, weights: str | None) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    if backbone not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"encoder.backbone: torchvision has no {backbone!r}; see torchvision.models.list_models()")
    if weights is None:
        return torchvision.models.get_model(backbone, weights=None), IMAGENET_MEAN, IMAGENET_STD
    if Path(weights).is_file():
        network = torchvision.models.get_model(backbone, weights=None)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:
            raise ValueError(
                f"encoder.weights: {weights} does not hold the state dict of a {backbone}: {error}"
            ) from error
        return network, IMAGENET_MEAN, IMAGENET_STD
    choices = torchvision.models.get_model_weights(backbone)
    names = [choice.name for choice in choices]
    if weights != "DEFAULT" and weights not in names:
        raise ValueError(
            f"encoder.weights: {weights!r} is neither a file nor weights of {backbone}; expected one of"
            f" DEFAULT, {', '.join(names)}"
        )
    chosen = choices[weights] if weights != "DEFAULT" else choices.DEFAULT
    preset = chosen.transforms()
    return torchvision.models.get_model(backbone, weights=chosen), tuple(preset.mean), tuple(preset.std)
