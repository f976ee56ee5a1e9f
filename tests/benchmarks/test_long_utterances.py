from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import long_utterances
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from tests.benchmarks.conftest import untrained


def test_every_length_of_every_run(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        untrained(tmp_path / name, "experiment=listen_attend_spell_digits", "data.root=gone", f"attention={name}")
        for name in ("location", "additive")
    ]
    found, drawn = tmp_path / "found.json", tmp_path / "found.png"
    options = ["--digits", "6", "2", "--strings", "3", "--batch-size", "2", "--width", "2", "--root", str(root)]
    long_utterances.main([*map(str, runs), *options, "--json", str(found), "--figure", str(drawn)])
    results = json.loads(found.read_text())
    assert list(results) == [str(run) for run in runs]
    for rows in results.values():
        assert [row["digits"] for row in rows] == [2, 6]
        for row in rows:
            # Each digit lasts 0.2 s, each silence 0.05 to 0.25 s.
            assert 0.25 * row["digits"] < row["seconds"] < 0.45 * row["digits"] + 0.25
            assert row["wer"] == pytest.approx(row["substitutions"] + row["deletions"] + row["insertions"])
            assert row["wer"] > 0.5
    printed = capsys.readouterr().out
    assert "| digits | seconds |" in printed
    assert f"| 6 | {results[str(runs[0])][1]['seconds']:.1f} |" in printed
    assert drawn.stat().st_size > 10_000


def test_long_texts_are_not_cut_by_the_limit_of_short_ones(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["experiment=listen_attend_spell_digits", f"data.root={root}", "search.max_length=20"]
    run = long_utterances.load_digits_run(untrained(tmp_path / "run", *overrides), None)
    with torch.no_grad():  # it writes an "e" until it is cut off
        vocabulary = run.predictor.model.decoder.vocabulary
        vocabulary.weight.zero_()
        vocabulary.bias.copy_(100.0 * torch.nn.functional.one_hot(torch.tensor(5), len(vocabulary.bias)))
    row = long_utterances.measure(run, "val", digits=4, strings=1, width=1, ctc_weight=0.0, batch_size=1)
    assert (row["num_looped"], row["num_hit_max_length"]) == (1, 1)
    lengths: list[int] = []
    monkeypatch.setattr(
        TranscriptScores, "__call__", lambda _, texts, references: lengths.extend(map(len, texts)) or {}
    )
    long_utterances.measure(run, "val", digits=4, strings=1, width=1, ctc_weight=0.0, batch_size=1)
    assert 20 < lengths[0] <= long_utterances.LONGEST_DIGIT * 4


def test_other_runs_are_refused(tmp_path: Path) -> None:
    other = untrained(tmp_path / "run", "experiment=listen_attend_spell_grid", "data.root=gone")
    with pytest.raises(ValueError, match="was trained on GridCorpus; expected a run of data=digits"):
        long_utterances.load_digits_run(other, None)
