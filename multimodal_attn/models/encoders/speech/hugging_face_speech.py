"""Speech encoders of Hugging Face: Whisper, wav2vec 2.0, HuBERT and WavLM."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.encoders.fine_tuning import add_lora, chosen_layers, first_trained
from multimodal_attn.models.encoders.hugging_face_networks import (
    SPEECH,
    architecture_of,
    blocks_of,
    library,
    missing,
    network_of,
)
from multimodal_attn.models.encoders.speech.pretrained import (
    WINDOW_SECONDS,
    PretrainedSpeech,
    check_sample_rate,
    heard_in_windows,
    num_steps,
)
from multimodal_attn.models.encoders.speech.waveform_distortion import WaveformDistortion
from multimodal_attn.models.encoders.speech.whisper_mel import log_mel
from multimodal_attn.ranges import Count, DropoutRate, NotNegative, SampleRate, WholeNumber


class HuggingFaceSpeech(PretrainedSpeech):
    """The states of a network for speech, one for each 20 ms, normalized as its own preprocessing has it.

    Each recording is heard alone, since some of these networks normalize over time, padding included.

    Args:
        name: of a repository of huggingface.co, such as ``openai/whisper-base`` or ``facebook/hubert-base-ls960``, or
            of a folder.
        sample_rate: of the waveforms, in Hz: 16000.
        pretrained: take its weights; false for random ones.
        layers: of its hidden states, 0 for what enters the first layer and -1 for the last; several are joined. Empty
            for all.
        mix: learn a weight for each layer in place of joining them, as SUPERB does.
        trainable_from: None freezes the network, -n trains its last n layers, a part's name from there on, "all"
            everything.
        lora_rank: of small matrices that train beside the frozen network's own; 0 for none.
        lr_scale: what the network's parameters get of the learning rate; None for the optimizer's choice.
        dim, dropout, num_time_masks, time_mask_steps, distortion: of ``PretrainedSpeech``.
        architecture: what building it has found out: the network's configuration.
        normalizes: what building it has found out: whether its preprocessing normalizes each waveform.

    Raises:
        ValueError: if transformers or the network are missing, or it is no encoder of speech.
    """

    unfetched: ClassVar = {"pretrained": False}
    no_graph = "hears each recording alone, in as many windows as it is long, which a graph cannot count"

    def __init__(
        self,
        name: str,
        sample_rate: SampleRate = 16_000,
        pretrained: bool = True,
        layers: Sequence[int] = (-1,),
        mix: bool = False,
        trainable_from: str | int | None = None,
        lora_rank: WholeNumber = 0,
        lr_scale: NotNegative | None = None,
        dim: Count | None = 256,
        dropout: DropoutRate = 0.1,
        num_time_masks: WholeNumber = 0,
        time_mask_steps: Count = 10,
        distortion: WaveformDistortion | None = None,
        architecture: Mapping[str, Any] | None = None,
        normalizes: bool | None = None,
    ) -> None:
        check_sample_rate(sample_rate, 16_000)
        self._architecture = dict(architecture) if architecture else architecture_of(name, SPEECH)
        self._normalizes = _normalizes(name) if normalizes is None else normalizes
        # A layer that training drops would be missing among those that are taken; masks come after the cache.
        steady = {"layerdrop": 0.0, "encoder_layerdrop": 0.0, "apply_spec_augment": False}
        network = network_of({**self._architecture, **steady}, SPEECH, name if pretrained else None)
        config: Any = network.config
        listener: _Listener
        if config.model_type == "whisper":
            network = network.get_submodule("encoder")
            listener = _Whisper(network, config.num_mel_bins)
            number, width = config.encoder_layers, config.d_model
        else:
            listener = _Waves(network, config.conv_kernel, config.conv_stride, self._normalizes)
            number, width = config.num_hidden_layers, config.hidden_size
        if not 1 <= listener.samples <= 16_000:
            raise ValueError(
                f"encoder.architecture.conv_stride: a state for each {listener.samples} samples; expected 1 to 16000"
            )
        listener.layers = chosen_layers(layers, number + 1, [width] * (number + 1), mix)
        blocks = blocks_of(network, number)
        if lora_rank:
            add_lora(network, lora_rank, blocks)
        part = first_trained(trainable_from, blocks)
        super().__init__(
            listener,
            [width] * len(listener.layers),
            mix,
            listener.samples / 16_000,
            sample_rate,
            dim,
            dropout,
            num_time_masks,
            time_mask_steps,
            distortion,
            part if part in (None, "all") else f"network.{part}",
            lora_rank > 0,
        )
        self.lr_scale = lr_scale if lr_scale is not None or not lora_rank else 1.0
        self.network_name = f"{name}, layers {listener.layers}"

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``: of the name nothing is read."""
        if not isinstance(settings.get("architecture"), Mapping) or not isinstance(settings.get("normalizes"), bool):
            raise ValueError("encoder.architecture: missing; expected what a checkpoint of this encoder holds")
        return {**settings, "pretrained": False}

    def found(self) -> dict[str, Any]:
        """See ``Encoder``."""
        return {"architecture": self._architecture, "normalizes": self._normalizes}

    def hear(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See ``PretrainedSpeech``."""
        assert isinstance(self.body, _Listener)
        body, steps = self.body, num_steps(lengths, self.body.samples)
        heard = [
            heard_in_windows(waveforms[index, :samples].float(), number, body.samples, body)
            for index, (samples, number) in enumerate(zip(lengths.tolist(), steps.tolist(), strict=True))
        ]
        return nn.utils.rnn.pad_sequence(heard, batch_first=True), steps


class _Listener(nn.Module):
    """A network that gives the chosen layers' states of one waveform of at most 30 s, side by side.

    Shapes:
        (L,) to (S, layers * width), S at least L / samples.
    """

    samples: int

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.layers = network, [-1]

    def extra_repr(self) -> str:
        return f"layers {self.layers}"

    def chosen(self, inputs: Tensor) -> Tensor:
        """The states of (1, ...) inputs."""
        made = self.network(inputs, output_hidden_states=True, return_dict=True)
        states = [*made.hidden_states[:-1], made.last_hidden_state]
        return torch.cat([states[layer][0] for layer in self.layers], dim=-1)


class _Whisper(_Listener):
    """Hears log-mel frames of 30 s, silence after the recording."""

    samples = 320

    def __init__(self, network: nn.Module, num_mels: int) -> None:
        super().__init__(network)
        self.num_mels = num_mels

    def forward(self, waveform: Tensor) -> Tensor:
        padded = functional.pad(waveform, (0, WINDOW_SECONDS * 16_000 - len(waveform)))
        return self.chosen(log_mel(padded[None].cpu(), self.num_mels).to(waveform.device))


class _Waves(_Listener):
    """Hears the waveform through convolutions; padded so that each state is centered on its own samples."""

    def __init__(self, network: nn.Module, kernels: Sequence[int], strides: Sequence[int], normalizes: bool) -> None:
        super().__init__(network)
        self.samples = math.prod(strides)
        self.reach = 1 + sum((kernel - 1) * math.prod(strides[:index]) for index, kernel in enumerate(kernels))
        self.normalizes = normalizes

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {'normalized' if self.normalizes else 'as they are'}"

    def forward(self, waveform: Tensor) -> Tensor:
        if self.normalizes:
            waveform = (waveform - waveform.mean()) / (waveform.var(correction=0) + 1e-7).sqrt()
        number = max(1, -(-len(waveform) // self.samples))
        missing_samples = (number - 1) * self.samples + self.reach - len(waveform)
        left = max(0, (self.reach - self.samples) // 2)
        return self.chosen(functional.pad(waveform, (left, max(0, missing_samples - left)))[None])


def _normalizes(name: str) -> bool:
    """Whether the network's own preprocessing normalizes each waveform."""
    try:
        extractor = library().AutoFeatureExtractor.from_pretrained(name, trust_remote_code=False)
        return bool(extractor.to_dict().get("do_normalize", False))
    except Exception as error:
        raise missing(name, error) from None
