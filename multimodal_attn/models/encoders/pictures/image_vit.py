"""torchvision's vision transformers (Dosovitskiy et al. 2021) as encoders of pictures."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import EncoderBlock, interpolate_embeddings

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion
from multimodal_attn.models.encoders.pictures.torchvision_weights import colors_of, find_weights
from multimodal_attn.models.encoders.pictures.weights_file import fill, read_weights
from multimodal_attn.ranges import Count, DropoutRate, ImageSize


class ImageViT(PictureEncoder):
    """The patches of a vision transformer: a cell of the grid is a patch.

    Pictures may be of another size than the weights were trained for: their positions are interpolated.

    Args:
        backbone: torchvision's name: ``vit_b_16``, ``vit_b_32``, ``vit_l_16``, ``vit_l_32`` or ``vit_h_14``. The number
            is the side of a patch in pixels.
        weights: a torchvision weights name (``IMAGENET1K_V1``, ``DEFAULT``), the path of a state dict, or None for
            random.
        image_size: side of the square pictures in pixels; a multiple of the patch.
        class_token: what becomes of the token that knows the whole picture: "drop" it, or "join" its state to that of
            every patch.
        dim: width D of the memory; None keeps the backbone's.
        trainable_from: None freezes the backbone, a part such as ``block8`` fine-tunes from there on, "all" trains
            everything.
        dropout: on the memory.
        distortion: of the pictures in training, and of the versions that a cache keeps; None for none.

    Raises:
        ValueError: for another backbone, unknown weights, or pictures that patches do not tile.
    """

    unfetched: ClassVar = {"weights": None}

    def __init__(
        self,
        backbone: str,
        weights: str | None,
        image_size: ImageSize,
        class_token: Literal["drop", "join"] = "drop",
        dim: Count | None = 512,
        trainable_from: str | None = None,
        dropout: DropoutRate = 0.0,
        distortion: ColorDistortion | None = None,
    ) -> None:
        names = [name for name in torchvision.models.list_models(module=torchvision.models) if name.startswith("vit_")]
        if backbone not in names:
            raise ValueError(f"encoder.backbone: {backbone!r}; expected one of {', '.join(names)}")
        patch = int(backbone.rpartition("_")[2])
        if image_size % patch:
            raise ValueError(f"data.image_size: {image_size}; expected a multiple of {patch}, the patch of {backbone}")
        chosen = find_weights(backbone, weights)
        network = torchvision.models.get_model(backbone, weights=None, image_size=image_size)
        if weights is not None:
            state = dict(chosen.get_state_dict(check_hash=True)) if chosen else read_weights(weights, backbone)
            if "encoder.pos_embedding" in state:
                state = dict(interpolate_embeddings(image_size, patch, state))
            fill(network, state, weights, backbone)
        body = _Patches(network, image_size // patch, class_token == "join")
        mean, std = colors_of(backbone, chosen)
        super().__init__(
            body,
            network.hidden_dim * (2 if class_token == "join" else 1),
            image_size,
            dim,
            dropout=dropout,
            mean=mean,
            std=std,
            trainable_from=trainable_from,
            pretrained=weights is not None,
            distortion=distortion,
        )
        self.network_name = backbone

    def layer_weights(self, pictures: Tensor, lengths: Tensor) -> list[Tensor]:
        """As in ``Encoder``; before the cells comes the class token."""
        assert isinstance(self.body, _Patches)
        return self.body.layer_weights(self.normalize(pictures))


class _Patches(nn.Module):
    """The network without its classifier; its parts are named for encoder.trainable_from.

    Shapes:
        (B, 3, height, width) to (B, channels, rows, rows).
    """

    join: Tensor

    def __init__(self, network: VisionTransformer, rows: int, join: bool) -> None:
        super().__init__()
        self.rows = rows
        self.class_token, self.positions = network.class_token, network.encoder.pos_embedding
        self.patches = network.conv_proj
        self.num_blocks = len(network.encoder.layers)
        for index, block in enumerate(network.encoder.layers):
            self.add_module(f"block{index}", block)
        self.norm = network.encoder.ln
        # In the state, so that a feature cache, which knows the state alone, tells both apart.
        self.register_buffer("join", torch.tensor(join))
        self.joins = join

    def forward(self, pictures: Tensor) -> Tensor:
        tokens = self._tokens(pictures)
        for block in self._blocks():
            tokens = block(tokens)
        whole, cells = self.norm(tokens).split([1, tokens.shape[1] - 1], dim=1)
        if self.joins:
            cells = torch.cat([cells, whole.expand_as(cells)], dim=-1)
        return cells.transpose(1, 2).unflatten(2, (self.rows, self.rows))

    def layer_weights(self, pictures: Tensor) -> list[Tensor]:
        """(B, N, 1 + rows * rows, 1 + rows * rows) of each block."""
        tokens, found = self._tokens(pictures), []
        for block in self._blocks():
            normed = block.ln_1(tokens)
            found.append(block.self_attention(normed, normed, normed, average_attn_weights=False)[1])
            tokens = block(tokens)
        if self.join:  # one more step, in which every cell reads the class token beside itself
            whole = torch.zeros_like(found[0][:, :1, 0]).long()
            found.append(functional.one_hot(whole, tokens.shape[1]).to(found[0]))
        return found

    def _tokens(self, pictures: Tensor) -> Tensor:
        """The class token and the patches, (B, 1 + rows * rows, width)."""
        patches = self.patches(pictures).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1) + self.positions

    def _blocks(self) -> list[EncoderBlock]:
        return [cast(EncoderBlock, self.get_submodule(f"block{index}")) for index in range(self.num_blocks)]
