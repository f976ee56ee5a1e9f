from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from multimodal_attn.models.encoders.speech.ctranslate2_whisper import CTranslate2Whisper
from multimodal_attn.models.encoders.speech.waveform_distortion import WaveformDistortion
from multimodal_attn.models.encoders.speech.whisper_mel import log_mel
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


def packed(content: bytes = b"x", **settings: Any) -> bytes:
    """A tar of one entry."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("model.bin")
        info.size = len(content)
        for name, value in settings.items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "model.bin"}


@pytest.mark.parametrize(
    "content",
    [
        packed(type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0),
        packed(type=tarfile.LNKTYPE, linkname="config.json", size=0),
        packed(type=tarfile.CHRTYPE, size=0),
        packed(type=tarfile.DIRTYPE, size=0),
        packed(name="../model.bin"),
        packed(b"9999999\n" * 64, pax_headers={**SPARSE, "GNU.sparse.realsize": str(10**13)}),
        packed(b"9" * 512, pax_headers={**SPARSE, "GNU.sparse.realsize": "1"}),
        packed().replace(b"00000000001", b"77777777777"),
        packed()[:700],
        packed(b"{}"),
        b"no tar" * 200,
        b"",
    ],
)
def test_a_strangers_files_are_a_whisper_or_refused(content: bytes) -> None:
    found = {"num_bytes": len(content), "width": 16}
    encoder = CTranslate2Whisper(None, compute_type="float32", network=found).eval()
    assert encoder.body.file.get_extra_state().shape == (len(content),)  # type: ignore[union-attr, operator]
    encoder.body.file.set_extra_state(torch.frombuffer(bytearray(content or b"x"), dtype=torch.uint8))  # type: ignore
    with pytest.raises(ValueError, match=r"encoder\.folder: no Whisper of CTranslate2"):
        encoder(torch.randn(1, 8000), torch.tensor([8000]))


def test_a_torn_or_forged_network_is_refused() -> None:
    good = (ctranslate2_folder() / "model.bin").read_bytes()
    config = (ctranslate2_folder() / "config.json").read_bytes()
    random = torch.Generator().manual_seed(0)
    for number in range(30):
        torn = bytearray(good)
        place = int(torch.randint(0, 400, (), generator=random))
        torn[place : place + 8] = b"\xff" * 8 if number % 2 else b"\x7f\xff\xff\xff\xff\xff\xff\x7f"
        torn = torn[: len(good) // 2] if number == 0 else torn
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in (("model.bin", bytes(torn)), ("config.json", config)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        encoder = CTranslate2Whisper(None, compute_type="float32", network={"num_bytes": 1, "width": 16}).eval()
        encoder.body.file.set_extra_state(torch.frombuffer(bytearray(body.getvalue()), dtype=torch.uint8))  # type: ignore
        try:
            encoder(torch.randn(1, 8000), torch.tensor([8000]))
        except ValueError as error:
            assert "encoder." in str(error)  # noqa: PT017 - some changes do no harm
