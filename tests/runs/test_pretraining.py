"""Encoders and whole models learn from texts alone and start others; tiny, but through train.py's own code."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import multimodal_attn
from multimodal_attn.__main__ import main
from multimodal_attn.evaluation.cloze import Gaps
from multimodal_attn.prediction.checkpoint import read_checkpoint
from multimodal_attn.runs.data import normalizer_of
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.loading import load
from multimodal_attn.types import MASK
from tests.inspection.page.test_page import read
from tests.runs.tiny import SHAPES, SMALL, compose, lines, run, values, weights_of

NOUNS = {"hund": "dog", "ball": "ball", "mann": "man"}
COLORS = {"rot": "red", "blau": "blue", "grau": "gray"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word and the word that goes with it, and the same again: each hidden word can be told from its twin."""
    folder = tmp_path_factory.mktemp("twins")
    pairs = list(itertools.product(NOUNS.items(), COLORS.items()))
    for split, chosen in (("train", pairs * 24), ("val", pairs)):
        german, english = zip(
            *((f"{c} {n} und {n} {c}", f"{d} {m} and {m} {d}") for (n, m), (c, d) in chosen), strict=True
        )
        (folder / f"{split}.de").write_text("\n".join(german) + "\n")
        (folder / f"{split}.en").write_text("\n".join(english) + "\n")
    return folder


def masked(corpus: Path, *more: str) -> list[str]:
    return [
        *("experiment=masked_language_model", "data=parallel_text", f"data.root={corpus}", "tokenizer=word"),
        *("encoder.hidden_dim=32", "encoder.num_layers=2", "encoder.num_heads=2", "encoder.dropout=0"),
        *("trainer.accelerator=cpu", "trainer.precision=32-true", "data.batch_size=8", "scheduler.warmup_steps=5"),
        *("optimizer.lr=0.005", "trainer.max_epochs=8", *more),
    ]


def translator(corpus: Path, *more: str) -> list[str]:
    words = ("tokenizer=word", "tokenizer@source_tokenizer=word")
    sizes = ("encoder.hidden_dim=32", "encoder.num_layers=2", "encoder.num_heads=2", "trainer.precision=32-true")
    return [
        *(
            "experiment=transformer_multi30k",
            f"data.root={corpus}",
            *words,
            *sizes,
            *(one for one in SMALL if not one.startswith("attention.")),
        ),
        *("data.batch_size=8", "trainer.max_epochs=1", *more),
    ]


@pytest.fixture(scope="module")
def masked_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masked") / "run"
    run(folder, *masked(corpus))
    return folder


def test_it_learns_what_the_other_words_tell(masked_run: Path) -> None:
    accuracy = values(masked_run, "val/masked_accuracy")
    assert accuracy[-1] > 0.9
    assert accuracy[-1] > accuracy[0]
    assert values(masked_run, "val/masked_perplexity")[-1] < 2
    assert values(masked_run, "val/masked_perplexity")[-1] == pytest.approx(
        math.exp(values(masked_run, "val/loss")[-1]), rel=1e-4
    )


