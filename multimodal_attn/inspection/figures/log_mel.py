"""The log-mel spectrogram that figures and page draw; what a model hears may be another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

MEL_BINS = 80
HOP_SECONDS = 0.01
_RANGE_DB = 70.0  # what lies further below the loudest bin is drawn as silence


def log_mel(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Log-mel power in dB, frame i centered on ``i * HOP_SECONDS``, clipped at 70 dB under the loudest bin.

    Shapes:
        waveform: (L,). Returns (MEL_BINS, frames).
    """
    transform = _mel_transform(sample_rate)
    samples = torch.from_numpy(np.nan_to_num(np.asarray(waveform, dtype=np.float32)))
    if len(samples) < transform.n_fft:  # shorter than one window: the centering could not reflect it
        samples = torch.nn.functional.pad(samples, (0, transform.n_fft - len(samples)))
    return AmplitudeToDB(top_db=_RANGE_DB)(transform(samples)).numpy()


@lru_cache(maxsize=4)
def _mel_transform(sample_rate: int) -> MelSpectrogram:
    window = round(0.025 * sample_rate)
    # Padded to four windows: the lowest mel filters are narrower than the bins of the bare window.
    n_fft = 1 << (2 * window - 1).bit_length()
    return MelSpectrogram(
        sample_rate, n_fft=n_fft, win_length=window, hop_length=round(HOP_SECONDS * sample_rate), n_mels=MEL_BINS
    )
