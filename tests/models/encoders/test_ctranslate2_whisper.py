from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multimodal_attn.models.encoders.ctranslate2_whisper import CTranslate2Whisper
from multimodal_attn.models.encoders.waveform_distortion import WaveformDistortion
from multimodal_attn.models.encoders.whisper_mel import log_mel
from tests.contracts.tiny import ctranslate2_folder


def make(**settings: object) -> CTranslate2Whisper:
    given = {"folder": str(ctranslate2_folder()), "compute_type": "float32", "dim": None, "silence_seconds": 0}
    return CTranslate2Whisper(**given | settings).eval()  # type: ignore[arg-type]


def test_log_mel_is_that_of_the_published_preprocessing() -> None:
    transformers = pytest.importorskip("transformers")
    waveform = torch.randn(480_000) * torch.linspace(0, 0.3, 480_000)
    expected = transformers.WhisperFeatureExtractor()(waveform.numpy(), sampling_rate=16_000)["input_features"][0]
    torch.testing.assert_close(log_mel(waveform[None], 80)[0], torch.tensor(expected), rtol=1e-3, atol=1e-3)


def test_a_state_for_each_20_ms() -> None:
    encoder = make()
    lengths = torch.tensor([16_000, 15_999, 321, 1])
    memory = encoder(torch.randn(4, 16_000) * 0.1, lengths)
    assert memory.states.shape == (4, 50, 16)
    assert memory.mask.sum(1).tolist() == [50, 50, 2, 1]
    assert memory.layout.step_seconds == 0.02


def test_long_recordings_are_heard_in_windows_without_a_gap() -> None:
    encoder = make()
    seconds = 65
    waveform = torch.randn(1, seconds * 16_000) * 0.1
    memory = encoder(waveform, torch.tensor([seconds * 16_000]))
    assert memory.mask.sum() == memory.states.shape[1] == seconds * 50
    alone = encoder(waveform[:, : 20 * 16_000], torch.tensor([20 * 16_000]))
    assert alone.states.shape[1] == 1000


def test_versions_are_drawn_by_their_seed() -> None:
    encoder = make(distortion=WaveformDistortion(speeds=[0.8, 1.25]))
    source = torch.randn(16_000)
    versions = {len(encoder.distort(source, seed)) for seed in range(8)}
    assert versions == {20_000, 12_800}
    assert torch.equal(encoder.distort(source, 3), encoder.distort(source, 3))
    assert encoder.distortion_fingerprint() != make(distortion=WaveformDistortion()).distortion_fingerprint()


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder.folder: '.*gone' does not exist; expected a folder with model.bin"):
        make(folder=str(tmp_path / "gone"))
    with pytest.raises(ValueError, match=r"encoder.folder: '.*' holds none of these files; expected"):
        make(folder=str(tmp_path))
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"encoder.folder: no Whisper of CTranslate2"):
        make(folder=str(tmp_path))
    with pytest.raises(ValueError, match=r"data.sample_rate: 8000; expected 16000"):
        make(sample_rate=8000)


def test_a_checkpoint_needs_the_folder_no_more() -> None:
    encoder = make()
    settings = CTranslate2Whisper.from_checkpoint({"folder": "elsewhere", "dim": None} | encoder.found())
    settings |= {"compute_type": "float32", "silence_seconds": 0}
    other = CTranslate2Whisper(**settings).eval()
    other.load_state_dict(encoder.state_dict())
    batch = torch.randn(2, 8000), torch.tensor([8000, 5000])
    torch.testing.assert_close(other(*batch).states, encoder(*batch).states)
