from __future__ import annotations

from typing import Any

import torch

from multimodal_attn.models.encoders.pictures.image_cnn import ImageCNN
from multimodal_attn.models.encoders.text.text_lstm import TextLSTM


def fingerprint(seed: int = 0, **settings: Any) -> str | None:
    torch.manual_seed(seed)
    given = {"backbone": "squeezenet1_1", "layer": "features.2", "weights": None, "image_size": 64} | settings
    return ImageCNN(**{"trainable_from": None} | given).cache_fingerprint()


def test_cached_features_are_those_of_this_body() -> None:
    same = fingerprint()
    assert same is not None
    assert fingerprint() == same
    assert fingerprint(seed=1) != same  # other weights
    assert fingerprint(layer="features.1") != same  # the same weights, cut before a pooling, which has none
    assert fingerprint(image_size=96) != same


def test_two_nodes_after_the_same_layers_are_told_apart() -> None:
    before, after = (fingerprint(backbone="resnet18", layer=f"layer1.0.{node}") for node in ("bn2", "add"))
    assert before != after


def test_what_follows_the_body_changes_nothing() -> None:
    assert fingerprint(dim=32) == fingerprint(dim=64, dropout=0.5)


def test_what_changes_in_training_is_not_to_be_cached() -> None:
    assert fingerprint(trainable_from="all") is None
    assert TextLSTM(5, 4, 4).cache_fingerprint() is None
