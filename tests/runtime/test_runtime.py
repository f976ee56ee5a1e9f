"""Exported models without torch: the same texts, maps and times as with it, from every kind of source."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn import load
from multimodal_attn.runtime import Runtime
from multimodal_attn.types import UnreadableError

Folders = tuple[Path, Path]
# That of the models. At a lower one the upper bins of a spectrum would hold next to nothing but rounding, and their
# logarithms would be whatever a Fourier transform makes of it on the machine at hand.
RATE = 16_000
WITHOUT = ("torch", "torchvision", "torchaudio", "pydantic", "annotated_types", "jiwer", "matplotlib", "onnx")
SCRIPT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WITHOUT}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from multimodal_attn.runtime import Runtime

found = Runtime(sys.argv[1], threads=1)(sys.argv[2])
print(found.text)
print([word.map.shape for word in found.words])
"""


def sources(folder: Path, number: int) -> list[np.ndarray]:
    """Pictures or recordings, as the model of a folder reads them."""
    generator = np.random.default_rng(1)
    if "pictures" in str(folder):
        small = generator.integers(0, 256, (number, 4, 4, 3), dtype=np.uint8)
        return [np.asarray(Image.fromarray(one).resize((70, 50))) for one in small]
    lengths = generator.integers(6000, 18_000, number)
    found = [(0.3 * generator.standard_normal(length)).astype(np.float32) for length in lengths]
    return [*found[:-1], np.concatenate([np.zeros(RATE, np.float32), found[-1]])]  # a pause that is not read


def save(path: Path, source: np.ndarray) -> Path:
    if source.ndim == 1:
        path = path.with_suffix(".wav")
        soundfile.write(path, source, RATE, "FLOAT")
    else:
        path = path.with_suffix(".png")
        Image.fromarray(source).save(path)
    return path


@pytest.mark.parametrize("width", [1, 5])
def test_texts_are_those_of_torch(exported: Folders, width: int) -> None:
    run, folder = exported
    runtime, predictor = Runtime(folder, threads=1), load(run, width)
    predictor.search.length_penalty = runtime.description.length_penalty
    texts = set()
    for source in sources(folder, 12):
        found, expected = runtime(source, RATE, width), predictor(source, RATE)
        texts.add(expected.text)
        assert [one.text for one in (found, *found.others)] == [one.text for one in (expected, *expected.others)]
        assert found.flags == expected.flags
        assert found.score == pytest.approx(expected.score, abs=1e-5)
        assert found.tokens == expected.tokens
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-5)
        for word, same in zip(found.words, expected.words, strict=True):
            assert word.text == same.text
            assert word.probability == pytest.approx(same.probability, abs=1e-4)
            assert word.confidence == pytest.approx(same.confidence, abs=1e-4)
            assert (word.start, word.end) == pytest.approx((same.start, same.end), abs=1e-4)
            assert word.gate == (None if same.gate is None else pytest.approx(same.gate, abs=1e-5))
            np.testing.assert_allclose(word.map, same.map, atol=1e-5)
    assert len(texts) > 1, "sources that all give the same text compare nothing"


def test_greedy_search_is_a_beam_of_one(exported: Folders) -> None:
    from multimodal_attn.search.greedy import GreedySearch

    run, folder = exported
    runtime, predictor = Runtime(folder, threads=1), load(run, 1)
    greedy = predictor.with_search(GreedySearch(12, predictor.search.max_length_ratio))
    for source in sources(folder, 6):
        assert runtime(source, RATE, 1).text == greedy(source, RATE).text


def test_every_form_of_a_source_gives_the_same_text(exported: Folders, tmp_path: Path) -> None:
    runtime = Runtime(exported[1], threads=1)
    source = sources(exported[1], 1)[0]
    path = save(tmp_path / "source", source)
    forms: list[Any] = [path, str(path), path.read_bytes()]
    if source.ndim == 3:
        forms += [Image.fromarray(source), source / 255.0]
    expected = runtime(source, RATE).text
    assert [found.text for found in runtime(forms, RATE)] == [expected] * len(forms)
    assert runtime(path).key == str(path)


def test_a_recording_at_another_rate_is_resampled(exported: Folders, tmp_path: Path) -> None:
    run, folder = exported
    if "speech" not in str(folder):
        pytest.skip("pictures have no rate")
    soundfile.write(tmp_path / "a.wav", 0.3 * np.random.default_rng(0).standard_normal(30_000), 44_100, "FLOAT")
    assert Runtime(folder)(tmp_path / "a.wav").text == load(run)(tmp_path / "a.wav").text


def test_what_cannot_be_read_says_why(exported: Folders, tmp_path: Path) -> None:
    runtime = Runtime(exported[1], threads=1)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(UnreadableError, match=r"torn\.png: .*expects a"):
        runtime(tmp_path / "torn.png")
    with pytest.raises(UnreadableError, match="ndarray: has the shape"):
        runtime(np.zeros((2, 3, 4, 5)))
    with pytest.raises(ValueError, match="width: 0"):
        runtime(sources(exported[1], 1)[0], RATE, 0)


def test_it_runs_where_torch_is_not_installed(exported: Folders, tmp_path: Path) -> None:
    path = save(tmp_path / "source", sources(exported[1], 1)[0])
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(exported[1]), str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == Runtime(exported[1])(path).text


def test_a_list_is_decoded_together_and_as_if_alone(exported: Folders) -> None:
    runtime = Runtime(exported[1], threads=1)
    given = [runtime.read(source, RATE) for source in sources(exported[1], 9)]
    alone = [runtime.write([one])[0] for one in given]
    for found, expected in zip(runtime.write(given), alone, strict=True):
        for one, other in [(found, expected), *zip(found.others, expected.others, strict=True)]:
            assert one.text == other.text
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert one.weights.shape == other.weights.shape
            np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)


def test_neighbors_change_nothing_in_int8(exported: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, write, batches = Runtime(exported[1], threads=1), Runtime.write, []

    def noting(self: Runtime, given: Any, width: int | None = None) -> Any:
        batches.append(len(given))
        return write(self, given, width)

    monkeypatch.setattr(Runtime, "write", noting)
    runtime(sources(exported[1], 4), RATE)
    assert batches == ([4] if "pictures" in str(exported[1]) else [1] * 4)
    batches.clear()
    runtime.description = replace(runtime.description, precision="int8")
    runtime(sources(exported[1], 4), RATE)
    assert batches == [1] * 4
