"""Speed, room and noise for the waveforms that a pretrained network hears."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
import torchaudio
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.source_distortion import SourceDistortion
from multimodal_attn.models.encoders.speech.distortion import Noise, Reverberation
from multimodal_attn.ranges import SampleRate, Speed


class WaveformDistortion(SourceDistortion):
    """Distorts recordings: speed first, then a room, then noise; every draw comes from torch's generator.

    Args:
        sample_rate: in Hz.
        speeds: factors of speed perturbation, one drawn per call (Ko et al. 2015); empty for none.
        reverberation, noise: None for none.
    """

    def __init__(
        self,
        sample_rate: SampleRate = 16_000,
        speeds: Sequence[Speed] = (0.9, 1.0, 1.1),
        reverberation: Reverberation | None = None,
        noise: Noise | None = None,
    ) -> None:
        super().__init__()
        with torch.device("cpu"):  # constants, which torchaudio looks at: also of a model that is only shapes ("meta")
            self.perturb = torchaudio.transforms.SpeedPerturbation(sample_rate, list(speeds)) if len(speeds) else None
        self.reverberation, self.noise = reverberation, noise
        self._settings = [sample_rate, list(speeds), *(_settings(part) for part in (reverberation, noise))]

    @property
    def fingerprint(self) -> str:
        """See ``SourceDistortion``."""
        return json.dumps(self._settings)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Distorts waveforms (B, L), zero beyond ``lengths`` (B,) samples; the speed changes both."""
        if self.perturb is not None:
            waveforms, changed = self.perturb(waveforms, lengths)
            lengths = changed.long()
            waveforms = waveforms * length_mask(lengths, waveforms.shape[1])
        for distort in (self.reverberation, self.noise):
            waveforms = distort(waveforms, lengths) if distort is not None else waveforms
        return waveforms, lengths

    def one(self, source: Tensor) -> Tensor:
        """See ``SourceDistortion``."""
        waveforms, lengths = self(source[None], torch.tensor([len(source)]))
        return waveforms[0, : lengths[0]]


def _settings(part: nn.Module | None) -> list[str]:
    """What the plain attributes of a distortion say."""
    if part is None:
        return []
    plain = {name: value for name, value in vars(part).items() if not name.startswith("_") and name != "training"}
    plain["recordings"] = str(getattr(plain.get("recordings"), "folder", None))
    return [f"{name}={value}" for name, value in sorted(plain.items())]
