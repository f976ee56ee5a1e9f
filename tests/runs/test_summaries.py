"""A tiny real training that learns to copy names that it has never seen, and all that a run does with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from multimodal_attn.__main__ import main
from multimodal_attn.data.datasets.reports import Reports
from multimodal_attn.data.modalities import text
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load
from multimodal_attn.types import UnreadableError
from tests.inspection.page.test_page import read
from tests.runs.tiny import SMALL, compose, run, values


def arguments(*more: str) -> list[str]:
    return [
        "experiment=point_generate_reports",
        "data.num_examples={train:600,val:16}",
        "data.num_distractors=1",
        "data.batch_tokens=1000",
        "tokenizer.min_count=6",
        "source_tokenizer.min_count=6",
        "encoder.hidden_dim=24",
        "encoder.embedding_dim=24",
        "optimizer.lr=0.01",
        "trainer.max_epochs=4",
        *SMALL,
        *more,
    ]


@pytest.fixture(scope="module")
def reports_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "run"
    run(folder, *arguments())
    return folder


def test_it_learns_to_copy(reports_run: Path) -> None:
    assert values(reports_run, "val/unknown_words")[-1] > 0.5
    assert values(reports_run, "val/copy_accuracy")[-1] > 0.7


def test_a_name_is_written_that_no_text_of_the_training_had(reports_run: Path) -> None:
    predictor = load(reports_run)
    found = predictor("on monday Zanzibar discovered seven coins in Quito .")
    assert predictor.tokenizer.encode("Zanzibar Quito") == [3, 3]
    assert {"Zanzibar", "Quito"} & set(found.text.split())
    assert found.source.tolist() == [*"on monday Zanzibar discovered seven coins in Quito .".split(), "<eos>"]
    assert predictor("").source.tolist() == ["<eos>"]  # nothing to copy is no error
    assert found.copied
    for index in found.copied:
        assert found.words[index].text in found.source
        assert 0 <= found.words[index].gate <= 1


def test_evaluation_measures_copying_and_shows_it(reports_run: Path) -> None:
    settings = compose("evaluate", f"run={reports_run}", "search=beam", "search.width=2", "faithfulness=true")
    metrics = evaluate(settings)
    names = ("rouge1", "exact", "rouge1_first", "rouge2_oracle", "novel_2grams", "copy_place_accuracy", "names_written")
    assert all(0 <= metrics[name] <= 1 for name in names)
    assert "num_cut" not in metrics
    folder = reports_run / "evaluation" / "val_beam_width=2"
    texts = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    sources = Reports("val", 16, num_distractors=1).source_texts()
    assert texts[0]["gate_name"] == "copying"
    names = [word for line in texts for word in line["text"].split() if word[0].isupper()]
    assert names
    assert all(name in " ".join(sources) for name in names)
    page = read(folder / "index.html")
    hypothesis = page.json("example-0")["hypotheses"][0]
    assert hypothesis["copied"]
    assert hypothesis["charts"][0]["title"] == "Probability of copying"


def test_long_sources_are_cut_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [{"source": f"Anna{n} met Bert{n} .", "targets": [f"Anna{n} met", f"Bert{n} met"]} for n in range(12)]
    lines[3]["source"] += " and then some"
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    folder = tmp_path / "run"
    run(
        folder,
        "experiment=summaries",
        f"data.train={tmp_path / 'mine.jsonl'}",
        f"data.val={tmp_path / 'mine.jsonl'}",
        "data.max_source_tokens=4",
        "tokenizer.min_count=2",
        "source_tokenizer.min_count=2",
        "encoder.hidden_dim=8",
        "trainer.max_steps=1",
        "trainer.val_check_interval=1",
        *SMALL,
    )
    assert "mine.jsonl:4\tcut off: 7 words, more than data.max_source_tokens=4" in (folder / "cut.txt").read_text()
    metrics = evaluate(compose("evaluate", f"run={folder}", "search=greedy", "checkpoint=last"))
    assert metrics["num_cut"] == 1
    assert (folder / "evaluation" / "val_last_greedy" / "cut.txt").read_text().count("cut off") == 1
    (tmp_path / "lines.txt").write_text("Ida met Otto .\n\nIda met Otto . and more\n", "utf-8")
    capsys.readouterr()
    assert main(["predict", str(folder), str(tmp_path / "lines.txt")]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == [f"{tmp_path / 'lines.txt'}:3: cut off: 6 words, more than data.max_source_tokens=4"]
    read, write = os.pipe()
    os.write(write, b"Ida met Otto . and more\nAnna1 met Bert1 .\n")
    os.close(write)
    monkeypatch.setattr(text, "STANDARD_INPUT", f"/dev/fd/{read}")
    assert main(["predict", str(folder), "-"]) == 0
    printed = capsys.readouterr()
    assert [line.partition("\t")[0] for line in printed.out.splitlines()] == ["-:1", "-:2"]
    assert printed.err == "-:1: cut off: 6 words, more than data.max_source_tokens=4\n"
    assert load(folder)("Ida met Otto . and more").source.tolist() == ["ida", "met", "otto", ".", "<eos>"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("decoder=align_translate", r"decoder: it cannot copy words of the source, which this tokenizer does"),
        ("tokenizer=word", r"tokenizer: it cannot copy words of the source, which this decoder does"),
        ("tokenizer@source_tokenizer=character", r"source_tokenizer: .*expected tokenizer@source_tokenizer=word"),
        ("data.batch_tokens=9", r"data.batch_tokens: 9; the longest example has \d+ tokens"),
    ],
)
def test_what_does_not_go_together_is_refused(choice: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, UnreadableError), match=expected):
        run(tmp_path / "run", *arguments(choice))
