"""The front end of speech encoders: waveforms to normalized log-mel frames, with augmentation on the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.transforms import SpeedPerturbation

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.speech.distortion import Noise, Reverberation
from multimodal_attn.models.encoders.speech.spec_augment import SpecAugment
from multimodal_attn.ranges import MelBins, Positive, SampleRate, Share, Speed, WholeNumber

_TRAINING_FRAMES = 24
"""Training batches are padded to a multiple of so many frames: shapes come again, and a CPU's matrix library makes a
kernel for every new one."""


class LogMel(nn.Module):
    """Log-mel frames, normalized; distorted, perturbed and masked in training.

    Frame t is centered on the span ``[t, t + 1) * hop_seconds``. Waveforms are padded with zeros at both ends, as a
    batch pads them, so that a frame never depends on the length of a batch mate. In training, the order is speed, room,
    noise, frames, masks; every draw comes from torch's generator.

    Args:
        sample_rate: in Hz.
        num_mels: F.
        window_seconds: length of the analysis window.
        hop_seconds: time between frames.
        cmvn: what mean and variance of each bin are taken over: "running" all real frames of the training so far,
            which travel in the checkpoint; "utterance" each recording's own; "none" leaves frames as they are.
        speeds: factors of speed perturbation in training, one drawn per batch (Ko et al. 2015); empty for none.
        reverberation, noise: distortions in training; None for none.
        num_time_masks, time_masks_per_frame, time_mask_frames, time_mask_share, num_mel_masks, mel_mask_bins: of
            ``SpecAugment``.
    """

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(
        self,
        sample_rate: SampleRate = 16000,
        num_mels: MelBins = 80,
        window_seconds: Positive = 0.025,
        hop_seconds: Positive = 0.010,
        cmvn: Literal["running", "utterance", "none"] = "running",
        speeds: Sequence[Speed] = (),
        reverberation: Reverberation | None = None,
        noise: Noise | None = None,
        num_time_masks: WholeNumber = 0,
        time_masks_per_frame: Share | None = None,
        time_mask_frames: WholeNumber | None = 20,
        time_mask_share: Share = 0.2,
        num_mel_masks: WholeNumber = 0,
        mel_mask_bins: WholeNumber = 15,
    ) -> None:
        super().__init__()
        self.sample_rate, self.num_mels, self.hop_seconds, self.cmvn = sample_rate, num_mels, hop_seconds, cmvn
        self.hop = round(hop_seconds * sample_rate)
        self.window = round(window_seconds * sample_rate)
        num_fft = 1 << (self.window - 1).bit_length()
        self.num_fft = num_fft
        self.speeds = tuple(speeds)
        with torch.device("cpu"):  # constants, which torchaudio looks at: also of a model that is only shapes ("meta")
            self.perturb = SpeedPerturbation(sample_rate, self.speeds) if self.speeds else None
            self.mel = torchaudio.transforms.MelSpectrogram(
                sample_rate, n_fft=num_fft, win_length=self.window, hop_length=self.hop, center=False, n_mels=num_mels
            )
        self.reverberation, self.noise = reverberation, noise
        self.augment = SpecAugment(
            num_time_masks, time_masks_per_frame, time_mask_frames, time_mask_share, num_mel_masks, mel_mask_bins
        )
        # Number, mean and sum of squared deviations of each mel bin over every frame seen in training. Apple's MPS has
        # no float64; the number is whole, since float32 would stop counting at 2^24, two days of speech.
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(num_mels))
        self.register_buffer("square", torch.zeros(num_mels))

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames and their number.

        Shapes:
            waveforms: (B, L), zero beyond each length. lengths: (B,) samples.
            Returns (B, frames, F), zero beyond each length, and (B,) frames.
        """
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            waveforms = waveforms.float()
            if self.training and self.perturb is not None:
                waveforms, new_lengths = self.perturb(waveforms, lengths)
                lengths = new_lengths.long()
            waveforms = waveforms * length_mask(lengths, waveforms.shape[1])
            if self.training:
                for distort in (self.reverberation, self.noise):
                    waveforms = distort(waveforms, lengths) if distort is not None else waveforms
            num_frames = (lengths + self.hop - 1) // self.hop
            mel = self._mel_by_convolutions if torch.compiler.is_exporting() else self._mel
            frames = mel(waveforms, num_frames).clamp(min=1e-6).log().transpose(1, 2)
            mask = length_mask(num_frames, frames.shape[1])
            if self.training and self.cmvn == "running":
                self._count(frames[mask])
            frames = self._normalize(frames, mask) * mask[..., None]
            if self.training:
                frames = self.augment(frames, num_frames)
        return frames, num_frames

    @property
    def frame_by_frame(self) -> bool:
        """Whether a frame depends on nothing but the sound in its window."""
        return self.cmvn != "utterance"

    @contextmanager
    def slowest(self) -> Iterator[None]:
        """While it lasts, training draws the slowest of the speeds."""
        drawn = self.perturb
        if drawn is not None:
            self.perturb = SpeedPerturbation(self.sample_rate, (min(self.speeds),)).to(self.mean.device)
        try:
            yield
        finally:
            self.perturb = drawn

    @property
    def _left(self) -> int:
        """Zeros before a waveform: the window of frame 0 is centered on hop / 2."""
        return (self.num_fft - self.hop) // 2

    def _mel(self, waveforms: Tensor, num_frames: Tensor) -> Tensor:
        """Energies (B, F, frames) up to the longest recording."""
        longest = int(num_frames.max())
        if self.training:
            longest += -longest % _TRAINING_FRAMES
        needed = (longest - 1) * self.hop + self.num_fft
        padded = functional.pad(waveforms, (self._left, max(0, needed - self._left - waveforms.shape[1])))
        energies: Tensor = self.mel(padded[:, :needed])
        return energies

    def _mel_by_convolutions(self, waveforms: Tensor, num_frames: Tensor) -> Tensor:
        """The same for a graph, which has no Fourier transform and knows no length but that of the batch."""
        window = functional.pad(self.mel.spectrogram.window, ((self.num_fft - self.window) // 2,) * 2)
        window = functional.pad(window, (0, self.num_fft - len(window)))
        turns = torch.arange(self.num_fft // 2 + 1)[:, None] * torch.arange(self.num_fft) % self.num_fft
        angles = turns.double() * (2 * torch.pi / self.num_fft)
        waves = torch.cat([angles.cos(), angles.sin()]).to(window) * window
        padded = functional.pad(waveforms, (self._left, self.num_fft - 1 - self._left))  # as many frames as begin in it
        parts = functional.conv1d(padded[:, None], waves[:, None], stride=self.hop)
        power = parts.square().unflatten(1, (2, -1)).sum(1)
        return functional.conv1d(power, self.mel.mel_scale.fb.T[:, :, None])

    def _normalize(self, frames: Tensor, mask: Tensor) -> Tensor:
        if self.cmvn == "running":
            variance = self.square / self.count.clamp(min=1)
            normalized = (frames - self.mean) / variance.clamp(min=1e-4).sqrt()
            return torch.where(self.count > 0, normalized, frames)
        if self.cmvn == "utterance":
            number = mask.sum(1)[:, None, None]
            centered = (frames - (frames * mask[..., None]).sum(1, keepdim=True) / number) * mask[..., None]
            return centered / (centered.square().sum(1, keepdim=True) / number).clamp(min=1e-4).sqrt()
        return frames

    def _count(self, frames: Tensor) -> None:
        """Takes (number, F) new frames into the statistics, those of all processes in a distributed training."""
        # In float64, so that only what is kept is rounded; on the CPU where the device has no float64.
        frames = frames.to("cpu" if frames.device.type == "mps" else frames.device).double()
        mean, square = self.mean.to(frames), self.square.to(frames)
        centered = frames - mean
        number = centered.new_full((1, self.num_mels), len(frames))
        sums = torch.cat([number, centered.sum(0, keepdim=True), centered.square().sum(0, keepdim=True)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        count = self.count.to(frames) + sums[0, 0]
        shift = sums[1] / count
        self.count.copy_(count)
        self.mean.copy_(mean + shift)
        # Deviations were taken from the old mean; those from the new one are smaller by what the mean has moved.
        self.square.copy_(square + sums[2] - count * shift.square())
