"""How much of a pretrained network trains: nothing, its last blocks, low-rank matrices (LoRA), everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from multimodal_attn.optional_packages import require_packages


def first_trained(trainable_from: str | int | None, blocks: Sequence[str]) -> str | None:
    """The name of the part from which a network trains; a negative number counts its blocks from the end.

    Args:
        trainable_from: as the yaml has it: a name, "all", None for nothing, or -n for the last n blocks.
        blocks: names of the network's blocks, first to last.

    Raises:
        ValueError: for a number that counts no block.
    """
    if not isinstance(trainable_from, int):
        return trainable_from
    if not -len(blocks) <= trainable_from < 0:
        raise ValueError(
            f"encoder.trainable_from: {trainable_from}; expected -1 to -{len(blocks)} for the last blocks,"
            " the name of a part, all, or null"
        )
    return blocks[trainable_from]


def add_lora(network: nn.Module, rank: int, blocks: Sequence[str]) -> None:
    """Freezes a network and puts low-rank matrices, which train, beside the linear layers of its blocks, in place.

    Hu et al. 2022, "LoRA", section 4.1, with alpha twice the rank.

    Args:
        network: which computes the same as before until the matrices have learned.
        rank: of the matrices.
        blocks: names of the network's blocks.

    Raises:
        ValueError: if the package peft is missing, or no block has a linear layer.
    """
    require_packages("encoder.lora_rank", "encoders", "peft")
    import peft

    inside = tuple(f"{block}." for block in blocks)
    targets = [n for n, m in network.named_modules() if isinstance(m, nn.Linear) and n.startswith(inside)]
    if not targets:
        raise ValueError(f"encoder.lora_rank: {rank}; expected 0, as this network's blocks have no linear layers")
    settings: Any = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)
    peft.inject_adapter_in_model(settings, network)  # which freezes all but its own matrices


def chosen_layers(layers: Sequence[int], number: int, widths: Sequence[int], mix: bool) -> list[int]:
    """Which layers of a network the memory is made of, counted from 0.

    Args:
        layers: as the yaml has them, negative from the end; empty for all.
        number: of the network's layers.
        widths: of all of them.
        mix: whether a learned mix of them is asked for.

    Raises:
        ValueError: for a layer that does not exist or is there twice, or layers of unlike width for a mix.
    """
    for layer in layers:
        if not -number <= layer < number:
            raise ValueError(f"encoder.layers: {layer}; expected 0 to {number - 1}, or -1 to -{number} from the end")
    chosen = [layer % number for layer in layers] or list(range(number))
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"encoder.layers: {str(list(layers))[:80]}; expected each layer once")
    if mix and len({widths[layer] for layer in chosen}) > 1:
        raise ValueError(
            f"encoder.mix: true; expected layers of one width, those of encoder.layers have"
            f" {[widths[layer] for layer in chosen]}"
        )
    return chosen


def freeze(body: nn.Module, trainable_from: str | None) -> list[nn.Module]:
    """Stops the gradients of what comes before a part, and returns what is to stay in evaluation mode.

    Args:
        body: the network.
        trainable_from: name of the part; None freezes everything, "all" nothing.

    Raises:
        ValueError: if there is no such part.
    """
    if trainable_from == "all":
        return []
    names = [name for name, _ in body.named_modules() if name]
    if trainable_from is not None and trainable_from not in names:
        top = [name for name in names if name.count(".") <= 1]
        raise ValueError(
            f"encoder.trainable_from: {trainable_from!r} is not a part of the backbone; expected one of {top}"
        )
    body.requires_grad_(False)
    if trainable_from is None:
        return [body]
    frozen, reached = [], False
    for name, module in body.named_modules():
        reached = reached or name == trainable_from
        if reached:
            module.requires_grad_(True)
        elif name and not any(True for _ in module.children()):
            frozen.append(module)
    return frozen
