from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal_attn.data.reading.segmentation import cuts, is_silent, levels, segments
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


def test_cuts_lie_in_the_pauses(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", 8000, [(4.0, 0.3), (0.6, 0.001), (5.0, 0.3), (0.6, 0.001), (2.0, 0.3)])
    level = levels(path)
    first, second = cuts(level, 6.0)
    assert first == pytest.approx(4.3, abs=0.2)
    assert second == pytest.approx(9.9, abs=0.2)
    assert cuts(level, 13.0) == []


def test_parts_are_never_longer_than_asked() -> None:
    level = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    edges = [0.0, *cuts(level, 7.0), 500.0]
    gaps = np.diff(edges)
    assert gaps.max() <= 7.0
    assert gaps[:-1].min() >= 2.3


def test_segments_reach_over_the_cuts() -> None:
    assert segments(np.zeros(1000), [4.0, 8.0], 1.0) == [Span(0.0, 4.5), Span(3.5, 8.5), Span(7.5, 10.0)]
    assert segments(np.zeros(1000), [], 1.0) == [Span(0.0, 10.0)]


def test_parts_do_not_overlap_in_pauses():
    level = np.full(1000, -20.0)
    level[380:420] = -60.0  # a pause; at 8 s there is none
    level[799:801] = -60.0
    assert segments(level, [4.0, 8.0], 1.0) == [Span(0.0, 4.0), Span(4.0, 8.5), Span(7.5, 10.0)]


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
