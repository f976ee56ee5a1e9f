"""Weights of a network in a file that the user names."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from multimodal_attn.models.encoders.carried_file import find_file

_WORDS = 30  # of torch's reason, which may list every weight


def read_weights(path: str, name: str) -> dict[str, Tensor]:
    """The state dict in a file in safetensors or torch's format.

    Args:
        path: of the file.
        name: of the network, for errors.

    Raises:
        ValueError: if it is missing, or holds none.
    """
    file = find_file("encoder.weights", path, f"a file with the state dict of {name}, DEFAULT or null")
    try:
        state: Any = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        return dict(state)
    except Exception as error:  # whatever the unpickler stumbles over; torch's advice would be to run the file's code
        raise _misfit(path, name, type(error).__name__) from None


def fill(network: nn.Module, state: dict[str, Tensor], path: str, name: str) -> None:
    """Loads a state dict that was read from ``path``.

    Raises:
        ValueError: if it is not one of this network.
    """
    try:
        network.load_state_dict(state)
    except Exception as error:  # a stranger's state dict may hold anything
        raise _misfit(path, name, " ".join(str(error).split()[:_WORDS])) from None


def _misfit(path: str, name: str, reason: str) -> ValueError:
    return ValueError(
        f"encoder.weights: {path} does not hold the state dict of {name} ({reason}); expected it in safetensors, or as"
        " torch.save writes it"
    )
