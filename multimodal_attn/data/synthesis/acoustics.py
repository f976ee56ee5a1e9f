"""Rooms and noise for clean speech. The direct sound stays where it is, so that the times of words stay true."""

from __future__ import annotations

import numpy as np


def impulse_response(
    random: np.random.Generator, sample_rate: int, decay_seconds: float, reverberant_ratio: float
) -> np.ndarray:
    """A room: the direct sound, 1 at sample 0, and an exponentially decaying tail of noise.

    Args:
        random: source of the tail.
        sample_rate: in Hz.
        decay_seconds: until the tail has fallen by 60 dB (RT60), where it is cut.
        reverberant_ratio: energy of the tail relative to that of the direct sound.

    Shapes:
        Returns (L,) float64.
    """
    time = np.arange(round(decay_seconds * sample_rate)) / sample_rate
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / decay_seconds)
    tail[time < 0.003] = 0.0  # the first wall is about a metre away
    tail *= np.sqrt(reverberant_ratio / np.square(tail).sum())
    tail[0] = 1.0
    return tail


def coloured_noise(random: np.random.Generator, length: int, exponent: float) -> np.ndarray:
    """Noise of unit power whose spectrum falls as 1 / f^exponent: 0 white, 1 pink, 2 brown.

    Shapes:
        Returns (length,) float64.
    """
    size = fast_length(length)
    frequency = np.maximum(np.arange(size // 2 + 1), size / 800)  # flat below 20 Hz at 16 kHz: else all is rumble
    spectrum = np.fft.rfft(random.standard_normal(size)) * frequency ** (-exponent / 2)
    noise = np.fft.irfft(spectrum, size)[:length]
    return noise / np.sqrt(np.square(noise).mean())


def convolve(signal: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The signal in the room, as long as the signal.

    Shapes:
        signal: (L,). Returns (L,) float64.
    """
    size = fast_length(len(signal) + len(response) - 1)
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(response, size), size)[: len(signal)]


def fast_length(length: int) -> int:
    """The next 2^n or 3 * 2^n: transforms of a length with large prime factors are many times slower."""
    power = 1 << max(length - 1, 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= length else power
