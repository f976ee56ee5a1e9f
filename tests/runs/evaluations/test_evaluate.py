"""Evaluations of a small run of each task: their files, figures, texts, times and folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from multimodal_attn.__main__ import main
from multimodal_attn.commands.predict import predict_files
from multimodal_attn.measures import MEASURES
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.transcriber import Transcriber, decoder_of
from multimodal_attn.prediction.sources import read_all
from multimodal_attn.prediction.times.word_alignment import align_words
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load
from multimodal_attn.types import Hypothesis, Memory
from tests.inspection.page.test_page import read
from tests.runs.conftest import NOTES
from tests.runs.tiny import SHAPES, compose, run


@pytest.fixture(scope="module")
def speech_run(speech_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, as evaluations are written into a run."""
    return Path(shutil.copytree(speech_run, tmp_path_factory.mktemp("speech") / "run"))


@pytest.fixture(scope="module")
def picture_run(picture_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(picture_run, tmp_path_factory.mktemp("pictures") / "run"))


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_evaluation_writes_everything(picture_run: Path, search: str) -> None:
    metrics = evaluate(compose("evaluate", f"run={picture_run}", f"search={search}", "device=cpu"))
    folder = picture_run / "evaluation" / f"val_{search}"
    content = json.loads((folder / "metrics.json").read_text())
    ends = content.pop("intervals")
    assert content == metrics
    assert {"bleu_4", "cider_d", "pointing_accuracy", "attention_entropy", "confidence_error"} <= set(ends)
    assert all(low <= high for low, high in ends.values())
    assert (
        yaml.safe_load((folder / "config.yaml").read_text())["search"]["_target_"].lower().endswith(f"{search}search")
    )
    told = json.loads((folder / "environment.json").read_text())
    assert told["data"]["splits"]["val"]["examples"] == 8
    assert told["wall_seconds"] > 0
    assert metrics["num_examples"] == 8
    assert set(metrics) <= set(MEASURES)
    assert {"bleu_1", "bleu_4", "rouge_l", "cider_d", "pointing_accuracy", "num_skipped"} <= set(metrics)
    assert {"distinct_captions", "vocabulary_used", "training_captions", "training_vocabulary_used"} <= set(metrics)
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    weights = np.load(folder / "attention.npz")
    for prediction in predictions:
        assert weights[prediction["attention"]].shape[0] == len(prediction["tokens"])
        np.testing.assert_allclose(weights[prediction["attention"]].sum(-1), 1, atol=5e-3)
        assert len(prediction["gate"]) == len(prediction["tokens"])
        assert prediction["gate_name"] == "beta"
        assert len(prediction["confidence"]) == len(prediction["text"].split())
        assert all(0 < confidence < 1 for confidence in prediction["confidence"])
    assert (folder / "index.html").stat().st_size > 10_000


@pytest.mark.parametrize("search", ["beam", "sampling"])
def test_page_shows_the_texts_of_the_predictions(picture_run: Path, search: str) -> None:
    evaluate(compose("evaluate", f"run={picture_run}", f"search={search}", "device=cpu", "page_examples=4"))
    folder = picture_run / "evaluation" / f"val_{search}"
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    texts = {p["key"]: [p["text"], *(other["text"] for other in p["others"])] for p in predictions}
    page = read(folder / "index.html")
    keys = [example["key"] for example in page.json("overview")["examples"]]
    assert keys == [prediction["key"] for prediction in predictions[::2]]
    for number, key in enumerate(keys):
        assert [found["text"] for found in page.json(f"example-{number}")["hypotheses"]] == texts[key]


def test_faithfulness_is_measured_when_asked_for(picture_run: Path) -> None:
    overrides = ["split=test", "page_examples=1", "tag=short", "search.max_length=12", "device=cpu"]
    metrics = evaluate(
        compose("evaluate", f"run={picture_run}", "faithfulness=true", "faithfulness_examples=2", *overrides)
    )
    folder = picture_run / "evaluation" / "test_short"
    report = json.loads((folder / "faithfulness.json").read_text())
    assert report["num_examples"] == 2
    assert report["scores"].items() <= metrics.items()
    assert report["left_out"] == ["rollout is left out: the model has no layers of self-attention to go through"]
    for kind in ("deletion", "insertion"):
        low, high = report["intervals"][f"faithfulness_{kind}"]
        assert low <= metrics[f"faithfulness_{kind}"] <= high
        for place in ("memory", "input"):
            for curve in report["log_probability_of_a_word"][place][kind].values():
                assert len(curve) == len(report["shares"])
    # What does not beat chance stands on the page, word for word.
    page = (folder / "index.html").read_text()
    assert all(sentence in page for sentence in report["verdicts"])
    assert (folder / "faithfulness.png").stat().st_size > 10_000


