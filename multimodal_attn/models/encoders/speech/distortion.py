"""Rooms and noise for a batch of waveforms in training; the times of words stay true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Protocol, runtime_checkable

import torch
import torchaudio.functional
from annotated_types import Gt, Lt
from torch import Tensor, nn

from multimodal_attn.acoustics import colored_noise, impulse_responses
from multimodal_attn.masking import length_mask
from multimodal_attn.ranges import Finite, NotNegative, SampleRate, Share

Decay = Annotated[float, Gt(0.01), Lt(math.inf)]
"""Seconds in which a room falls silent."""


@runtime_checkable
class Sounds(Protocol):
    """Files to draw from; none means that noise and rooms are generated."""

    def __len__(self) -> int: ...

    def excerpt(self, index: int, position: float, samples: int) -> Tensor:
        """At most so many samples of a file, from ``position`` (0 to 1) of where they may begin."""


class Noise(nn.Module):
    """Adds noise at a random signal-to-noise ratio.

    Args:
        probability: that a recording gets noise.
        snr_db: smallest and largest ratio of the recording's power to the noise's.
        recordings: of noise; if there are none, noise of a random color is generated, from white to brown.

    Raises:
        ValueError: if a smallest value is above its largest.
    """

    def __init__(
        self,
        probability: Share = 0.5,
        snr_db: tuple[Finite, Finite] = (5.0, 30.0),
        recordings: Sounds | None = None,
    ) -> None:
        super().__init__()
        _check("noise", snr_db=snr_db)
        self.probability, self.snr_db, self.recordings = probability, snr_db, recordings

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Adds noise to waveforms (B, L), which are zero beyond their ``lengths`` (B,) and stay so."""
        rows = _chosen(len(waveforms), self.probability)
        if not len(rows):
            return waveforms
        clean, real = waveforms[rows], length_mask(lengths[rows], waveforms.shape[1])
        noise = self._noise(len(rows), waveforms.shape[1]).to(waveforms) * real
        ratio = 10 ** (_uniform(len(rows), self.snr_db) / 10)
        # Both powers are sums over the same samples, so that their number cancels.
        scale = clean.square().sum(1) / (noise.square().sum(1).clamp(min=1e-10) * ratio.to(waveforms))
        return waveforms.index_copy(0, rows.to(waveforms.device), clean + noise * scale.sqrt()[:, None])

    def _noise(self, number: int, samples: int) -> Tensor:
        """Stretches of noise, (number, samples)."""
        if self.recordings is None or not len(self.recordings):
            exponents = _uniform(number, (0.0, 2.0))
            return colored_noise(torch.randn(number, samples), exponents)
        rows = []
        for index, position in zip(_indices(self.recordings, number), torch.rand(number).tolist(), strict=True):
            part = self.recordings.excerpt(index, position, samples)
            rows.append(part.repeat(-(-samples // len(part)))[:samples])
        return torch.stack(rows)


class Reverberation(nn.Module):
    """Places recordings into rooms; the direct sound stays where it is, and so does the power.

    Args:
        sample_rate: in Hz.
        probability: that a recording gets a room.
        decay_seconds: shortest and longest time until the tail has fallen by 60 dB (RT60), where it is cut.
        reverberant_ratio: smallest and largest energy of the tail relative to that of the direct sound.
        recordings: impulse responses, used up to the longest decay; if there are none, a tail of decaying noise is
            generated.

    Raises:
        ValueError: if a smallest value is above its largest.
    """

    def __init__(
        self,
        sample_rate: SampleRate,
        probability: Share = 0.3,
        decay_seconds: tuple[Decay, Decay] = (0.1, 0.5),
        reverberant_ratio: tuple[NotNegative, NotNegative] = (0.1, 1.0),
        recordings: Sounds | None = None,
    ) -> None:
        super().__init__()
        _check("reverberation", decay_seconds=decay_seconds, reverberant_ratio=reverberant_ratio)
        self.sample_rate, self.probability = sample_rate, probability
        self.decay_seconds, self.reverberant_ratio = decay_seconds, reverberant_ratio
        self.recordings = recordings

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Puts waveforms (B, L), which are zero beyond their ``lengths`` (B,) and stay so, into rooms."""
        rows = _chosen(len(waveforms), self.probability)
        if not len(rows):
            return waveforms
        dry, real = waveforms[rows], length_mask(lengths[rows], waveforms.shape[1])
        wet = torchaudio.functional.fftconvolve(dry, self._responses(len(rows)).to(waveforms))
        wet = wet[:, : waveforms.shape[1]] * real
        scale = (dry.square().sum(1) / wet.square().sum(1).clamp(min=1e-10)).sqrt()
        return waveforms.index_copy(0, rows.to(waveforms.device), wet * scale[:, None])

    def _responses(self, number: int) -> Tensor:
        """Impulse responses whose strongest sample comes first and is 1.

        Shapes:
            Returns (number, samples).
        """
        samples = round(self.decay_seconds[1] * self.sample_rate)
        if self.recordings is None or not len(self.recordings):
            decays = _uniform(number, self.decay_seconds)
            ratios = _uniform(number, self.reverberant_ratio)
            return impulse_responses(torch.randn(number, samples), decays, ratios, self.sample_rate)
        responses = torch.zeros(number, samples)
        for row, index in enumerate(_indices(self.recordings, number)):
            response = self.recordings.excerpt(index, 0.0, samples)
            response = response[int(response.abs().argmax()) :]
            # A file of silence is no room: the direct sound alone.
            responses[row, : len(response)] = response / response[0] if response[0] else response
            responses[row, 0] = 1.0
        return responses


# Draws are made on the CPU's generator, so that a seed gives the same rooms and noise on every machine.


def _chosen(number: int, probability: float) -> Tensor:
    return (torch.rand(number) < probability).nonzero()[:, 0]


def _uniform(number: int, limits: Sequence[float]) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * torch.rand(number)


def _indices(recordings: Sounds, number: int) -> list[int]:
    return torch.randint(len(recordings), (number,)).tolist()


def _check(name: str, **limits: tuple[float, float]) -> None:
    for key, values in limits.items():
        if values[0] > values[1]:
            raise ValueError(f"encoder.front_end.{name}.{key}: {list(values)}; expected smallest and largest")
