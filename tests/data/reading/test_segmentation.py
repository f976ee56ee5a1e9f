from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal_attn.data.reading.segmentation import is_silent, levels, segments
from multimodal_attn.types import Span, UnreadableError


def recording(path: Path, rate: int, parts: list[tuple[float, float]]) -> Path:
    """Noise of given seconds and amplitude, one after another."""
    random = np.random.default_rng(0)
    sound = [amplitude * random.uniform(-1, 1, round(seconds * rate)) for seconds, amplitude in parts]
    soundfile.write(path, np.concatenate(sound), rate)
    return path


@pytest.mark.parametrize("rate", [8000, 11025])
def test_levels_are_those_of_each_hundredth_of_a_second(tmp_path: Path, rate: int) -> None:
    path = recording(tmp_path / "a.wav", rate, [(12.0, 0.5), (1.0, 0.005), (10.0, 0.5)])
    level = levels(path)
    assert len(level) == 2300
    # A uniform draw from -a to a has a power of a^2 / 3.
    assert level[:1200].mean() == pytest.approx(10 * np.log10(0.25 / 3), abs=0.2)
    quiet = np.flatnonzero(level < -30)
    assert (quiet[0], quiet[-1], len(quiet)) == (1200, 1299, 100)


def test_parts_meet_in_the_pauses_without_overlap(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", 8000, [(4.0, 0.3), (0.6, 0.001), (5.0, 0.3), (0.6, 0.001), (2.0, 0.3)])
    level = levels(path)
    first, second, third = segments(level, 6.0, 1.0)
    assert (first.start, third.end) == (0.0, pytest.approx(12.2))
    assert first.end == second.start == pytest.approx(4.3, abs=0.2)
    assert second.end == third.start == pytest.approx(9.9, abs=0.2)
    assert segments(level, 13.0, 1.0) == [Span(0.0, pytest.approx(12.2))]


def test_a_pause_at_the_end_of_the_longest_part_is_used() -> None:
    level = np.full(1000, -20.0)
    level[580:620] = -60.0
    first, second = segments(level, 6.3, 1.5)
    assert first.end == second.start == pytest.approx(6.0, abs=0.1)


def test_parts_without_a_pause_overlap() -> None:
    level = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    parts = segments(level, 7.0, 1.0)
    lengths = [part.end - part.start for part in parts]
    assert max(lengths) <= 7.0 + 1e-9
    assert min(lengths[:-1]) >= 2.3
    assert (parts[0].start, parts[-1].end) == (0.0, 500.0)
    for before, after in pairwise(parts):
        assert before.end - after.start == pytest.approx(1.0)


@pytest.mark.parametrize("max_seconds", [0.05, 0.3])
def test_the_shortest_parts_go_on(max_seconds: float) -> None:
    level = np.random.default_rng(0).normal(size=300).astype(np.float32)
    parts = segments(level, max_seconds, 0.02)
    assert parts[-1].end == 3.0
    assert all(before.start < after.start <= before.end < after.end for before, after in pairwise(parts))


def test_silence_is_known() -> None:
    level = np.full(300, -90.0)
    level[150] = -20.0
    assert [is_silent(level, span) for span in (Span(0, 1), Span(1, 2), Span(2, 3))] == [True, False, True]


def test_a_constant_is_silence(tmp_path: Path) -> None:
    sound = np.full(30 * 8000, 0.2)
    sound[12 * 8000 : 13 * 8000] += 0.1 * np.sin(np.arange(8000))
    soundfile.write(tmp_path / "a.wav", sound, 8000)
    level = levels(tmp_path / "a.wav")
    assert [is_silent(level, Span(start, start + 1.0)) for start in (0, 5, 11, 12, 14, 25)] == [
        *3 * [True],
        False,
        True,
        True,
    ]


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    whole = recording(tmp_path / "whole.flac", 8000, [(30.0, 0.3)]).read_bytes()
    (tmp_path / "torn.flac").write_bytes(whole[: len(whole) // 2])
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for name, message in (
        ("text.wav", "not readable"),
        ("torn.flac", "truncated|not readable"),
        ("empty.wav", "no audio"),
    ):
        with pytest.raises(UnreadableError, match=message):
            levels(tmp_path / name)
