"""Rooms and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.acoustics import colored_noise, fast_length, impulse_responses

WHITE = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 50_000)))


def test_room_keeps_the_direct_sound_in_its_place() -> None:
    decays, ratios = torch.tensor([0.2, 0.1], dtype=torch.float64), torch.tensor([0.25, 0.5], dtype=torch.float64)
    rooms = impulse_responses(WHITE[:2, :3200], decays, ratios, 16000)
    assert rooms[:, 0].tolist() == [1.0, 1.0]
    assert not rooms[:, 1:48].any()
    assert rooms[:, 1:].square().sum(1).tolist() == pytest.approx([0.25, 0.5])
    assert not rooms[1, 1600:].any()
    early, late = rooms[0, 48:1648].square().sum(), rooms[0, 1648:].square().sum()
    assert early > 100 * late  # half of 60 dB in half of the time


def test_colored_noise_has_its_slope() -> None:
    exponents = [0.0, 1.0, 2.0]
    power = torch.fft.rfft(colored_noise(WHITE, torch.tensor(exponents, dtype=torch.float64))).abs().square()
    low, high = power[:, 500:1500].mean(1), power[:, 5000:15000].mean(1)
    assert (low / high).log10().tolist() == pytest.approx(exponents, abs=0.15)


@pytest.mark.parametrize("length", [1, 2, 3, 1000, 1537, 4096, 6145])
def test_fast_length(length: int) -> None:
    fast = fast_length(length)
    assert length <= fast <= max(2 * length, 2)
    while fast % 2 == 0:
        fast //= 2
    assert fast in (1, 3)
