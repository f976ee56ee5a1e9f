"""The front end of speech encoders: waveforms to normalised log-mel frames, with augmentation on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.distortion import Noise, Reverberation
from multimodal_attn.models.encoders.spec_augment import SpecAugment

CMVN = ("running", "utterance", "none")
_TRAINING_FRAMES = 24
"""Training batches are padded to a multiple of so many frames: shapes come again, and a CPU's matrix library makes a
kernel for every new one."""


class LogMel(nn.Module):
    """Log-mel frames, normalised; distorted, perturbed and masked in training.

    Frame t is centred on the span ``[t, t + 1) * hop_seconds``. Waveforms are padded with zeros at both ends, as a
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

    Raises:
        ValueError: for another cmvn.
    """

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        num_mels: int = 80,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.010,
        cmvn: str = "running",
        speeds: Sequence[float] = (),
        reverberation: Reverberation | None = None,
        noise: Noise | None = None,
        num_time_masks: int = 0,
        time_masks_per_frame: float | None = None,
        time_mask_frames: int | None = 20,
        time_mask_share: float = 0.2,
        num_mel_masks: int = 0,
        mel_mask_bins: int = 15,
    ) -> None:
        super().__init__()
        if cmvn not in CMVN:
            raise ValueError(f"encoder.front_end.cmvn: {cmvn!r}; expected one of {', '.join(CMVN)}")
        self.num_mels, self.hop_seconds, self.cmvn = num_mels, hop_seconds, cmvn
        self.hop = round(hop_seconds * sample_rate)
        self.window = round(window_seconds * sample_rate)
        num_fft = 1 << (self.window - 1).bit_length()
        self.num_fft = num_fft
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate, n_fft=num_fft, win_length=self.window, hop_length=self.hop, center=False, n_mels=num_mels
        )
        self.speeds = tuple(speeds)
        self.perturb = torchaudio.transforms.SpeedPerturbation(sample_rate, list(speeds)) if len(speeds) else None
        self.reverberation, self.noise = reverberation, noise
        self.augment = SpecAugment(
            num_time_masks, time_masks_per_frame, time_mask_frames, time_mask_share, num_mel_masks, mel_mask_bins
        )
        # Number, mean and sum of squared deviations of each mel bin over every frame seen in training.
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(num_mels, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(num_mels, dtype=torch.float64))

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
            longest = int(num_frames.max())
            if self.training:
                longest += -longest % _TRAINING_FRAMES
            # The window of frame 0 is centred on hop / 2.
            left = (self.num_fft - self.hop) // 2
            needed = (longest - 1) * self.hop + self.num_fft
            padded = functional.pad(waveforms, (left, max(0, needed - left - waveforms.shape[1])))
            frames = self.mel(padded[:, :needed]).clamp(min=1e-6).log().transpose(1, 2)
            mask = length_mask(num_frames, frames.shape[1])
            if self.training and self.cmvn == "running":
                self._count(frames[mask].double())
            frames = self._normalise(frames, mask) * mask[..., None]
            if self.training:
                frames = self.augment(frames, num_frames)
        return frames, num_frames

    def _normalise(self, frames: Tensor, mask: Tensor) -> Tensor:
        if self.cmvn == "running" and self.count > 0:
            return (frames - self.mean.float()) / (self.square / self.count).clamp(min=1e-4).sqrt().float()
        if self.cmvn == "utterance":
            number = mask.sum(1)[:, None, None]
            centred = (frames - (frames * mask[..., None]).sum(1, keepdim=True) / number) * mask[..., None]
            return centred / (centred.square().sum(1, keepdim=True) / number).clamp(min=1e-4).sqrt()
        return frames

    def _count(self, frames: Tensor) -> None:
        """Takes (number, F) new frames into the statistics, those of all processes in a distributed training."""
        centred = frames - self.mean
        number = centred.new_full((1, self.num_mels), len(frames))
        sums = torch.cat([number, centred.sum(0, keepdim=True), centred.square().sum(0, keepdim=True)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        self.count += sums[0, 0]
        shift = sums[1] / self.count
        self.mean += shift
        # Deviations were taken from the old mean; those from the new one are smaller by what the mean has moved.
        self.square += sums[2] - self.count * shift.square()
