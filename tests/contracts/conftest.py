"""Networks of other packages that have no small form of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torchvision
from torch import nn
from torchvision.models import VisionTransformer


@pytest.fixture(autouse=True)
def narrow_vision_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision's with as many layers, and not as wide: the smallest has 88 million weights."""
    original = torchvision.models.get_model

    def get_model(name: str, **settings: Any) -> nn.Module:
        if not name.startswith("vit_"):
            network: nn.Module = original(name, **settings)
            return network
        patch = int(name.rpartition("_")[2])
        return VisionTransformer(settings["image_size"], patch, num_layers=12, num_heads=4, hidden_dim=24, mlp_dim=48)

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