def test_a_validation_calibrates_the_run(picture_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    shutil.copytree(picture_run, folder, ignore=shutil.ignore_patterns("evaluation", "calibration.json"))
    overrides = [f"run={folder}", "device=cpu", "page_examples=2"]
    plain = evaluate(compose("evaluate", *overrides, "split=test"))
    assert "confidence_error" not in plain
    assert load(folder)(np.zeros((48, 48, 3), np.uint8)).words[0].confidence is None
    with caplog.at_level("INFO"):  # other scenes say nothing of the run's own
        evaluate(compose("evaluate", *overrides, "data.seed=1"))
    assert "keeps its calibration, as data.seed is another here" in caplog.text
    assert not (folder / "calibration.json").exists()
    metrics = evaluate(compose("evaluate", *overrides))
    kept = json.loads((folder / "calibration.json").read_text())
    assert kept["temperature"] == pytest.approx(metrics["confidence_temperature"], abs=1e-4)
    tested = evaluate(compose("evaluate", *overrides, "split=test"))
    assert tested["confidence_temperature"] == kept["temperature"]
    word = load(folder)(np.zeros((48, 48, 3), np.uint8)).words[0]
    assert word.confidence is not None
    assert (word.confidence - 0.5) * (word.probability - 0.5) >= 0  # on the same side of one half
    page = read(folder / "evaluation" / "val" / "index.html")
    hypothesis = page.json("example-0")["hypotheses"][0]
    assert len(hypothesis["confidence"]) == len(hypothesis["words"])
    assert page.json("overview")["headline"][0]["interval"].count(" to ") == 1
    (folder / "calibration.json").write_text('{"temperature": -1}')
    with pytest.raises(ValueError, match=r"calibration\.json: holds no temperature"):
        load(folder)


def test_evaluations_lie_side_by_side(picture_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    shutil.copytree(picture_run, folder, ignore=shutil.ignore_patterns("evaluation"))
    overrides = [f"run={folder}", "device=cpu", "page_examples=1"]
    for more in ([], ["search=greedy"], ["search.width=2"], ["tag=mine"], ["search=greedy", "search.max_length=3"]):
        evaluate(compose("evaluate", *overrides, *more))
    names = {path.name for path in (folder / "evaluation").iterdir()}
    assert names == {"val", "val_greedy", "val_beam_width=2", "val_mine", "val_greedy_max_length=3"}
    assert not [record for record in caplog.records if "takes the place" in record.message]
    for more, what in (("search.width=3", "search.width"), ("search=greedy", "search")):
        caplog.clear()
        evaluate(compose("evaluate", *overrides, "tag=mine", more))
        (record,) = (record for record in caplog.records if "takes the place" in record.message)
        assert f"another {what}; another tag keeps both" in record.message
    with pytest.raises(ValueError, match="tag: 'a/b'; expected letters, digits"):
        evaluate(compose("evaluate", *overrides, "tag=a/b"))


def test_evaluation_takes_the_rules_that_the_run_was_validated_with(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, *SHAPES, "trainer.max_epochs=1", "search.max_length=6", "search.min_length=5", "search.forbidden=[a]")
    overrides = [f"run={folder}", "device=cpu", "page_examples=1"]

    def rules(*more: str) -> tuple[int, list[str]]:
        evaluate(compose("evaluate", *overrides, "tag=it", *more))
        node = yaml.safe_load((folder / "evaluation" / "val_it" / "config.yaml").read_text())["search"]
        return node.get("min_length", 0), node.get("forbidden", [])

    assert rules() == (5, ["a"])
    texts = [json.loads(line) for line in (folder / "evaluation/val_it/predictions.jsonl").read_text().splitlines()]
    assert all(5 <= len(text["tokens"]) <= 6 and "a" not in text["tokens"] for text in texts)
    assert rules("search.min_length=2") == (2, ["a"])
    assert rules("search.min_length=0") == (0, ["a"])
    assert rules("search=greedy") == (0, [])
    assert rules("search=greedy", "search_rules=run") == (5, ["a"])


def test_an_evaluation_is_logged_to_the_run_of_its_training(picture_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    folder = tmp_path / "run"
    shutil.copytree(picture_run, folder, ignore=shutil.ignore_patterns("evaluation"))
    (folder / "wandb").mkdir()
    (folder / "wandb" / "wandb.id").write_text("abcd1234")
    evaluate(compose("evaluate", f"run={folder}", "device=cpu", "page_examples=1", "logger=wandb"))
    assert list((folder / "wandb").glob("offline-run-*-abcd1234"))
    assert not (folder / "metrics.jsonl").read_text().count("evaluation/")  # plain files have their own folder


def test_scores_that_need_java_never_fail_an_evaluation(
    picture_run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("multimodal_attn.evaluation.texts.java_scores.shutil.which", lambda name: None)
    monkeypatch.setattr("multimodal_attn.evaluation.texts.java_scores.importlib.util.find_spec", lambda name: object())
    overrides = ["extra_scores=[meteor]", "search.forced_words=[red]", "device=cpu", "page_examples=1"]
    metrics = evaluate(compose("evaluate", f"run={picture_run}", *overrides))
    assert "cider_d" in metrics
    assert "meteor" not in metrics
    assert [r.message for r in caplog.records if "extra_scores: meteor is left out: there is no java" in r.message]
    lines = (picture_run / "evaluation" / "val_beam_forced_words=red" / "predictions.jsonl").read_text().splitlines()
    assert all("red" in json.loads(line)["text"].split() for line in lines)


def test_extra_scores_are_of_captions(speech_run: Path) -> None:
    with pytest.raises(ValueError, match=r"extra_scores: spice; expected \[\] with TranscriptScores"):
        evaluate(compose("evaluate", f"run={speech_run}", "extra_scores=[spice]", "device=cpu"))


def test_evaluation_of_speech_scores_words(speech_run: Path) -> None:
    metrics = evaluate(compose("evaluate", f"run={speech_run}", "device=cpu"))
    assert {"wer", "cer", "substitutions", "deletions", "insertions"} <= set(metrics)
    assert metrics["wer"] < 0.2


def test_words_have_times_by_ctc_when_asked_for(speech_run: Path) -> None:
    overrides = [f"run={speech_run}", "device=cpu", "page_examples=1"]
    evaluate(compose("evaluate", *overrides))
    folder = speech_run / "evaluation" / "val"

    def predictions() -> list[dict]:
        return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]

    by_attention = predictions()
    metrics = evaluate(compose("evaluate", *overrides, "word_times=ctc", "transcripts=[ctm,textgrid]"))
    assert set(metrics) <= set(MEASURES)
    by_ctc = predictions()
    assert metrics["num_without_ctc_path"] == 0
    differ = 0
    for one, other in zip(by_attention, by_ctc, strict=True):
        assert (one["word_times"], other["word_times"]) == ("attention", "ctc")
        assert [word["word"] for word in one["words"]] == [word["word"] for word in other["words"]]
        assert [word["word"] for word in other["words"]] == other["text"].split()
        differ += one["words"] != other["words"]
        rows = [line.split() for line in (folder / "words" / f"{other['key']}.ctm").read_text().splitlines()]
        assert [(row[4], float(row[2])) for row in rows] == [(word["word"], word["start"]) for word in other["words"]]
        assert (folder / "words" / f"{other['key']}.TextGrid").is_file()
        # Notes of 0.3 s: CTC writes each while it sounds, or soon after.
        for index, word in enumerate(other["words"]):
            assert 0.3 * index - 0.1 < word["start"] < 0.3 * index + 0.5
    assert differ > 4


def test_word_times_that_a_run_cannot_give_are_refused(picture_run: Path) -> None:
    for override, expected in (
        ("word_times=ctc", r"word_times: ctc; .* was trained without CTC"),
        ("word_times=guess", r"word_times: 'guess'; expected 'attention' or 'ctc'"),
        ("transcripts=[srt]", r"transcripts: \['srt'\]; expected some of .* for a run of recordings"),
    ):
        with pytest.raises(ValueError, match=expected):
            evaluate(compose("evaluate", f"run={picture_run}", "device=cpu", override))


def test_texts_that_look_wrong_are_flagged_and_counted(speech_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [([], False), ([4] * 40, False), ([4, 5] * 4, True), ([4, 5], True), ([4, 5], False)]
    expected = [["empty"], ["looped"], ["looped", "hit_max_length"], ["hit_max_length"], []]

    def decode(self: Predictor, memory: Memory, keys: list[str]) -> list[list[Hypothesis]]:
        size = memory.mask.shape[1]
        made = [
            Hypothesis(tokens, -1.0, torch.zeros(len(tokens)), torch.full((len(tokens), 1, size), 1 / size), cut)
            for tokens, cut in shapes
        ]
        return [[made[index % 5], made[(index + 1) % 5]] for index in range(len(memory.mask))]

    monkeypatch.setattr(Predictor, "decode", decode)
    metrics = evaluate(compose("evaluate", f"run={speech_run}", "device=cpu", "word_times=ctc"))
    path = speech_run / "evaluation" / "val" / "predictions.jsonl"
    predictions = [json.loads(line) for line in path.read_text().splitlines()]
    assert [p["flags"] for p in predictions] == (2 * expected)[:8]
    assert [p["others"][0]["flags"] for p in predictions] == (2 * expected)[1:9]
    assert predictions[0]["words"] == []
    # The long loop has more words than CTC finds room for in a second.
    assert [p["word_times"] for p in predictions] == ["ctc", "attention", *["ctc"] * 4, "attention", "ctc"]
    assert metrics["num_without_ctc_path"] == 2
    assert len(predictions[1]["words"]) == 40
    assert (metrics["num_empty"], metrics["num_looped"], metrics["num_hit_max_length"]) == (2, 4, 3)


def test_every_scorer_of_every_text_stands_in_the_predictions(speech_run: Path) -> None:
    evaluate(compose("evaluate", f"run={speech_run}", "device=cpu", "search.ctc_weight=0.3", "search.length_bonus=0.1"))
    path = speech_run / "evaluation" / "val_beam_ctc_weight=0.3_length_bonus=0.1" / "predictions.jsonl"
    for line in path.read_text().splitlines():
        prediction = json.loads(line)
        texts = [prediction, *prediction["others"]]
        assert [text["score"] for text in texts] == sorted((text["score"] for text in texts), reverse=True)
        assert len(texts) > 1
        for text in texts:
            assert set(text["scores"]) == {"decoder", "ctc", "length"}
            assert sum(text["scores"].values()) == pytest.approx(text["score"])


def test_predictor_reads_files_and_skips_what_it_cannot(speech_run: Path, notes: Path) -> None:
    predictor = load(speech_run)
    paths = [notes / "val0.flac", notes / "train.csv", notes / "missing.wav"]
    record, *skipped = predict_files(predictor, read_all(predictor.reader, paths))
    assert set(record.text.split()) <= set(NOTES)
    assert [Path(error.path).name for error in skipped] == ["train.csv", "missing.wav"]
    assert "expects a recording" in skipped[0].reason


def test_long_recording_is_transcribed_in_parts(speech_run: Path, notes: Path, tmp_path: Path) -> None:
    rows = [line.split(",") for line in (notes / "val.csv").read_text().splitlines()[1:]]
    rest, expected, sound = np.zeros(6400), [], []
    for name, text in rows * 2:
        sound += [soundfile.read(notes / name)[0], rest]
        expected += text.split()
    path = tmp_path / "long.flac"
    soundfile.write(path, np.concatenate(sound), 16000)
    transcriber = Transcriber(decoder_of(load(speech_run)), 16000, max_seconds=2.0, overlap_seconds=0.2)
    words = transcriber(path).words
    found = [word.text for word in words]
    errors = sum(a is None or b is None or found[a] != expected[b] for a, b in align_words(found, expected))
    assert errors / len(expected) < 0.1
    assert all(0 <= word.start <= word.end <= len(np.concatenate(sound)) / 16000 + 0.05 for word in words)


def test_transcripts_are_written_in_every_format_asked_for(
    speech_run: Path, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transcribe", str(speech_run), *(str(notes / f"val{index}.flac") for index in range(2))]
    output = ["--word-times", "ctc", "--output", str(tmp_path / "out")]
    assert main([*command, "--format", "srt,vtt,ctm,textgrid,json", *output]) == 0
    capsys.readouterr()
    endings = ("TextGrid", "ctm", "json", "srt", "vtt")
    names = [f"val{index}.{ending}" for index in range(2) for ending in endings]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for index in range(2):
        words = json.loads((tmp_path / "out" / f"val{index}.json").read_text())["words"]
        rows = [line.split() for line in (tmp_path / "out" / f"val{index}.ctm").read_text().splitlines()]
        assert [row[4] for row in rows] == [word["word"] for word in words]
        assert {row[0] for row in rows} == {f"val{index}"}
    for arguments, expected in (
        (["--format", "srt"], "--format srt: 2 recordings are a file each; expected --output FOLDER"),
        (["--format", "srt,doc"], "--format: 'doc'; expected one or more of txt,json,srt,vtt,ctm,textgrid"),
        (["--word-times", "guess"], "word_times: 'guess'; expected 'attention' or 'ctc'"),
    ):
        assert main([*command, *arguments]) == 2
        assert expected in capsys.readouterr().err
