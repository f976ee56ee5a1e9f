from __future__ import annotations

import torch
from omegaconf import OmegaConf

from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.runs.build import body_fingerprint, build


def fingerprint(seed: int = 0, **settings: object) -> str:
    torch.manual_seed(seed)
    node = {
        "_target_": "multimodal_attn.models.encoders.image_cnn.ImageCNN",
        "backbone": "squeezenet1_1",
        "layer": "features.2",
        "weights": None,
        "image_size": 64,
        "trainable_from": None,
    }
    config = OmegaConf.create(node | settings)
    encoder = build(config)
    assert isinstance(encoder, PictureEncoder)
    return body_fingerprint(config, encoder)


def test_cached_features_are_those_of_this_body() -> None:
    same = fingerprint()
    assert fingerprint() == same
    assert fingerprint(seed=1) != same  # other weights
    assert fingerprint(layer="features.1") != same  # the same weights, cut before a pooling, which has none
    assert fingerprint(image_size=96) != same


def test_what_follows_the_body_changes_nothing() -> None:
    assert fingerprint(dim=32) == fingerprint(dim=64, dropout=0.5)
