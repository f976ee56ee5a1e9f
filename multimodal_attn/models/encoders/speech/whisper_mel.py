"""The log-mel frames that Whisper hears (Radford et al. 2023, section 2.2)."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor
from torch.nn import functional

_RATE, _HOP, _FFT = 16_000, 160, 400


def log_mel(waveforms: Tensor, num_mels: int) -> Tensor:
    """Whisper's input: log10 of mel energies, at most 8 below the largest, shifted and scaled.

    Shapes:
        waveforms: (B, L), a multiple of 320 samples or padded to one. Returns (B, num_mels, L / 160).
    """
    with torch.device("cpu"):
        waveforms = functional.pad(waveforms, (0, -waveforms.shape[1] % (2 * _HOP)))
        reach = _FFT // 2
        mode = "reflect" if waveforms.shape[1] > reach else "constant"
        padded = functional.pad(waveforms[:, None], (reach, reach), mode=mode)[:, 0]
        spectrum = torch.stft(padded, _FFT, _HOP, window=torch.hann_window(_FFT), center=False, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        filters = torchaudio.functional.melscale_fbanks(
            _FFT // 2 + 1, 0.0, _RATE / 2, num_mels, _RATE, norm="slaney", mel_scale="slaney"
        )
        logarithm = (filters.T @ power).clamp(min=1e-10).log10()
        return (logarithm.maximum(logarithm.amax((1, 2), keepdim=True) - 8) + 4) / 4
