"""Sound that comes in pieces, at another rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from multimodal_attn.data.reading.arrays import mono_of
from multimodal_attn.data.reading.audio import resample
from multimodal_attn.data.reading.samples import resampling_ratio

_REACH = 8  # samples, of the lower of both rates, that the filter hears to either side, and one more


class Resampler:
    """Changes the rate of what comes piece by piece, to what it is as a whole.

    Args:
        rate: of the pieces, in Hz.
        sample_rate: of the results, in Hz.
    """

    def __init__(self, rate: int, sample_rate: int) -> None:
        self._rates = (rate, sample_rate)
        ratio = resampling_ratio(rate, sample_rate)
        self._old, self._new = ratio.numerator, ratio.denominator  # so many samples become so many
        self._around = math.ceil(_REACH * max(1.0, self._old / self._new) / self._old) if self._old != self._new else 0
        self._kept = np.zeros(0, dtype=np.float32)
        self._before = 0  # of what is kept, how many units were given already

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """What is new and complete after (L,) more samples, (L',) of them."""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32, copy=False)])
        return self._given(len(self._kept) // self._old - self._around)

    def rest(self) -> np.ndarray:
        """What is left at the end, (L',)."""
        return self._given(None)

    def _given(self, until: int | None) -> np.ndarray:
        """Up to the unit ``until`` of what is kept, or all."""
        if (until is not None and until <= self._before) or not len(self._kept):
            return np.zeros(0, dtype=np.float32)
        if self._around == 0:
            found, self._kept = self._kept, self._kept[:0]
            return found
        made: np.ndarray = resample(torch.from_numpy(self._kept), *self._rates).numpy()
        found = made[self._before * self._new : None if until is None else until * self._new]
        if until is None:
            self._kept, self._before = self._kept[:0], 0
        else:
            begin = max(0, until - self._around)
            self._kept, self._before = self._kept[begin * self._old :], until - begin
        return found


def resampled(chunks: Iterable[Any], rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Sound that comes in pieces, as (L,) of one channel at another rate.

    Args:
        chunks: (L,) or (channels, L) each, arrays or tensors of floats in [-1, 1] or of 16-bit integers.
        rate: of them, in Hz.
        sample_rate: of the results, in Hz.
    """
    resampler = Resampler(rate, sample_rate)
    for chunk in chunks:
        yield resampler(mono_of(np.asarray(chunk), rate))
    yield resampler.rest()
