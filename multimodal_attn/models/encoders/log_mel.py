"""The front end of speech encoders: waveforms to normalised log-mel frames, with augmentation on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask


class LogMel(nn.Module):
    """Log-mel frames, normalised by running statistics that live in the checkpoint.

    Frame t is centred on the span ``[t, t + 1) * hop_seconds``. Waveforms are padded with zeros at both ends, as a
    batch pads them, so that a frame never depends on the length of a batch mate.

    Args:
        sample_rate: in Hz.
        num_mels: F.
        window_seconds: length of the analysis window.
        hop_seconds: time between frames.
        speeds: factors of speed perturbation in training, one drawn per batch (Ko et al. 2015); empty for none.
        num_time_masks, time_mask_frames: SpecAugment (Park et al. 2019): masks per recording and their longest extent.
        time_mask_share: no mask covers more than this share of the frames.
        num_mel_masks, mel_mask_bins: the same along frequency.
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
        speeds: Sequence[float] = (),
        num_time_masks: int = 0,
        time_mask_frames: int = 20,
        time_mask_share: float = 0.2,
        num_mel_masks: int = 0,
        mel_mask_bins: int = 15,
    ) -> None:
        super().__init__()
        self.num_mels, self.hop_seconds = num_mels, hop_seconds
        self.hop = round(hop_seconds * sample_rate)
        self.window = round(window_seconds * sample_rate)
        num_fft = 1 << (self.window - 1).bit_length()
        self.num_fft = num_fft
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate, n_fft=num_fft, win_length=self.window, hop_length=self.hop, center=False, n_mels=num_mels
        )
        self.perturb = torchaudio.transforms.SpeedPerturbation(sample_rate, list(speeds)) if len(speeds) else None
        self.augment = (
            torchaudio.transforms.SpecAugment(
                num_time_masks, time_mask_frames, num_mel_masks, mel_mask_bins, p=time_mask_share, zero_masking=True
            )
            if num_time_masks or num_mel_masks
            else None
        )
        # Running mean and variance of each mel bin over every frame seen in training (Chan et al. 1979, parallel form).
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
            num_frames = (lengths + self.hop - 1) // self.hop
            longest = int(num_frames.max())
            # The window of frame 0 is centred on hop / 2.
            left = (self.num_fft - self.hop) // 2
            needed = (longest - 1) * self.hop + self.num_fft
            samples = length_mask(lengths, waveforms.shape[1])
            padded = functional.pad(waveforms * samples, (left, max(0, needed - left - waveforms.shape[1])))
            frames = self.mel(padded[:, :needed]).clamp(min=1e-6).log().transpose(1, 2)
            mask = length_mask(num_frames, frames.shape[1])
            if self.training:
                self._count(frames[mask].double())
            if self.count > 0:
                frames = (frames - self.mean.float()) / (self.square / self.count).clamp(min=1e-4).sqrt().float()
            frames = frames * mask[..., None]
            if self.training and self.augment is not None:
                frames = self.augment(frames.transpose(1, 2)).transpose(1, 2)
        return frames, num_frames

    def _count(self, frames: Tensor) -> None:
        number = len(frames)
        mean = frames.mean(0)
        total = self.count + number
        delta = mean - self.mean
        self.square += (frames - mean).square().sum(0) + delta.square() * self.count * number / total
        self.mean += delta * number / total
        self.count.copy_(total)
