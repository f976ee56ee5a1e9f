"""Rooms and noise, made of white noise that the caller draws; the direct sound stays where it is."""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_WALL_SECONDS = 0.003  # about a meter away


def impulse_responses(white: Tensor, decays: Tensor, ratios: Tensor, sample_rate: int) -> Tensor:
    """Rooms: the direct sound, 1 at sample 0, and an exponentially decaying tail of noise.

    Args:
        white: normally distributed noise, for the tails.
        decays: seconds until the tail has fallen by 60 dB (RT60), where it is cut.
        ratios: energy of the tail relative to that of the direct sound.
        sample_rate: in Hz.

    Shapes:
        white: (B, samples). decays, ratios: (B,). Returns (B, samples).
    """
    time = torch.arange(white.shape[1], dtype=white.dtype) / sample_rate
    tail = white * 10 ** (-3 * time / decays[:, None])
    tail *= (time >= _FIRST_WALL_SECONDS) & (time < decays[:, None])
    tail *= (ratios / tail.square().sum(1)).sqrt()[:, None]
    tail[:, 0] = 1.0
    return tail


def colored_noise(white: Tensor, exponents: Tensor) -> Tensor:
    """Noise whose power falls as 1 / f^exponent: 0 white, 1 pink, 2 brown.

    Args:
        white: normally distributed noise.
        exponents: one for each row.

    Shapes:
        white: (B, samples). exponents: (B,). Returns (B, samples).
    """
    samples = white.shape[1]
    spectrum = torch.fft.rfft(white)
    # Flat below 20 Hz at 16 kHz: else all is rumble.
    frequency = torch.arange(spectrum.shape[1], dtype=white.dtype).clamp(min=samples / 800)
    return torch.fft.irfft(spectrum * frequency ** (-exponents[:, None] / 2), samples)


def fast_length(length: int) -> int:
    """The next 2^n or 3 * 2^n: transforms of a length with large prime factors are many times slower."""
    power = 1 << max(length - 1, 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= length else power
