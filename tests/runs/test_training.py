"""A tiny real training of each task through train.py's own code: it learns, resumes exactly, and evaluates."""

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
from multimodal_attn.prediction.location import find_checkpoint
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.transcriber import Transcriber, decoder_of
from multimodal_attn.prediction.sources import read_all
from multimodal_attn.prediction.times.word_alignment import align_words
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load
from multimodal_attn.runs.resumption import resumed_settings
from multimodal_attn.types import Hypothesis, Memory
from tests.inspection.page.test_page import read
from tests.runs.tiny import SHAPES, SMALL, compose, lines, run, values, weights_of

NOTES = {"low": 300.0, "mid": 900.0, "high": 2700.0}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of one to three notes with silence around them, and a manifest that names them; one file is broken."""
    folder = tmp_path_factory.mktemp("notes")
    random, silence = np.random.default_rng(0), np.random.default_rng(1)
    for split, number in (("train", 160), ("val", 8)):
        rows = ["audio,text"]
        for index in range(number):
            words = [str(word) for word in random.choice(list(NOTES), size=random.integers(1, 4))]
            seconds = np.arange(int(16000 * 0.3)) / 16000
            tones = [np.sin(2 * np.pi * NOTES[word] * seconds) * np.hanning(len(seconds)) for word in words]
            around = [np.zeros(length) for length in silence.integers(0, 4800, size=2)]
            waveform = np.concatenate([around[0], *tones, around[1]])
            soundfile.write(folder / f"{split}{index}.flac", 0.3 * waveform, 16000)
            if (split, index) == ("train", 2):
                words *= 40  # more than any recording of a second could hold
            rows.append(f"{split}{index}.flac,{' '.join(words)}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    # A header that promises sound, and no sound: only reading it shows what is wrong.
    broken = (folder / "train0.flac").read_bytes()
    (folder / "train1.flac").write_bytes(broken[: len(broken) // 4])
    return folder


@pytest.fixture(scope="module")
def speech_run(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech") / "run"
    run(
        folder,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'train.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_size=8",
        "encoder=pyramid_lstm",  # of all listeners the one that learns from the fewest recordings
        "encoder.hidden_dim=32",
        "trainer.precision=32-true",
        "encoder.front_end.num_mels=24",
        "encoder.front_end.speeds=[]",
        "encoder.front_end.num_time_masks=0",
        "encoder.front_end.num_mel_masks=0",
        "tokenizer=word",
        "optimizer.lr=0.005",
        "trainer.max_epochs=12",
        *SMALL,
    )
    return folder


@pytest.fixture(scope="module")
def picture_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "run"
    run(folder, *SHAPES, "trainer.max_epochs=2")
    return folder


def test_speech_training_learns(speech_run: Path) -> None:
    errors = values(speech_run, "val/wer")
    assert len(errors) == 12
    assert min(errors) < 0.2
    assert {"train/cross_entropy", "train/ctc", "train/loss"} <= {key for line in lines(speech_run) for key in line}


def test_what_cannot_be_trained_on_is_listed(speech_run: Path) -> None:
    skipped = dict(line.split("\t") for line in (speech_run / "skipped.txt").read_text().splitlines())
    assert {Path(path).name for path in skipped} == {"train1.flac", "train2.flac"}
    assert skipped["train2.flac"].startswith("its text is too long for CTC (needs ")


def test_picture_training_learns(picture_run: Path) -> None:
    losses = values(picture_run, "val/loss")
    assert losses[-1] < losses[0]
    assert 0 <= values(picture_run, "val/pointing_accuracy")[-1] <= 1
    assert len(list((picture_run / "media" / "attention").rglob("*.png"))) == 4
    overview = read(picture_run / "attention.html").json("overview")
    shown = {figure["name"]: float(figure["value"].rstrip(" %")) for figure in overview["headline"]}
    assert shown["cider_d"] == pytest.approx(values(picture_run, "val/cider_d")[-1], abs=1e-3)


def test_hard_attention_and_boxes_learn_through_their_objectives(tmp_path: Path) -> None:
    objectives = "objective=[cross_entropy,hard_attention,box_supervision]"
    run(
        tmp_path / "run",
        *SHAPES,
        "attention=hard",
        "attention.estimator=reinforce",
        objectives,
        "objective.box_supervision.weight=1",
        "trainer.max_epochs=3",
    )
    supervised = values(tmp_path / "run", "val/box_supervision")
    assert supervised[-1] < supervised[0]
    baseline = weights_of(tmp_path / "run")["objectives.hard_attention.baseline"]
    assert -10 < float(baseline) < 0  # of a text's tokens, after training


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


@pytest.mark.parametrize("stop", ["epoch", "batch"])
def test_resumed_run_equals_the_uninterrupted_one(stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*SHAPES, "decoder.dropout=0.2", "callbacks.attention_maps.num_examples=0"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *overrides, "trainer.max_epochs=3")
    if stop == "epoch":
        # The schedule must be that of three epochs: stop by hand, not by max_epochs.
        with monkeypatch.context() as patch:
            patch.setattr("multimodal_attn.training.module.Seq2SeqModule.on_train_epoch_start", interrupt_in_epoch(1))
            with pytest.raises(KeyboardInterrupt):
                run(broken, *overrides, "trainer.max_epochs=3")
    else:
        with monkeypatch.context() as patch:
            patch.setattr(
                "multimodal_attn.training.module.Seq2SeqModule.on_train_batch_start", interrupt_in_batch(1, 3)
            )
            with pytest.raises(KeyboardInterrupt):
                run(broken, *overrides, "trainer.max_epochs=3")
    assert (broken / "checkpoints" / "last.ckpt").is_file()
    run(broken, resume=broken)
    expected, found = weights_of(whole), weights_of(broken)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    assert values(broken, "val/cider_d")[-1] == values(whole, "val/cider_d")[-1]


@pytest.mark.parametrize(
    "hook",
    [
        *("on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"),
        *("on_validation_epoch_end", "on_validation_end", "on_train_epoch_end"),
    ],
)
def test_interrupted_validation_is_done_again(hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    overrides = [*SHAPES, "callbacks.attention_maps.num_examples=0", "trainer.max_epochs=2"]
    run(whole, *overrides)
    with monkeypatch.context() as patch:
        # The first callback to hear of it: before the checkpoint of this validation is written.
        patch.setattr(f"multimodal_attn.training.callbacks.collapse.CollapseDetector.{hook}", interrupt, raising=False)
        with pytest.raises(KeyboardInterrupt):
            run(broken, *overrides)
    run(broken, resume=broken)
    for name, tensor in weights_of(whole).items():
        torch.testing.assert_close(weights_of(broken)[name], tensor, msg=name)
    assert values(broken, "val/cider_d")[-2:] == values(whole, "val/cider_d")


def test_max_steps_ends_a_run_before_its_first_validation(tmp_path: Path) -> None:
    run(tmp_path / "run", *SHAPES, "trainer.max_steps=3")  # of eight in an epoch
    assert [file.name for file in (tmp_path / "run" / "checkpoints").iterdir()] == ["last.ckpt"]
    assert values(tmp_path / "run", "val/cider_d") == []


def test_what_ends_between_two_validations_is_saved(tmp_path: Path) -> None:
    by_steps = ["trainer.max_epochs=-1", "+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=50"]
    run(tmp_path / "run", *SHAPES, *by_steps, "trainer.max_steps=3")
    assert torch.load(find_checkpoint(tmp_path / "run", "last"), weights_only=True)["global_step"] == 3
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_run_that_was_moved_keeps_its_best_checkpoint(tmp_path: Path) -> None:
    first, moved = tmp_path / "first", tmp_path / "moved"
    run(first, *SHAPES, "trainer.max_steps=8", "data.num_examples={train:64,val:2,test:2}")
    last = torch.load(first / "checkpoints" / "last.ckpt", weights_only=True)
    for name, state in last["callbacks"].items():
        if "ModelCheckpoint" in name and state["best_model_score"] is not None:
            score = torch.tensor(9.0)  # which no later one reaches
            state.update(best_model_score=score, kth_value=score)
            state["best_k_models"] = dict.fromkeys(state["best_k_models"], score)
    torch.save(last, first / "checkpoints" / "last.ckpt")
    best = (first / "checkpoints" / "best.ckpt").read_bytes()
    first.rename(moved)
    run(moved, "trainer.max_steps=16", resume=moved)
    assert torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 16
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == best


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


def interrupt_in_epoch(epoch: int):
    def on_train_epoch_start(self) -> None:
        if self.current_epoch == epoch:
            raise KeyboardInterrupt

    return on_train_epoch_start


def interrupt_in_batch(epoch: int, batch: int):
    from multimodal_attn.training.module import Seq2SeqModule

    original = Seq2SeqModule.on_train_batch_start

    def on_train_batch_start(self, examples, index: int) -> None:
        if (self.current_epoch, index) == (epoch, batch):
            raise KeyboardInterrupt
        original(self, examples, index)

    return on_train_batch_start


def noisy(notes: Path) -> list[str]:
    """A speech training with everything that draws at random or counts, on 40 recordings."""
    rows = (notes / "train.csv").read_text().splitlines()
    (notes / "few.csv").write_text("\n".join(rows[:1] + rows[4:44]) + "\n")
    return [
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'few.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_seconds=6",
        "data.short_first_epochs=1",
        "trainer.precision=32-true",
        "trainer.max_epochs=3",
        "encoder=conv_lstm",
        "encoder.channels=[2,4]",
        "encoder.hidden_dim=8",
        "encoder.num_layers=1",
        "encoder.front_end.num_mels=16",
        "encoder.front_end.noise.probability=0.5",
        "encoder.front_end.reverberation.probability=0.5",
        *SMALL,
        "encoder.dropout=0.2",
        "callbacks.attention_maps.num_examples=0",
    ]


def test_resumed_speech_equals_the_uninterrupted_one(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics of frames, distortions and batches by duration; trying the largest batch once more leaves no trace."""
    overrides = noisy(notes)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *overrides)
    with monkeypatch.context() as patch:
        patch.setattr("multimodal_attn.training.module.Seq2SeqModule.on_train_batch_start", interrupt_in_batch(1, 2))
        with pytest.raises(KeyboardInterrupt):
            run(broken, *overrides)
    run(broken, resume=broken)
    expected, found = weights_of(whole), weights_of(broken)
    assert expected["model.encoder.front_end.count"] > 0
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)


