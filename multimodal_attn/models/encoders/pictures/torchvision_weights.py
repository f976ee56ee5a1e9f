"""Weights of torchvision's backbones, by name or from a file, with the colors that they expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from multimodal_attn.models.encoders.pictures.weights_file import fill, read_weights

Colors = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each color in [0, 1]."""

# These normalize their input anew if told so, which torchvision does for its own weights and no file remembers.
_RENORMALIZING = ("googlenet", "inception_v3")


def find_weights(backbone: str, weights: str | None) -> WeightsEnum | None:
    """The torchvision weights of that name; None for a file or random ones.

    Args:
        backbone: torchvision's name of a classification network.
        weights: a torchvision weights name, the path of a file, or None.

    Raises:
        ValueError: for an unknown backbone or weights.
    """
    if backbone not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(
            f"encoder.backbone: torchvision has no {backbone!r}; expected one of torchvision.models.list_models()"
        )
    if weights is None or Path(weights).expanduser().is_file():
        return None
    choices = torchvision.models.get_model_weights(backbone)
    names = [choice.name for choice in choices]
    if weights != "DEFAULT" and weights not in names:
        raise ValueError(
            f"encoder.weights: {weights!r} is neither a file nor weights of {backbone}; expected one of"
            f" DEFAULT, {', '.join(names)}"
        )
    chosen: WeightsEnum = choices[weights] if weights != "DEFAULT" else choices.DEFAULT
    return chosen


def colors_of(backbone: str, chosen: WeightsEnum | None) -> Colors:
    """What these weights expect; for a file or random ones, what torchvision's default ones do."""
    preset = (chosen or torchvision.models.get_model_weights(backbone).DEFAULT).transforms()
    return tuple(preset.mean), tuple(preset.std)


def load_network(backbone: str, weights: str | None) -> tuple[nn.Module, Colors]:
    """A network with its weights, and the colors that it expects.

    Raises:
        ValueError: for an unknown backbone or weights, or a file that does not fit.
    """
    chosen = find_weights(backbone, weights)
    arguments: dict[str, Any] = {"transform_input": True} if backbone in _RENORMALIZING else {}
    if chosen is None and arguments:
        arguments["init_weights"] = True
    network = torchvision.models.get_model(backbone, weights=chosen, **arguments)
    if weights is not None and chosen is None:
        fill(network, read_weights(weights, backbone), weights, backbone)
    return network, colors_of(backbone, chosen)
