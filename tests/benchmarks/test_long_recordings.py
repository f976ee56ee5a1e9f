from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import long_recordings
from multimodal_attn.prediction.recordings.live import LiveSettings
from multimodal_attn.types import Example, Target
from tests.benchmarks.conftest import untrained
from tests.prediction.recordings.test_live import RATE, SAID, predictor_of, speech


def test_pieces_last_so_long_at_any_speed() -> None:
    tone = torch.sin(torch.arange(60 * RATE // 10) / 9)  # 6 s
    source = [Example(str(number), tone, (Target("a"),)) for number in range(5)]
    for speed, number in ((1.0, 2), (2.0, 4), (0.5, 1), (0.1, 1), (9.0, 5)):
        pieces = long_recordings.pieces_of(source, 0.2, speed, RATE)  # type: ignore[arg-type]
        assert [piece.key for piece in pieces] == [str(one) for one in range(number)]
        assert all(len(piece.source) == pytest.approx(len(tone) / speed, abs=1) for piece in pieces)
    assert long_recordings.pieces_of(source, 0.1, 1.0, RATE)[0].source is tone  # type: ignore[arg-type]


def test_all_three_ways_write_all_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_recordings, "BATCH_SIZE", 1)
    predictor, said = predictor_of(), [SAID[first : first + 3] for first in (0, 3, 6)] * 2
    pieces = [Example(str(number), torch.from_numpy(speech(words)[0])) for number, words in enumerate(said)]
    texts = [" ".join(words) for words in said]
    assert long_recordings.alone(predictor, pieces) == texts
    whole = np.concatenate([piece.source for piece in pieces])
    assert long_recordings.transcribed(predictor, whole, 3.0) == " ".join(texts)
    assert long_recordings.live(predictor, whole, LiveSettings()) == " ".join(texts)


def test_a_row_for_each_speed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = untrained(tmp_path / "run", "experiment=listen_attend_spell_digits", "data.root=gone", "search.max_length=6")
    options = ["--minutes", "0.1", "--width", "1", "--root", str(root), "--period", "1", "--max-seconds", "3"]
    long_recordings.main([str(run), *options, "--speeds", "0.5", "2"])
    long_recordings.main([str(run), *options, "--speeds", "1", "--not-live"])
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["speed", "---", "0.5", "2", "speed", "---", "1"]
    slow, fast, plain = lines[2], lines[3], lines[6]
    # Pieces at half the speed last four times as long as at twice it.
    assert int(fast[2]) > 2 * int(slow[2]) > 0
    assert {slow[1], fast[1], plain[1]} == {"0.1"}
    for rate in (*slow[3:], *fast[3:], *plain[3:5]):
        assert rate.endswith(" %")
        assert float(rate[:-2]) > 50  # it has learned nothing
    assert plain[5] == "-"
