from __future__ import annotations

from typing import Any

import pytest
import torch

from multimodal_attn.models.encoders.speech.hugging_face_speech import HuggingFaceSpeech
from tests.contracts.tiny import dinov2_folder, speech_folder

WAVEFORMS = torch.randn(3, 9000) * 0.1
LENGTHS = torch.tensor([9000, 5000, 100])


def make(kind: str = "wav2vec2", **settings: Any) -> HuggingFaceSpeech:
    return HuggingFaceSpeech(**{"name": str(speech_folder(kind)), "dim": None} | settings)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "whisper"])
def test_a_state_for_each_20_ms_from_any_kind_of_network(kind: str) -> None:
    encoder = make(kind, layers=[], mix=True, dim=8).eval()
    memory = encoder(WAVEFORMS, LENGTHS)
    assert memory.mask.sum(1).tolist() == [29, 16, 1]
    assert memory.layout.step_seconds == 0.02
    settings = HuggingFaceSpeech.from_checkpoint(
        {"name": "gone/away", "layers": [], "mix": True, "dim": 8} | encoder.found()
    )
    other = HuggingFaceSpeech(**settings).eval()
    other.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(other(WAVEFORMS, LENGTHS).states, memory.states, rtol=1e-4, atol=1e-5)
    assert encoder.cache_fingerprint() != make(kind).cache_fingerprint()  # other layers
    assert {name.split(".")[0] for name, p in encoder.named_parameters() if p.requires_grad} == {"mix", "project"}


@torch.no_grad()
def test_waveforms_are_normalized_where_the_preprocessing_says_so() -> None:
    normalizing, plain = make("wav2vec2").eval(), make("hubert").eval()
    loud = WAVEFORMS[:1] * 5 + 0.3
    torch.testing.assert_close(
        normalizing(loud, LENGTHS[:1]).states, normalizing(WAVEFORMS[:1], LENGTHS[:1]).states, rtol=1e-3, atol=1e-4
    )
    assert (plain(loud, LENGTHS[:1]).states - plain(WAVEFORMS[:1], LENGTHS[:1]).states).abs().max() > 1e-3


def test_the_last_layers_or_lora_train() -> None:
    last = {n for n, p in make(trainable_from=-1).body.named_parameters() if p.requires_grad}
    assert all(".layers.1." in name or "layer_norm" in name or "masked" in name for name in last)
    assert last
    lora = make(lora_rank=2).train()
    assert lora.lr_scale == 1.0
    lora(WAVEFORMS, LENGTHS).states.square().sum().backward()
    trained = {n: p for n, p in lora.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in trained)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.values())


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match=r"encoder.name: .* is of the type 'dinov2'; expected one of hubert"):
        make(name=str(dinov2_folder()))
    with pytest.raises(ValueError, match=r"data.sample_rate: 8000; expected 16000"):
        make(sample_rate=8000)
    with pytest.raises(ValueError, match=r"encoder.architecture: missing"):
        HuggingFaceSpeech.from_checkpoint({"name": "x"})
