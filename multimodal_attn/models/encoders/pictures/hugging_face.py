"""Picture encoders of Hugging Face: DINOv2 and 3, CLIP, SigLIP, ViT, BEiT and their like."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from multimodal_attn.models.encoders.fine_tuning import add_lora, chosen_layers, first_trained
from multimodal_attn.models.encoders.hugging_face_networks import (
    PICTURES,
    architecture_of,
    blocks_of,
    library,
    missing,
    network_of,
)
from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.ranges import Count, DropoutRate, Finite, ImageSize, NotNegative, Positive, WholeNumber


class HuggingFacePictures(PictureEncoder):
    """The patches of a vision transformer, normalized as its own preprocessing has it.

    Args:
        name: of a repository of huggingface.co, such as ``facebook/dinov2-small``, or of a folder.
        image_size: side of the square pictures in pixels; a multiple of the patch.
        pretrained: take its weights; false for random ones.
        layers: of its hidden states, 0 for the embeddings and -1 for the last, normalized; several are joined. Empty
            for all.
        mix, dim, trainable_from, lora_rank, lr_scale, dropout, distortion: as of ``TimmPictures``.
        architecture: what building it has found out: the network's configuration, and ``colors`` with ``mean`` and
            ``std``.

    Raises:
        ValueError: if transformers or the network are missing, or it is no encoder of pictures.
    """

    unfetched: ClassVar = {"pretrained": False}

    def __init__(
        self,
        name: str,
        image_size: ImageSize,
        pretrained: bool = True,
        layers: Sequence[int] = (-1,),
        mix: bool = False,
        dim: Count | None = 512,
        trainable_from: str | int | None = None,
        lora_rank: WholeNumber = 0,
        lr_scale: NotNegative | None = None,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
        architecture: Mapping[str, Any] | None = None,
        colors: Mapping[str, tuple[Finite | Positive, ...]] | None = None,
    ) -> None:
        self._architecture = dict(architecture) if architecture else architecture_of(name, PICTURES)
        self._colors = {key: tuple(value) for key, value in (colors or _colors(name)).items()}
        network = network_of(self._architecture, PICTURES, name if pretrained else None)
        config: Any = network.config
        patch = int(config.patch_size)
        if image_size % patch:
            raise ValueError(f"data.image_size: {image_size}; expected a multiple of {patch}, the patch of {name}")
        number = config.num_hidden_layers + 1
        chosen = chosen_layers(layers, number, [config.hidden_size] * number, mix)
        blocks = blocks_of(network, config.num_hidden_layers)
        if lora_rank:
            add_lora(network, lora_rank, blocks)
        part = first_trained(trainable_from, blocks)
        side = image_size // patch
        super().__init__(
            _Patches(network, chosen, side),
            config.hidden_size * len(chosen),
            image_size,
            dim,
            dropout=dropout,
            mean=self._colors["mean"],
            std=self._colors["std"],
            trainable_from=part if part in (None, "all") else f"network.{part}",
            pretrained=pretrained,
            grid=(side, side),
            mixed_layers=len(chosen) if mix else 0,
            lora=lora_rank > 0,
            distortion=distortion,
        )
        self.lr_scale = lr_scale if lr_scale is not None or not lora_rank else 1.0
        self.network_name = f"{name}, layers {chosen}"

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``: of the name nothing is read."""
        for key in ("architecture", "colors"):
            if not isinstance(settings.get(key), Mapping):
                raise ValueError(f"encoder.{key}: missing; expected what a checkpoint of this encoder holds")
        return {**settings, "pretrained": False}

    def found(self) -> dict[str, Any]:
        """See ``Encoder``."""
        return {"architecture": self._architecture, "colors": {key: list(value) for key, value in self._colors.items()}}


class _Patches(nn.Module):
    """The patches of the chosen hidden states as maps, (B, channels, rows, rows)."""

    def __init__(self, network: nn.Module, layers: Sequence[int], side: int) -> None:
        super().__init__()
        self.network, self.layers, self.side = network, list(layers), side
        takes = inspect.signature(network.forward).parameters
        self.settings = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}

    def extra_repr(self) -> str:
        return f"layers {self.layers}"

    def forward(self, pictures: Tensor) -> Tensor:
        made = self.network(pictures, output_hidden_states=True, return_dict=True, **self.settings)
        states = [*made.hidden_states[:-1], made.last_hidden_state]
        cells = torch.cat([states[layer][:, -(self.side**2) :] for layer in self.layers], dim=-1)
        return cells.transpose(1, 2).unflatten(2, (self.side, self.side))


def _colors(name: str) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation of each color, as the network's own preprocessing has them."""
    try:
        processor = library().AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
        return {"mean": tuple(processor.image_mean), "std": tuple(processor.image_std)}
    except Exception as error:
        raise missing(name, error) from None