def test_gaps_are_filled_from_python_and_the_command_line(masked_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloze = multimodal_attn.load_cloze(masked_run)
    found = cloze("rot ___ und hund ___", candidates=3)
    assert cloze("rot ___ und hund rot").text == "hund"
    assert found.source.tolist() == ["rot", "___", "und", "hund", "___", "<eos>"]
    assert cloze("zebra ___ und").source.tolist() == ["<unk: zebra>", "___", "und", "<eos>"]
    assert all(len(offered) == 3 for offered in found.candidates)
    for (word, _, _), offered in zip(found.word_tokens, found.candidates, strict=True):
        assert word == offered[0][0]
        assert [p for _, p in offered] == sorted((p for _, p in offered), reverse=True)
    np.testing.assert_allclose(found.weights.sum(-1), 1, rtol=1e-5)
    assert cloze.pseudo_perplexity(["rot hund und hund rot"]) < cloze.pseudo_perplexity(["und rot und rot hund"])
    assert main(["cloze", str(masked_run), "rot ___ und hund rot", "--candidates", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("  hund ")
    assert main(["cloze", str(masked_run), "rot ___ und hund rot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["candidates"][0][0][0] == "hund"
    assert main(["cloze", str(masked_run), "Rot ___ und hund rot zebra"]) == 0
    assert capsys.readouterr().err == "not in the vocabulary, and read as <unk>: Rot zebra\n"
    lower = replace(cloze, normalize=str.lower)
    assert lower("ROT ___ und Hund rot").text == "hund"
    assert lower.unknown_words("ROT ___ zebra") == ["zebra"]
    for arguments, message in (
        (["no gap"], "'no gap' has no gap; expected ___"),
        (["___", "--candidates", "0"], "--candidates: 0"),
    ):
        assert main(["cloze", str(masked_run), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_gap_is_filled_in_texts_as_the_model_has_learnt_them() -> None:
    dialogues = compose("train", "experiment=masked_language_model_dialogsum", "data.root=folder")
    assert normalizer_of(dialogues)("How are you, Mr. ") == "how are you , mr ."
    plain = compose("train", "experiment=masked_language_model", "data=parallel_text", "data.root=folder")
    assert normalizer_of(plain)(" Two  Dogs .") == "Two Dogs ."


def test_log_probabilities_are_those_of_one_text_at_a_time(masked_run: Path) -> None:
    cloze = multimodal_attn.load_cloze(masked_run)
    tokens = cloze.tokenizer.encode("rot hund und hund rot")
    texts = [Gaps(str(i), [*tokens[:i], MASK, *tokens[i + 1 :]], [(i, i + 1)], tokens) for i in range(5)]
    texts.append(Gaps("short", [MASK, *tokens[1:3]], [(0, 1)], tokens[:3]))
    together = cloze.log_probs(texts)
    assert together == pytest.approx([cloze.log_probs([text])[0] for text in texts], abs=1e-5)
    surprise, number = cloze.surprise("rot hund und hund rot")
    assert number == 5
    assert surprise == pytest.approx(-sum(together[:5]), abs=1e-4)


def test_evaluation_writes_figures_and_the_page(masked_run: Path) -> None:
    metrics = evaluate(compose("evaluate", f"run={masked_run}", "device=cpu", "page_examples=4"))
    assert metrics["masked_accuracy"] == pytest.approx(values(masked_run, "val/masked_accuracy")[-1], abs=0.12)
    assert metrics["masked_accuracy"] > metrics["masked_accuracy_frequent"]
    assert metrics["pseudo_perplexity"] < 2
    folder = masked_run / "evaluation" / "val"
    page = read(folder / "index.html")
    overview, example = page.json("overview"), page.json("example-0")
    assert [figure["name"] for figure in overview["headline"]][:2] == ["masked_accuracy", "pseudo_perplexity"]
    assert len(overview["examples"]) == 4
    assert "___" in example["source"]
    (chart,) = example["hypotheses"][0]["charts"]
    assert chart["script"] == "candidates"
    assert chart["data"][0]["true"] in dict(chart["data"][0]["words"])
    assert overview["examples"][0]["layers"] == [["encoder", [2, 2]]]
    assert page.json("layers-0")["parts"][0]["shape"] == [1, len(example["source"])]
    assert len(json.loads((folder / "heads.json").read_text())["encoder"]) == 2
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == metrics["num_examples"] == 9
    with pytest.raises(ValueError, match=r"faithfulness: True; expected False, as a masked language model writes"):
        evaluate(compose("evaluate", f"run={masked_run}", "faithfulness=true"))
    with pytest.raises(ValueError, match=r"is a masked language model, which writes nothing"):
        load(masked_run)


def test_resumed_pretraining_equals_the_uninterrupted_one(corpus: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    constant = masked(corpus, "scheduler=constant")
    run(whole, *constant, "trainer.max_epochs=2")
    run(halves, *constant, "trainer.max_epochs=1")
    run(halves, "trainer.max_epochs=2", resume=halves)
    for name, tensor in weights_of(whole).items():
        assert torch.equal(weights_of(halves)[name], tensor), name


def test_its_encoder_starts_a_translator(
    corpus: Path, masked_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        run(tmp_path / "run", *translator(corpus, f"init_from={masked_run}", "optimizer.lr=1e-9"))
    told = f"init_from: starts with the encoder of {masked_run / 'checkpoints' / 'best.ckpt'}"
    assert f"{told}; begins afresh here: decoder" in caplog.messages
    before = read_checkpoint(masked_run / "checkpoints" / "best.ckpt")
    after = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    encoder = {name: tensor for name, tensor in before.weights.items() if name.startswith("model.encoder.")}
    assert len(encoder) > 10
    for name, tensor in encoder.items():
        torch.testing.assert_close(after.weights[name], tensor, msg=name)
    assert after.tokenizers["source_tokenizer"] == before.tokenizers["tokenizer"]
    assert set(after.tokenizers["tokenizer"]["words"]) == {*NOUNS.values(), *COLORS.values(), "and"}
    assert load(tmp_path / "run")("rot hund und hund rot").source.tolist()[:2] == ["rot", "hund"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("encoder.num_layers=1", r"init_from: the run holds another encoder .*differ: encoder.num_layers: 1, there 2"),
        ("tokenizer@source_tokenizer=character", r"source_tokenizer: init_from brings a WordTokenizer; expected"),
        ("data.texts=all", r"data.texts: all; there would be nothing to read"),
    ],
)
def test_what_does_not_fit_a_translator_is_refused(
    change: str, expected: str, corpus: Path, masked_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=expected):
        run(tmp_path / "run", *translator(corpus, f"init_from={masked_run}", change))


def test_other_runs_and_settings_are_refused(corpus: Path, masked_run: Path, tmp_path: Path) -> None:
    cases = {
        (*SHAPES, f"init_from={masked_run}"): r"init_from: that run's encoder reads texts",
        tuple(
            masked(corpus, "encoder._target_=multimodal_attn.models.encoders.pictures.image_conv.ImageConv")
        ): r"encoder: .*not a class of the kind TextEncoder",
        tuple(
            masked(corpus, "data.texts=null")
        ): r"data.texts: None with data.corrupted_share=0; a language model learns",
        tuple(masked(corpus, "data.corrupted_share=0.2")): r"data.texts: source with data.corrupted_share=0.2",
        tuple(masked(corpus, "masking.share=0")): r"masking.share: 0; expected more than 0",
    }
    for arguments, expected in cases.items():
        with pytest.raises(ValueError, match=expected):
            run(tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_missing_spans_teach_a_model_that_another_run_starts_from(corpus: Path, tmp_path: Path) -> None:
    pretrained, tuned = tmp_path / "pretrained", tmp_path / "tuned"
    spans = ("experiment=span_corruption_multi30k", "trainer.max_epochs=2", "optimizer.lr=0.005")
    run(pretrained, *translator(corpus)[1:], *spans)
    assert values(pretrained, "val/cross_entropy")[-1] < 0.5 * math.log(len(load(pretrained).tokenizer))
    shown = load(pretrained)("rot ① und hund rot")
    assert shown.source.tolist()[:3] == ["rot", "①", "und"]
    run(tuned, *translator(corpus, f"init_from={pretrained}", "optimizer.lr=1e-9"))
    before, after = read_checkpoint(pretrained / "checkpoints" / "best.ckpt").weights, weights_of(tuned)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, msg=name, atol=1e-4, rtol=0)
    assert lines(tuned)


@pytest.mark.slow
def test_resumed_span_corruption_equals_the_uninterrupted_one(corpus: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    spans = [*translator(corpus)[1:], "experiment=span_corruption_multi30k", "scheduler=constant"]
    run(whole, *spans, "trainer.max_epochs=2")
    run(halves, *spans)
    run(halves, "trainer.max_epochs=2", resume=halves)
    for name, tensor in weights_of(whole).items():
        assert torch.equal(weights_of(halves)[name], tensor), name


def test_a_strangers_checkpoint_builds_nothing_that_is_not_trusted(masked_run: Path, tmp_path: Path) -> None:
    content = torch.load(masked_run / "checkpoints" / "best.ckpt", weights_only=True)
    config = content["hyper_parameters"]["config"]
    cases = {
        "data": ({**config["data"], "_target_": "os.system"}, r"data: 'os.system' is not of this package"),
        "encoder": ({**config["encoder"], "hidden_dim": 10**6}, r"weight .*; expected .* as its configuration says"),
    }
    for key, (node, message) in cases.items():
        content["hyper_parameters"]["config"] = {**config, key: node}
        torch.save(content, tmp_path / "odd.ckpt")
        with pytest.raises(ValueError, match=message):
            evaluate(compose("evaluate", f"run={tmp_path / 'odd.ckpt'}"))
