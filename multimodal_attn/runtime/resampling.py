"""Recordings at another rate, as torchaudio makes them, in numpy."""

from __future__ import annotations

import math

import numpy as np

from multimodal_attn.data.reading.samples import resampling_ratio

_ZERO_CROSSINGS, _ROLLOFF = 6, 0.99  # of torchaudio's filter: a sinc below a Hann window


def resample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Samples at another rate: a sinc below a Hann window (as ``torchaudio.functional.resample``).

    Args:
        samples: of one channel.
        rate: of the samples, in Hz.
        sample_rate: of the result, in Hz.

    Shapes:
        samples: (L,). Returns (L',) float32.
    """
    if rate == sample_rate:
        return samples
    ratio = resampling_ratio(rate, sample_rate)
    old, new = ratio.numerator, ratio.denominator
    cutoff = min(old, new) * _ROLLOFF
    reach = math.ceil(_ZERO_CROSSINGS * old / cutoff)
    # A filter for each of the ``new`` samples until those of both rates coincide again.
    times = np.arange(-reach, reach + old)[None] / old - np.arange(new)[:, None] / new
    times = np.clip(times * cutoff, -_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(times * (np.pi / _ZERO_CROSSINGS / 2)) ** 2
    filters = (np.sinc(times) * window * (cutoff / old)).astype(np.float32)
    padded = np.pad(samples, (reach, reach + old))
    parts = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[1])[::old]
    return (parts @ filters.T).ravel()[: math.ceil(new * len(samples) / old)].astype(np.float32)
