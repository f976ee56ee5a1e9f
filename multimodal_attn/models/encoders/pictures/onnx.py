"""Any frozen network for pictures that comes as a file of ONNX, as an encoder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from annotated_types import Len

from multimodal_attn.models.encoders.carried_file import CarriedFile, find_file, read_content
from multimodal_attn.models.encoders.pictures.base import IMAGENET_MEAN, IMAGENET_STD, PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.models.encoders.pictures.onnx_network import OnnxNetwork
from multimodal_attn.ranges import Count, DropoutRate, Finite, ImageSize, Positive, WholeNumber

_ADVICE = "a file of ONNX with its weights inside, by its path or as PACKAGE:PATH in an installed package"


class OnnxPictures(PictureEncoder):
    """A network that is run as it comes, up to one of its nodes; it never trains, so its features can be cached.

    The file becomes a part of the checkpoint, so that a trained model needs it no more.

    Args:
        file: its path, or PACKAGE:PATH for one inside of an installed package; None for a checkpoint to fill.
        output: name of the node whose output is the memory: a map, or the patches of a vision transformer.
        image_size: side of the square pictures in pixels.
        sha256: the file's, if it is to be checked.
        mean, std: of each color in [0, 1], as the network expects them.
        dim: width D of the memory; None keeps the channels.
        dropout: on the memory.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.
        network: what building it has found out: ``num_bytes`` of the file; ``channels``, ``rows`` and ``columns``.

    Raises:
        ValueError: if the file or onnxruntime is missing, or the node gives no map.
    """

    no_graph = "runs a graph of its own, which does not go into another"

    def __init__(
        self,
        file: str | None,
        output: str,
        image_size: ImageSize,
        sha256: Annotated[str, Len(64, 64)] | None = None,
        mean: tuple[Finite, Finite, Finite] = IMAGENET_MEAN,
        std: tuple[Positive, Positive, Positive] = IMAGENET_STD,
        dim: Count | None = 512,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
        network: Mapping[str, WholeNumber] | None = None,
    ) -> None:
        if file is not None:
            content = read_content("encoder.file", find_file("encoder.file", file, _ADVICE), sha256)
            carried, shape = CarriedFile(content, len(content)), None
        else:
            missing = {"num_bytes", "channels", "rows", "columns"} - set(network or {})
            if network is None or missing:
                raise ValueError(f"encoder.file: null; expected {_ADVICE}")
            carried = CarriedFile(None, network["num_bytes"])
            shape = (network["channels"], network["rows"], network["columns"])
        body = OnnxNetwork(carried, output, image_size, shape)
        channels, rows, columns = body.shape
        super().__init__(
            body,
            channels,
            image_size,
            dim,
            dropout=dropout,
            mean=mean,
            std=std,
            pretrained=True,
            grid=(rows, columns),
            distortion=distortion,
        )
        self.network_name = f"{file or 'a file of ONNX'}, {output}"
        self._network = {"num_bytes": carried.num_bytes, "channels": channels, "rows": rows, "columns": columns}

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``: the checkpoint holds the file."""
        return {**settings, "file": None}

    def found(self) -> dict[str, Any]:
        """See ``Encoder``."""
        return {"network": self._network}
