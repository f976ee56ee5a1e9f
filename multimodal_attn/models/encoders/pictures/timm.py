"""Any backbone of timm (Wightman 2019) as an encoder of pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from multimodal_attn.first_line import first_line
from multimodal_attn.models.encoders.fine_tuning import add_lora, chosen_layers, first_trained
from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.models.encoders.pictures.weights_file import fill, read_weights
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.ranges import Count, DropoutRate, ImageSize, NotNegative, WholeNumber

log = logging.getLogger(__name__)


class TimmPictures(PictureEncoder):
    """A backbone of timm: the maps of a convolutional network or the patches of a transformer, by one contract.

    Colors, layers and license are those of timm's own records.

    Args:
        name: timm's, such as ``vit_small_patch14_dinov2.lvd142m`` or ``resnet50.a1_in1k``.
        weights: "DEFAULT" for those of that name (a download), the path of a state dict, or None for random.
        image_size: side of the square pictures in pixels.
        layers: which of the network's layers (stages of a convolutional network, blocks of a transformer), negative
            from the end; several are joined. Empty for all.
        mix: learn a weight for each layer in place of joining them.
        dim: width D of the memory; None keeps the network's.
        trainable_from: None freezes the network, -n trains its last n blocks, a part's name from there on, "all"
            everything.
        lora_rank: of small matrices that train beside the frozen network's own (extra ``encoders``); 0 for none.
        lr_scale: what the network's parameters get of the learning rate; None for the optimizer's choice.
        dropout: on the memory.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.

    Raises:
        ValueError: if timm or the weights are missing, or its network gives no such maps.
    """

    unfetched: ClassVar = {"weights": None}

    def __init__(
        self,
        name: str,
        weights: str | None,
        image_size: ImageSize,
        layers: Sequence[int] = (-1,),
        mix: bool = False,
        dim: Count | None = 512,
        trainable_from: str | int | None = None,
        lora_rank: WholeNumber = 0,
        lr_scale: NotNegative | None = None,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
    ) -> None:
        network = _network(name, weights, image_size)
        records = network.pretrained_cfg
        stages = network.feature_info
        infos = [stages[n] for n in range(len(stages))] if isinstance(stages, list) else stages.get_dicts()
        blocks = [str(info["module"]) for info in infos]
        chosen = chosen_layers(layers, len(infos), [info["num_chs"] for info in infos], mix)
        if lora_rank:
            add_lora(network, lora_rank, [block.partition(".")[0] for block in blocks])
        body = _Maps(network, chosen, name)
        with torch.no_grad():
            maps = body.eval().maps(torch.zeros(1, 3, image_size, image_size))
        if len({each.shape[2:] for each in maps}) > 1:
            sides = ", ".join(f"{each.shape[2]} x {each.shape[3]}" for each in maps)
            raise ValueError(
                f"encoder.layers: {list(layers)} have maps of {sides} cells; expected layers of one size, or"
                " encoder=streams"
            )
        if weights is not None and records.get("license"):
            log.info("encoder: the weights of %s are under the license %s", name, records["license"])
        super().__init__(
            body,
            sum(each.shape[1] for each in maps),
            image_size,
            dim,
            dropout=dropout,
            mean=tuple(records["mean"]),
            std=tuple(records["std"]),
            trainable_from=_within(first_trained(trainable_from, blocks)),
            pretrained=weights is not None,
            grid=(maps[0].shape[2], maps[0].shape[3]),
            mixed_layers=len(chosen) if mix else 0,
            lora=lora_rank > 0,
            distortion=distortion,
        )
        self.lr_scale = lr_scale if lr_scale is not None or not lora_rank else 1.0
        self.network_name = f"timm {name}, layers {chosen}"


class _Maps(nn.Module):
    """The maps of the chosen layers, (B, channels, rows, columns), their channels joined."""

    def __init__(self, network: nn.Module, layers: Sequence[int], name: str) -> None:
        super().__init__()
        self.network, self.layers, self.name = network, list(layers), name

    def extra_repr(self) -> str:
        return f"{self.name}, layers {self.layers}"

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Of each layer."""
        found: list[Tensor] = self.network.forward_intermediates(  # type: ignore[operator]
            pictures, indices=self.layers, intermediates_only=True, output_fmt="NCHW", norm=True
        )
        return found

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.cat(self.maps(pictures), dim=1)


def _within(part: str | None) -> str | None:
    return part if part in (None, "all") else f"network.{part}"


def _network(name: str, weights: str | None, image_size: int) -> Any:
    """The backbone without its classifier."""
    require_packages("encoder", "encoders", "timm")
    import timm

    # Names with a colon would lead to a folder or to another's repository.
    if ":" in name or not timm.is_model(name):
        near = ", ".join(timm.list_models(f"{name[:6]}*", pretrained=True)[:3])
        raise ValueError(
            f"encoder.name: timm has no {name!r}; expected one of timm.list_models()"
            + (f", such as {near}" if near else "")
        )
    fetched = weights == "DEFAULT"
    try:
        try:  # transformers have positions for one size of pictures, convolutions take any
            network = timm.create_model(name, pretrained=fetched, num_classes=0, img_size=image_size)
        except TypeError:
            network = timm.create_model(name, pretrained=fetched, num_classes=0)
    except Exception as error:  # of the network or of the hub's library
        if not fetched:
            raise ValueError(
                f"encoder.name: timm cannot build {name} for pictures of {image_size} pixels ({first_line(error)});"
                " expected another encoder.name or data.image_size"
            ) from None
        raise ValueError(
            f"encoder.name: the weights of {name} are not here and cannot be fetched ({first_line(error)}); expected a"
            " connection to huggingface.co, encoder.weights=FILE with their state dict, or encoder.weights=null"
        ) from None
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(f"encoder.name: {name} of timm gives no intermediate maps; expected another network")
    if weights is not None and not fetched:
        own, state = network.state_dict(), read_weights(weights, name)
        fill(network, {key: value for key, value in state.items() if key in own}, weights, name)  # without a classifier
    return network
