"""A tiny real training on text: it learns to translate and to look at the right word, and does all that a run does."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from multimodal_attn.__main__ import main
from multimodal_attn.prediction.recordings.transcriber import decoder_of
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load, load_run
from multimodal_attn.types import TokenAxis
from tests.commands.process import python
from tests.inspection.page.test_page import read
from tests.runs.tiny import SHAPES, SMALL, compose, run, values

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strings of two to four numbers; the translation says them backwards."""
    folder = tmp_path_factory.mktemp("numbers")
    sentences = [words for length in (2, 3, 4) for words in itertools.permutations(WORDS, length)]
    np.random.default_rng(0).shuffle(order := np.arange(len(sentences)))
    for split, chosen in (("train", order[16:]), ("val", order[:16])):
        pairs = [sentences[index] for index in chosen]
        (folder / f"{split}.de").write_text("".join(" ".join(words) + "\n" for words in pairs), "utf-8")
        backwards = [" ".join(WORDS[word] for word in reversed(words)) for words in pairs]
        (folder / f"{split}.en").write_text("".join(text + "\n" for text in backwards), "utf-8")
    return folder


def arguments(corpus: Path, *more: str) -> list[str]:
    return [
        "experiment=align_translate_multi30k",
        f"data.root={corpus}",
        "tokenizer=word",
        "tokenizer@source_tokenizer=word",
        "encoder.hidden_dim=24",
        "data.batch_size=8",
        "trainer.precision=32-true",
        "optimizer.lr=0.01",
        "trainer.max_epochs=12",
        *SMALL,
        *more,
    ]


@pytest.fixture(scope="module")
def translation_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translation") / "run"
    run(folder, *arguments(corpus))
    return folder


def test_translation_learns(translation_run: Path) -> None:
    assert values(translation_run, "val/bleu")[-1] > 0.9
    assert len(list((translation_run / "media" / "attention").rglob("*.png"))) == 24
    assert read(translation_run / "attention.html").json("overview")["examples"][0]["view"] == "text"


def test_attention_goes_to_the_word_that_is_translated(translation_run: Path, corpus: Path) -> None:
    predictor = load(translation_run)
    sentences = (corpus / "val.de").read_text("utf-8").splitlines()
    hits = []
    for record in predictor(sentences):
        source = sentences[len(hits)].split()
        assert record.source.tolist() == [*source, "<eos>"]
        peaks = record.word_weights.argmax(axis=1)
        hits.append([peak == len(source) - 1 - word for word, peak in enumerate(peaks)])
    assert len(hits) == len(sentences)
    assert sum(map(sum, hits)) / sum(map(len, hits)) > 0.6  # by chance 0.2


def test_evaluation_and_faithfulness(translation_run: Path) -> None:
    overrides = [f"run={translation_run}", "faithfulness=true", "faithfulness_examples=8"]
    metrics = evaluate(compose("evaluate", *overrides))
    assert metrics["bleu"] > 0.9
    assert metrics["chrf"] > 0.9
    assert metrics["num_examples"] == 16
    # A word needs the one source word that it translates, before encoding as after.
    folder = translation_run / "evaluation" / "val"
    ends = json.loads((folder / "metrics.json").read_text())["intervals"]
    assert ends["faithfulness_deletion"][0] > 0
    assert ends["faithfulness_input_deletion"][0] > 0
    first = json.loads((folder / "predictions.jsonl").read_text("utf-8").splitlines()[0])
    assert set(first["references"][0].split()) <= set(WORDS.values())
    assert "word_times" not in first
    assert "tokens" in read(folder / "index.html").json("example-0")["hypotheses"][0]


def test_checkpoint_brings_both_vocabularies(translation_run: Path) -> None:
    loaded = load_run(translation_run, overrides={"data.root": "nowhere"}).predictor
    assert loaded.source_tokenizer is not None
    assert loaded.source_tokenizer.encode("eins")[0] > 3
    assert loaded.tokenizer.encode("one")[0] > 3
    assert isinstance(loaded.model.encoder.layout, TokenAxis)


