"""What every pretrained encoder of recordings shares: two halves that let a frozen one be cached, and the clock."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Encoder, body_fingerprint
from multimodal_attn.models.encoders.fine_tuning import freeze
from multimodal_attn.models.encoders.layer_mix import LayerMix
from multimodal_attn.models.encoders.speech.spec_augment import SpecAugment
from multimodal_attn.models.encoders.speech.waveform_distortion import WaveformDistortion
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.types import Memory, Timeline

WINDOW_SECONDS = 30
"""The longest that Whisper hears at once; others are not asked for more either, for the sake of memory."""

_OVERLAP_SECONDS = 1


class PretrainedSpeech(Encoder):
    """A network that has learned from other recordings, and the memory made of its states.

    ``extract`` is the network, ``assemble`` what always trains: a mix of its layers where several are taken, a
    projection with layer norm, and masks over time in training. A frozen network stays in evaluation mode without
    gradients, whatever the model is set to, and its output may come from a cache.

    A subclass says in ``hear`` what its network makes of waveforms.

    Args:
        body: the network.
        widths: of its states, one for each layer that is taken.
        mix: learn a weight for each layer in place of joining them.
        step_seconds: time between two states.
        sample_rate: of the waveforms, in Hz.
        dim: width D of the memory; None keeps the network's, without a projection.
        dropout: on the memory.
        num_time_masks, time_mask_steps: masks over the memory in training, and the longest; see ``SpecAugment``.
        distortion: of the waveforms in training, and of the versions that a cache keeps; None for none.
        trainable_from: name of the body's part from which it trains; None freezes it, "all" trains all of it.
        lora: the body trains what it was built with as trainable, whatever ``trainable_from`` says.
    """

    reads = "recording"
    layout: Timeline
    body: nn.Module

    def __init__(
        self,
        body: nn.Module,
        widths: list[int],
        mix: bool,
        step_seconds: float,
        sample_rate: int,
        dim: int | None,
        dropout: float = 0.0,
        num_time_masks: int = 0,
        time_mask_steps: int = 10,
        distortion: WaveformDistortion | None = None,
        trainable_from: str | None = None,
        lora: bool = False,
    ) -> None:
        super().__init__()
        self.body, self.sample_rate = body, sample_rate
        self.frozen, self.pretrained = trainable_from is None and not lora, True
        self._frozen_parts = [] if lora else freeze(body, trainable_from)
        self.layout = Timeline(step_seconds)
        channels = widths[0] if mix else sum(widths)
        self.mix = LayerMix(len(widths)) if mix else None
        self.dim = dim or channels
        self.project = nn.Sequential(nn.Linear(channels, dim), nn.LayerNorm(dim)) if dim else nn.Identity()
        self.augment = SpecAugment(num_time_masks, None, time_mask_steps)
        self.distortion = distortion
        self.dropout = Dropout(dropout)
        self.train()

    @abstractmethod
    def hear(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The network's states, the layers side by side, and their number.

        Shapes:
            As in ``extract``.
        """

    def train(self, mode: bool = True) -> PretrainedSpeech:
        """As in torch, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in [self.body] if self.held else self._frozen_parts:
            part.eval()
        return self

    def cache_fingerprint(self) -> str | None:
        """See ``Encoder``: of the network's weights and structure."""
        return body_fingerprint(self.body, [self.sample_rate]) if self.frozen else None

    def extract(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The network's states.

        Shapes:
            waveforms: (B, L), zero beyond each length. lengths: (B,) samples. Returns (B, S, width), and (B,) how many
            are each recording's.
        """
        if self.training and self.distortion is not None:
            waveforms, lengths = self.distortion(waveforms, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen and not self.held):
            return self.hear(waveforms, lengths)

    def assemble(self, features: Tensor, lengths: Tensor) -> Memory:
        """The memory from (B, S, width) states, fresh or cached."""
        mask = length_mask(lengths, features.shape[1])
        states = self.project(features if self.mix is None else self.mix(features))
        if self.training:
            states = self.augment(states, lengths)
        return Memory(self.dropout(states) * mask[..., None], mask, self.layout)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Encodes recordings. Shapes: as in ``extract``."""
        return self.assemble(*self.extract(waveforms, lengths))


def heard_in_windows(waveform: Tensor, number: int, samples: int, hear: Callable[[Tensor], Tensor]) -> Tensor:
    """The states of a recording of any length; windows overlap, and of each end of one its neighbor hears more.

    Args:
        waveform: of one recording, 16000 Hz.
        number: of its states.
        samples: of a state.
        hear: the states of at most ``WINDOW_SECONDS``.

    Shapes:
        waveform: (L,). hear: (L,) to (S, width), S at least L / samples. Returns (number, width).
    """
    window, overlap = WINDOW_SECONDS * 16_000, _OVERLAP_SECONDS * 16_000
    found: list[Tensor] = []
    for begin in range(0, max(1, len(waveform) - 2 * overlap), window - 2 * overlap):
        states = hear(waveform[begin : begin + window])
        last = begin + window >= len(waveform)
        stop = number - begin // samples if last else (window - overlap) // samples
        found.append(states[overlap // samples if begin else 0 : stop])
        if last:
            break
    return torch.cat(found)


def check_sample_rate(sample_rate: int, expected: int) -> None:
    """Refuses recordings at another rate than a network has learned from."""
    if sample_rate != expected:
        raise ValueError(
            f"data.sample_rate: {sample_rate}; expected {expected}, the rate that this encoder's network hears"
        )


def num_steps(lengths: Tensor, samples: int) -> Tensor:
    """How many steps of so many samples cover each recording, at least one."""
    return ((lengths + samples - 1) // samples).clamp(min=1)
