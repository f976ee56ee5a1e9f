"""Sound that comes in pieces is resampled as the whole is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.data.reading.audio import resample
from multimodal_attn.data.reading.resampler import Resampler


@pytest.mark.parametrize("rate", [8_000, 48_000, 44_100, 22_050, 16_000])
@pytest.mark.parametrize("size", [37, 160, 7777])
def test_pieces_become_what_the_whole_does(rate: int, size: int) -> None:
    samples = np.random.default_rng(0).normal(size=30_011).astype(np.float32)
    made, longest = Resampler(rate, 16_000), 0
    pieces = []
    for start in range(0, len(samples), size):
        pieces.append(made(samples[start : start + size]))
        longest = max(longest, len(made._kept))
    whole = resample(torch.from_numpy(samples), rate, 16_000).numpy()
    found = np.concatenate([*pieces, made.rest()])
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert len(np.concatenate(pieces)) > 0.8 * len(whole)  # not all of it comes at the end
    assert longest < size + 2_000