def test_resumed_translation_equals_the_uninterrupted_one(corpus: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    run(whole, *arguments(corpus, "scheduler=constant", "trainer.max_epochs=2"))
    # By the command, which writes down what was chosen: data=parallel_text, that has no root of its own, is read again.
    first = arguments(corpus, "scheduler=constant", "trainer.max_epochs=1", f"hydra.run.dir={halves}")
    for given in (first, [f"resume={halves}", "trainer.max_epochs=2"]):
        done = python("train.py", *given)
        assert done.returncode == 0, done.stderr
    weights = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for f in (whole, halves)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_predict_translates_the_lines_of_files(
    translation_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, empty = tmp_path / "a.txt", tmp_path / "empty.txt"
    text.write_text("eins zwei\n\nvier drei\n", "utf-8")
    empty.write_text("\n")
    assert main(["predict", str(translation_run), str(text), str(empty), str(tmp_path / "b.txt")]) == 0
    printed = capsys.readouterr()
    found = dict(line.split("\t")[:2] for line in printed.out.splitlines())
    assert list(found) == [f"{text}:1", f"{text}:3"]
    assert found[f"{text}:1"] == load(translation_run)("eins  zwei").text
    assert f"skipped {empty}: holds no text (this run expects a text file)" in printed.err
    assert "2 texts read, 2 skipped" in printed.err


def test_what_a_text_run_cannot_do_is_refused(translation_run: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"was trained on texts; expected one that was trained on recordings"):
        decoder_of(load(translation_run))
    with pytest.raises(ValueError, match=r"transcripts: \['srt'\]; expected some of"):
        evaluate(compose("evaluate", f"run={translation_run}", "transcripts=[srt]"))
    with pytest.raises(ValueError, match=r"TextLSTM reads texts, and there is no tokenizer for them"):
        run(tmp_path / "none", *arguments(corpus, "~tokenizer@source_tokenizer"))
    with pytest.raises(ValueError, match=r"source_tokenizer: these data have pictures or recordings"):
        run(tmp_path / "scenes", "tokenizer@source_tokenizer=word", "data.num_examples={train:8,val:8,test:8}")
    with pytest.raises(ValueError, match=r"the data are texts, but the encoder takes recordings"):
        run(tmp_path / "ears", *arguments(corpus, "encoder=pyramid_lstm", "+data.sample_rate=16000"))
    with pytest.raises(ValueError, match=r"'data.sample_rate' not found: these data are of another kind than the enc"):
        run(tmp_path / "deaf", *arguments(corpus, "encoder=pyramid_lstm"))
    with pytest.raises(ValueError, match=r"objective: ctc reads recordings .* not a TokenAxis"):
        run(tmp_path / "time", *arguments(corpus, "objective=[cross_entropy,ctc]"))
    with pytest.raises(ValueError, match=r"encoder.num_layer: TextLSTM has no such setting; did you mean .*num_layers"):
        run(tmp_path / "keys", *arguments(corpus, "+encoder.num_layer=3"))


def test_new_run_starts_with_both_vocabularies_of_another(translation_run: Path, corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    run(folder, *arguments(corpus, f"init_from={translation_run}", "trainer.max_epochs=1", "optimizer.lr=1e-5"))
    assert values(folder, "val/bleu")[-1] > 0.9
    with pytest.raises(ValueError, match=r"source_tokenizer: init_from brings a WordTokenizer; expected the same"):
        run(
            tmp_path / "other",
            *arguments(corpus, f"init_from={translation_run}", "tokenizer@source_tokenizer=character"),
        )


def test_texts_start_from_no_run_of_pictures(corpus: Path, tmp_path: Path) -> None:
    run(tmp_path / "scenes", *SHAPES, "trainer.max_steps=1", "trainer.limit_val_batches=0")
    with pytest.raises(ValueError, match=r"init_from: that run reads no texts"):
        run(tmp_path / "texts", *arguments(corpus, f"init_from={tmp_path / 'scenes'}"))


def test_built_in_dates_are_learnt_and_their_alignment_is_measured(tmp_path: Path) -> None:
    run(
        tmp_path / "run",
        "experiment=align_translate_dates",
        "data.num_examples={train:400,val:24,test:8}",
        "data.batch_size=8",
        "encoder.hidden_dim=32",
        "optimizer.lr=0.01",
        "trainer.max_epochs=4",
        *SMALL,
    )
    found = {name: values(tmp_path / "run", f"val/alignment_{name}")[-1] for name in ("accuracy", "uniform")}
    assert found["accuracy"] > 2 * found["uniform"]
    assert values(tmp_path / "run", "val/cer")[-1] < 0.6
    assert "links" in read(tmp_path / "run" / "attention.html").json("example-0")["hypotheses"][0]