def test_batch_that_does_not_fit_is_named_before_training(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def forward(self, batch, sampling_probability=0.0):
        tried.append(len(batch))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("multimodal_attn.models.seq2seq.Seq2Seq.forward", forward)
    with pytest.raises(ValueError, match=r"data.batch_seconds: 6; the largest batch \(\d+ recordings.*20.00 GiB"):
        run(tmp_path / "run", *noisy(notes))
    assert len(tried) == 1
    assert tried[0] > 3


def test_resuming_refuses_another_model(picture_run: Path) -> None:
    config = compose("train", f"resume={picture_run}", "attention=dot", "run_dir=x", "cache_dir=x")
    with pytest.raises(ValueError, match="attention=dot: a resumed run keeps its parts"):
        resumed_settings(config, [f"resume={picture_run}", "attention=dot"])


def test_resuming_takes_single_values(picture_run: Path) -> None:
    overrides = [f"resume={picture_run}", "trainer.max_epochs=7"]
    config = resumed_settings(compose("train", *overrides, "run_dir=x", "cache_dir=x"), overrides)
    assert config["trainer"]["max_epochs"] == 7
    assert config["data"]["image_size"] == 48


def test_checkpoint_is_plain_and_rebuilds_the_run(picture_run: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    assert set(content["hyper_parameters"]) == {"config", "tokenizer"}
    restored = load(picture_run)
    for name, tensor in restored.model.state_dict().items():
        torch.testing.assert_close(tensor, content["state_dict"][f"model.{name}"])


def test_moved_run_goes_on_where_it_is_now(picture_run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(picture_run, moved)
    before = len(lines(picture_run))
    run(moved, "trainer.max_epochs=3", resume=moved)
    assert len(lines(picture_run)) == before
    assert values(moved, "val/loss")[-1] != values(picture_run, "val/loss")[-1]


def test_what_the_checkpoint_restores_cannot_be_changed(picture_run: Path) -> None:
    for override in ("optimizer.lr=1", "+attention=dot", "~callbacks.early_stopping", "experiment=other"):
        with pytest.raises(ValueError, match="a resumed run keeps its parts"):
            resumed_settings(compose("train", f"resume={picture_run}", "run_dir=x", "cache_dir=x"), [override])


def test_pictures_are_refused_by_an_encoder_of_speech(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the data are pictures, but the encoder takes recordings"):
        run(tmp_path / "run", *SHAPES[:3], "encoder=pyramid_lstm", "+data.sample_rate=16000")


def test_truncated_checkpoint_is_named(picture_run: Path, tmp_path: Path) -> None:
    whole = find_checkpoint(picture_run).read_bytes()
    path = tmp_path / "torn.ckpt"
    for size in (len(whole) // 2, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"torn.ckpt is not a readable checkpoint"):
            load(path)


def test_checkpoint_without_a_weight_is_refused(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    del content["state_dict"]["model.decoder.vocabulary.bias"]
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match=r"best.ckpt: it has no weight decoder.vocabulary.bias; expected one of shape"):
        load(tmp_path / "best.ckpt")


def test_other_vocabulary_is_refused_with_both_sizes(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    words = content["hyper_parameters"]["tokenizer"]["words"]
    content["hyper_parameters"]["tokenizer"]["words"] = words[:-3]
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    rows = content["state_dict"]["model.decoder.vocabulary.weight"].shape[0]
    with pytest.raises(ValueError, match=rf"vocabulary of {rows} tokens, but its tokenizer has {rows - 3}"):
        load(path)


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the folder of a trained run"):
        load(tmp_path / "nowhere")


def test_non_finite_steps_are_skipped_and_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multimodal_attn.training.callbacks.non_finite import TrainingDivergedError
    from multimodal_attn.training.objectives.cross_entropy import CrossEntropy

    original = CrossEntropy.forward
    monkeypatch.setattr(CrossEntropy, "forward", lambda *arguments: original(*arguments) * torch.nan)
    folder = tmp_path / "run"
    with pytest.raises(TrainingDivergedError, match=r"lower\s+optimizer.lr"):
        run(folder, *SHAPES, "callbacks.non_finite.max_in_a_row=3")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())
    shutil.rmtree(folder)


def test_self_critical_run_starts_with_weights_and_tokenizer_of_another(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    folder = tmp_path / "fine"
    overrides = [f"init_from={picture_run}", "objective=self_critical", "data.texts_per_source=null", *SHAPES]
    # Another vocabulary, if it were built anew; so small a rate leaves the weights that the run started with.
    run(
        folder,
        *overrides,
        "tokenizer.max_size=9",
        "optimizer.lr=1e-30",
        "trainer.max_epochs=1",
        "trainer.log_every_n_steps=4",
    )
    restored = load(folder)
    assert restored.tokenizer.state()["words"] == content["hyper_parameters"]["tokenizer"]["words"]
    for name, tensor in restored.model.named_parameters():
        torch.testing.assert_close(tensor, content["state_dict"][f"model.{name}"], msg=name)
    assert len(values(folder, "train/self_critical")) > 0
    assert values(folder, "val/self_critical")[-1] <= 0
    assert torch.load(find_checkpoint(folder), weights_only=True)["epoch"] == 0
    run(folder, resume=folder)  # a resumed run does not start from the other one again


def test_objectives_mix(picture_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    run(
        folder,
        *SHAPES,
        "objective=[cross_entropy,self_critical]",
        "objective.self_critical.weight=0.3",
        "objective.self_critical.baseline=greedy",
        f"init_from={picture_run}",
        "trainer.max_epochs=1",
    )
    last = {name: values(folder, f"val/{name}")[-1] for name in ("loss", "cross_entropy", "self_critical")}
    assert last["loss"] == pytest.approx(last["cross_entropy"] + 0.3 * last["self_critical"], rel=1e-4)


def test_ctc_counts_in_its_first_epochs_only(notes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(
        folder,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'val.csv'}",
        f"data.val={notes / 'val.csv'}",
        "encoder.hidden_dim=16",
        "trainer.precision=32-true",
        "objective=[cross_entropy,ctc]",
        "objective.ctc.epochs=1",
        "trainer.max_epochs=3",
        "trainer.log_every_n_steps=1",
        *SMALL,
    )
    for split in ("train", "val"):
        loss, by_text, by_ctc = (values(folder, f"{split}/{name}") for name in ("loss", "cross_entropy", "ctc"))
        assert len(loss) == 3
        assert min(by_ctc) > 0.1  # it is still computed
        assert loss == pytest.approx([by_text[0] + 0.3 * by_ctc[0], *by_text[1:]], rel=1e-4)


def test_init_from_names_what_does_not_fit(picture_run: Path, tmp_path: Path) -> None:
    start = [f"init_from={picture_run}", *SHAPES]
    with pytest.raises(ValueError, match=r"init_from: the run holds another model .*decoder.hidden_dim: 32, there 48"):
        run(tmp_path / "a", *start, "decoder.hidden_dim=32")
    with pytest.raises(ValueError, match=r"init_from brings a WordTokenizer; .*not CharacterTokenizer"):
        run(tmp_path / "b", *start, "tokenizer=character")
    with pytest.raises(ValueError, match="objective: self_critical alone cannot teach"):
        run(tmp_path / "c", *SHAPES, "objective=self_critical")


def test_minimum_word_error_fine_tunes_a_run_of_speech(
    speech_run: Path, notes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = torch.load(find_checkpoint(speech_run), weights_only=True)["hyper_parameters"]["config"]
    assert config["init_from"] is None
    folder = tmp_path / "fine"
    run(
        folder,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'train.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_size=8",
        "encoder=pyramid_lstm",
        "encoder.hidden_dim=32",
        "trainer.precision=32-true",
        "encoder.front_end.num_mels=24",
        "tokenizer=word",
        "objective=minimum_word_error",  # without the CTC head that the first run had
        "objective.minimum_word_error.max_length=6",
        f"init_from={speech_run}",
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        *SMALL,
    )
    (told,) = [each for each in caplog.messages if each.startswith("init_from: ")]
    left_out, *differing = told.split("; ")[1:]
    assert left_out == "left out of that run: ctc_head"
    assert differing[0] == "here encoder.front_end.num_mel_masks is 2, there 0"
    assert 0 <= values(folder, "val/minimum_word_error")[-1] < 0.5
    assert values(folder, "val/wer")[-1] < 0.5
