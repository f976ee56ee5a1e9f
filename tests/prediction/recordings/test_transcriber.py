from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from multimodal_attn.prediction.recordings.transcriber import Transcriber, join
from multimodal_attn.prediction.recordings.transcript import TimedWord

RATE = 8000


def written(path: Path, bursts: list[tuple[float, int]], seconds: float) -> Path:
    """Bursts of 0.2 s at given times, each of a pitch that names it."""
    sound = np.zeros(round(seconds * RATE))
    time = np.arange(round(0.2 * RATE)) / RATE
    for start, pitch in bursts:
        at = round(start * RATE)
        sound[at : at + len(time)] = 0.5 * np.sin(2 * np.pi * 100 * pitch * time)
    soundfile.write(path, sound, RATE)
    return path


def listen(waveforms: list[torch.Tensor]) -> list[list[TimedWord]]:
    """A recogniser of bursts; of one that is cut off it hears nonsense."""
    results = []
    for waveform in waveforms:
        loud = waveform.unfold(0, 80, 80).abs().amax(1) > 0.1
        edges = torch.diff(loud.int(), prepend=torch.zeros(1), append=torch.zeros(1))
        words = []
        for first, last in zip((edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0], strict=True):
            spectrum = torch.fft.rfft(waveform[first * 80 : last * 80], n=RATE).abs()
            text = f"p{round(int(spectrum.argmax()) / 100)}" if last - first >= 19 else "nonsense"
            words.append(TimedWord(text, float(first) / 100, float(last) / 100))
        results.append(words)
    return results


@pytest.mark.parametrize("gap", [0.25, 0.6])
def test_parts_are_joined_to_the_whole(tmp_path: Path, gap: float) -> None:
    random = np.random.default_rng(1)
    bursts = [(0.3 + gap * index, int(random.integers(2, 30))) for index in range(100)]
    path = written(tmp_path / "long.wav", bursts, 100 * gap + 1)
    longest: list[float] = []

    def decode(waveforms: list[torch.Tensor]) -> list[list[TimedWord]]:
        assert len(waveforms) <= 3
        longest.append(max(map(len, waveforms)) / RATE)
        return listen(waveforms)

    words, seconds = Transcriber(decode, RATE, max_seconds=6.0, overlap_seconds=1.5, batch_size=3)(path)
    assert seconds == pytest.approx(100 * gap + 1, abs=0.01)
    assert [word.text for word in words] == [f"p{pitch}" for _, pitch in bursts]
    assert [word.start for word in words] == pytest.approx([start for start, _ in bursts], abs=0.03)
    assert max(longest) <= 6.01
    assert len(longest) > 1


def test_silence_is_not_decoded(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", [(1.0, 5), (55.0, 7)], 60.0)
    decoded: list[int] = []

    def decode(waveforms: list[torch.Tensor]) -> list[list[TimedWord]]:
        decoded.append(len(waveforms))
        return listen(waveforms)

    words = Transcriber(decode, RATE, max_seconds=5.0)(path).words
    assert [(word.text, round(word.start, 1)) for word in words] == [("p5", 1.0), ("p7", 55.0)]
    assert sum(decoded) <= 4


@pytest.mark.parametrize("max_seconds", [4.0, 20.0])
def test_what_a_model_leaves_out_at_the_end_of_a_part_is_read_anew(tmp_path: Path, max_seconds: float) -> None:
    bursts = [(0.3 + 0.4 * index, 3 + index) for index in range(20)]
    path = written(tmp_path / "a.wav", bursts, 9.0)
    transcriber = Transcriber(lambda waveforms: [words[:3] for words in listen(waveforms)], RATE, max_seconds)
    assert [word.text for word in transcriber(path).words] == [f"p{pitch}" for _, pitch in bursts]


def test_pauses_before_words_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "late.wav", [(3.0, 5), (9.5, 7)], 11.0)
    seconds: list[float] = []

    def decode(waveforms: list[torch.Tensor]) -> list[list[TimedWord]]:
        seconds.extend(len(waveform) / RATE for waveform in waveforms)
        return listen(waveforms)

    words, whole = Transcriber(decode, RATE, max_seconds=7.0, overlap_seconds=1.0)(path)
    assert [(word.text, word.start) for word in words] == [
        ("p5", pytest.approx(3.0, abs=0.02)),
        ("p7", pytest.approx(9.5, abs=0.02)),
    ]
    assert whole == pytest.approx(11.0)
    assert max(seconds) < 3.0
    assert seconds[-1] == pytest.approx(11.0 - 9.4, abs=0.02)


def spoken(text: str, start: float) -> list[TimedWord]:
    return [TimedWord(word, start + 0.4 * i, start + 0.4 * i + 0.3) for i, word in enumerate(text.split())]


def test_words_on_which_both_parts_agree_stand_once() -> None:
    left, right = spoken("we all went home to", 8.0), spoken("gnome home today", 8.75)
    assert [word.text for word in join(left, right, 9.5, 1.0)] == "we all went home today".split()


def test_without_agreement_the_cut_decides() -> None:
    left, right = spoken("one two thr", 8.6), spoken("oo three four", 9.0)
    # The middles lie at 8.75, 9.15, 9.55 and at 9.15, 9.55, 9.95.
    assert [word.text for word in join(left, right, 9.4, 1.0)] == "one two three four".split()


def test_equal_words_at_other_times_are_other_words() -> None:
    left = [TimedWord("one", 8.0, 8.3), TimedWord("six", 9.1, 9.4), TimedWord("two", 9.55, 9.8)]
    right = [TimedWord("two", 9.55, 9.8), TimedWord("five", 10.05, 10.3), TimedWord("six", 10.4, 10.7)]
    assert [word.text for word in join(left, right, 10.0, 1.0)] == "one six two five six".split()


@pytest.mark.parametrize("vocabulary", ["yes no", "zero one two three four five six seven eight nine"])
@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_no_word_is_lost_or_doubled_where_all_are_heard(vocabulary: str, jitter: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        words, now = [], 0.0
        for text in random.choice(vocabulary.split(), 240):
            end = now + random.uniform(0.15, 0.5)
            words.append(TimedWord(str(text), now, end))
            now = end + random.uniform(0.0, 0.05)
        joined: list[TimedWord] = []
        cuts = [words[place].end + 0.001 for place in (60, 120, 180)]
        for start, end in zip([0.0, *cuts], [*cuts, now], strict=True):
            part = [word for word in words if word.start >= start - 0.5 and word.end <= end + 0.5]
            moved = [
                TimedWord(w.text, *(np.array([w.start, w.end]) + random.uniform(-jitter, jitter, 2))) for w in part
            ]
            joined = join(joined, moved, start, 1.0) if start else moved
        assert [word.text for word in joined] == [word.text for word in words]


def test_overlap_must_leave_room() -> None:
    with pytest.raises(ValueError, match=r"overlap: 3 s of 6 s; expected 0 to a third"):
        Transcriber(listen, RATE, max_seconds=6.0, overlap_seconds=3.0)
