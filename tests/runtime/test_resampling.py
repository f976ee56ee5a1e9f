"""Resampling without torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.data.reading.audio import resample as expected
from multimodal_attn.runtime.resampling import resample


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 44_101, 48_000])
def test_it_is_torchaudios(rate: int) -> None:
    samples = (0.3 * np.random.default_rng(0).standard_normal(rate // 3)).astype(np.float32)
    found, wanted = resample(samples, rate, 16_000), expected(torch.from_numpy(samples), rate, 16_000).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-4)
