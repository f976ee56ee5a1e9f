"""Words while someone is still speaking, heard by a model that can be followed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.models.encoders.base import Encoder, Reach
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.live import Heard, Live, LiveSettings
from multimodal_attn.search.base import Search
from multimodal_attn.types import Hypothesis, Memory, Timeline

RATE = 8_000
CELL = 320  # samples
WORDS = "one two three four five six seven eight".split()
TOKENIZER = WordTokenizer().fit([" ".join([*WORDS, "uh"])])


class Loudness(Encoder):
    """The loudness of each 40 ms."""

    layout = Timeline(CELL / RATE)
    reach = Reach(0, 0, CELL, CELL)  # type: ignore[assignment]
    dim = 1

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        cells = nn.functional.pad(source, (0, -source.shape[1] % CELL)).unflatten(1, (-1, CELL))
        states = cells.abs().amax(-1, keepdim=True)
        return Memory(states, torch.ones(states.shape[:2], dtype=torch.bool), self.layout)


class Reads(Search):
    """Writes a word for each stretch of sound, by its loudness; of one that has just begun, it is not sure which.

    From so many looks on it takes the first word for another, or does not hear it at all. It ends after so many words.
    """

    def __init__(self, takes_first_for: str | None = None, looks: int = 10_000, at_most: int = 10_000) -> None:
        super().__init__()
        self.takes_first_for, self.looks, self.at_most = takes_first_for, looks, at_most
        self.sizes: list[int] = []

    def __call__(self, model: Seq2Seq, memory: Memory, keys: object = None) -> list[list[Hypothesis]]:
        self.sizes.append(memory.states.shape[1])
        levels = (memory.states[0, :, 0] * 20).round().int().tolist()
        tokens, weights, place = [], [], 0
        for sound, run in groupby(levels, key=bool):
            found = list(run)
            size = len(found)
            if sound:
                tokens += TOKENIZER.encode("uh" if size < 4 else WORDS[max(found) - 1])
                weights.append(torch.zeros(1, len(levels)))
                weights[-1][:, place : place + size] = 1 / size
            place += size
        if len(self.sizes) > self.looks and tokens:
            replaced = TOKENIZER.encode(self.takes_first_for or "")
            tokens, weights = [*replaced, *tokens[1:]], weights[1 - len(replaced) :]
        tokens, weights = tokens[: self.at_most], weights[: self.at_most]
        attention = torch.stack(weights) if weights else torch.zeros(0, 1, len(levels))
        return [[Hypothesis(tokens, 0.0, torch.zeros(len(tokens)), attention)]]


class Decoder(nn.Module):
    def second_look(self, tokens: Tensor, memory: Memory) -> None:
        return None


def predictor_of(search: Search | None = None) -> Predictor:
    model = Seq2Seq(Loudness(), lambda **widths: Decoder(), len(TOKENIZER)).eval()
    model.place = nn.Parameter(torch.zeros(0))
    return Predictor(model, TOKENIZER, search or Reads(), RecordingReader(RATE), name="loudness")


def speech(words: Iterable[str], gap: float = 0.12, pause_every: int | None = None, pause: float = 1.2) -> tuple:
    """Words of 0.32 s, each as loud as its number, and when each ends."""
    pieces, ends = [np.zeros(round(0.2 * RATE))], []
    for number, word in enumerate(words, start=1):
        wave = np.sin(2 * np.pi * 500 / RATE * np.arange(8 * CELL)) * (WORDS.index(word) + 1) / 20
        pieces.append(wave)
        ends.append(sum(map(len, pieces)) / RATE)
        pieces.append(np.zeros(round((pause if pause_every and number % pause_every == 0 else gap) * RATE)))
    return np.concatenate(pieces).astype(np.float32), ends


def pieces_of(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[begin : begin + size] for begin in range(0, len(samples), size)]


def heard_by(live: Live, samples: np.ndarray, size: int = 400) -> list[Heard]:
    return list(live(pieces_of(samples, size)))


SAID = ["three", "one", "four", "one", "five", "two", "six", "five", "three"]


@pytest.mark.parametrize("size", [160, 800, 3000])
def test_words_become_sure_one_by_one_and_stay(size: int) -> None:
    samples, ends = speech(SAID)
    settings = LiveSettings(margin_seconds=0.1)
    found = heard_by(Live(predictor_of(), settings), samples, size)
    sure, sure_at = [], []
    for heard in found:
        sure += heard.words
        sure_at += [heard.seconds] * len(heard.words)
        assert [word.text for word in sure] == SAID[: len(sure)]
    assert [word.text for word in sure] == SAID
    assert any(word.text == "uh" for heard in found for word in heard.tentative)
    late = size / RATE + settings.margin_seconds + settings.agreement * max(0.1, size / RATE) + 0.05
    for word, end, at in zip(sure, ends, sure_at, strict=True):
        assert word.end == pytest.approx(end, abs=0.06)
        assert at - end < late
        assert at >= word.end + 0.1 or at == pytest.approx(len(samples) / RATE)


@pytest.mark.parametrize("other", ["eight", None])
def test_what_a_search_makes_of_sure_words_later_changes_nothing(other: str | None) -> None:
    search = Reads(other, looks=20)
    found = heard_by(Live(predictor_of(search), LiveSettings(margin_seconds=0.05)), speech(SAID)[0])
    assert len(search.sizes) > 30
    assert [word.text for heard in found for word in heard.words] == SAID


@pytest.mark.parametrize("seconds_of_silence", [1.0, 0.0])
def test_sound_behind_the_last_word_is_read_anew_where_the_search_has_ended_too_early(
    seconds_of_silence: float,
) -> None:
    samples = np.concatenate([speech(SAID)[0], np.zeros(round(seconds_of_silence * RATE), np.float32)])
    found = heard_by(Live(predictor_of(Reads(at_most=4))), samples)
    assert [word.text for heard in found for word in heard.words] == SAID


@pytest.mark.parametrize("pause_every", [4, None])
def test_a_long_session_needs_no_more_than_a_short_one(pause_every: int | None) -> None:
    said = [WORDS[number * number % 8] for number in range(120)]
    samples, ends = speech(said, pause_every=pause_every)
    search = Reads()
    live = Live(predictor_of(search), LiveSettings(max_seconds=6.0))
    longest, sure = 0, []
    for piece in pieces_of(samples, 800):
        heard = live.hear(piece)
        sure += heard.words if heard else []
        longest = max(longest, len(live._part.samples))
    last = live.finish()
    sure += last.words if last else []
    assert [word.text for word in sure] == said
    assert [word.end for word in sure] == pytest.approx(ends, abs=0.07)
    assert longest <= 6.3 * RATE < len(samples) / 5
    assert max(search.sizes) <= 6.3 * RATE / CELL
    assert live.seconds == pytest.approx(len(samples) / RATE)


def test_sound_that_never_becomes_sure_is_left_behind_too() -> None:
    samples = 0.2 * np.ones(20 * RATE, dtype=np.float32)
    samples[::2] *= -1
    live, longest = Live(predictor_of(), LiveSettings(max_seconds=3.0)), 0
    for piece in pieces_of(samples, 800):
        live.hear(piece)
        longest = max(longest, len(live._part.samples))
    assert longest <= 3.2 * RATE


def test_silence_is_no_word_and_takes_no_work() -> None:
    search = Reads()
    live = Live(predictor_of(search))
    assert heard_by(live, np.zeros(10 * RATE, dtype=np.float32)) == []
    assert not search.sizes
    assert len(live._part.samples) == 0
    assert heard_by(live, np.zeros(0, dtype=np.float32)) == []


def test_what_is_much_quieter_than_words_is_not_read() -> None:
    search = Reads()
    live = Live(predictor_of(search), LiveSettings(pause_seconds=0.5))
    samples, _ = speech(["eight", "seven"], pause_every=2, pause=1.0)
    noise = 0.002 * np.random.default_rng(0).uniform(-1, 1, 5 * RATE).astype(np.float32)
    heard_by(live, np.concatenate([samples, noise]))
    assert len(search.sizes) < 30


def test_pauses_before_words_are_not_read() -> None:
    samples, ends = speech(SAID, pause_every=3, pause=2.0)
    search = Reads()
    heard = heard_by(Live(predictor_of(search)), np.concatenate([np.zeros(3 * RATE, np.float32), samples]))
    words = [word for one in heard for word in one.words]
    assert [word.text for word in words] == SAID
    assert [word.end for word in words] == pytest.approx([3 + end for end in ends], abs=0.06)
    # Three words and what is between them, 0.1 s before, and after them what is waited for.
    assert max(search.sizes) * CELL / RATE < 3 * (0.32 + 0.12) + 0.1 + 0.8 + 0.2


def test_other_rates_and_channels_are_heard_as_files_are() -> None:
    samples, _ = speech(SAID[:3])
    slow = np.repeat(samples, 2)  # 16 kHz
    stereo = (32767 * np.stack([slow, slow])).astype(np.int16)
    chunks = (stereo[:, begin : begin + 700] for begin in range(0, stereo.shape[1], 700))
    words = [word.text for heard in predictor_of().live(chunks, 2 * RATE) for word in heard.words]
    assert words == SAID[:3]


def test_a_line_of_json_says_what_is_sure() -> None:
    heard = heard_by(Live(predictor_of()), speech(SAID[:1])[0])[-1]
    (word,) = heard.as_dict()["words"]
    assert word["word"] == "three"
    assert word["start"] < word["end"] < heard.as_dict()["seconds"]
    assert heard.as_dict()["tentative"] == ""


def test_only_recordings_are_heard() -> None:
    predictor = predictor_of()
    with pytest.raises(ValueError, match="trained without CTC"):
        Live(predictor, LiveSettings(word_times="ctc"))
    predictor.reader.modality = "picture"  # type: ignore[misc]
    with pytest.raises(ValueError, match="was trained on pictures; expected one that was trained on recordings"):
        next(predictor.live([]))
