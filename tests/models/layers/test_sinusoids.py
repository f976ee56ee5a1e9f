"""Positions of transformers."""

from __future__ import annotations

import math

import torch

from multimodal_attn.models.layers.sinusoids import sinusoids


def test_sinusoids_are_those_of_the_paper() -> None:
    values = sinusoids(torch.tensor([0, 1, 7]), 4)
    expected = [[f(position / rate) for rate in (1, 100) for f in (math.sin, math.cos)] for position in (0, 1, 7)]
    torch.testing.assert_close(values, torch.tensor(expected))
