"""A language model learns from a file, helps a captioning run to choose, and is refused where it does not fit."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pytest
import torch

import multimodal_attn
from multimodal_attn.__main__ import main
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.language_model import load_language_model
from multimodal_attn.runs.loading import load
from multimodal_attn.types import BOS, EOS
from tests.inspection.page.test_page import read
from tests.runs.tiny import SHAPES, compose, lines, run, values, weights_of

SENTENCES = ["the red circle", "the blue square", "a red circle", "a blue square"]
SMALL = [
    "experiment=language_model",
    "trainer.accelerator=cpu",
    "language_model.embedding_dim=16",
    "language_model.hidden_dim=32",
    "language_model.num_layers=1",
    "language_model.dropout=0",
    "optimizer.lr=0.02",
    "scheduler.warmup_steps=5",
    "data.batch_size=8",
]


def text_files(folder: Path) -> list[str]:
    (folder / "train.txt").write_text("\n\n".join(s.capitalize() + "." for s in SENTENCES * 16) + "\n  \n")
    (folder / "val.txt").write_text("\n".join(SENTENCES) + "\n")
    return [f"data.train={folder / 'train.txt'}", f"data.val={folder / 'val.txt'}"]


@pytest.fixture(scope="module")
def language_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    run(folder / "run", *SMALL, *text_files(folder), "tokenizer=word", "trainer.max_epochs=8")
    return folder / "run"


@pytest.fixture(scope="module")
def picture_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "run"
    run(folder, *SHAPES, "data.num_examples={train:32,val:6,test:6}", "trainer.max_epochs=2", "search.max_length=9")
    return folder


@pytest.fixture(scope="module")
def caption_language_run(picture_run: Path) -> Path:
    folder = picture_run.parent / "language"
    data = ["data=shapes", "data.num_examples={train:64,val:8,test:8}"]
    run(folder, *SMALL, *data, f"vocabulary_of={picture_run}", "tokenizer=character", "trainer.max_epochs=3")
    return folder


def test_perplexity_falls_to_that_of_the_sentences(language_run: Path) -> None:
    perplexities = values(language_run, "val/perplexity")
    assert len(perplexities) == 8
    # Two articles, then two colours, then the colour's noun, then <eos>: 2 log 2 over 4 tokens.
    assert perplexities[0] > 2
    assert perplexities[-1] == pytest.approx(math.sqrt(2), abs=0.1)
    assert perplexities[-1] == pytest.approx(math.exp(values(language_run, "val/loss")[-1]), rel=1e-4)
    assert {"train/loss", "train/learning_rate"} <= {key for line in lines(language_run) for key in line}


def test_a_model_of_texts_alone_learns_the_words_of_a_run_that_copies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = ["tokenizer=copying_word", "tokenizer.min_count=2", "data.batch_size=64", "trainer.max_epochs=1"]
    with caplog.at_level("INFO"):
        run(tmp_path / "a run", *SMALL, *text_files(tmp_path), *few)
    assert multimodal_attn.load_writer(tmp_path / "a run").tokenizer.copies
    _, _, command = caplog.messages[-1].partition("evaluate with: ")
    assert shlex.split(command) == ["multimodal-attn", "evaluate", f"run={tmp_path / 'a run'}"]


def test_it_knows_which_words_follow(language_run: Path) -> None:
    content = torch.load(language_run / "checkpoints" / "best.ckpt", weights_only=True)
    words = content["hyper_parameters"]["tokenizer"]["words"]
    ids = {word: 4 + index for index, word in enumerate(words)}
    assert set(words) == {"the", "a", "red", "blue", "circle", "square"}  # normalised, without the capitals and stops

    model = load_language_model(
        language_run, WordTokenizer.from_state({"words": words, "min_count": 1, "max_size": None})
    )
    text = torch.tensor([[BOS, ids["the"], ids["red"], ids["circle"]]])
    probabilities = model(text).softmax(-1)[0]
    assert probabilities[1, [ids["red"], ids["blue"]]].sum() > 0.9
    assert probabilities[3, EOS] > 0.9


def test_it_writes_from_a_prompt(language_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(language_run), "--prompt", "the blue", "--samples", "4", "--top-p", "0.5"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] in ("the blue circle", "the blue square")
    assert main(["generate", str(language_run), "--prompt", "The BLUE,", "--samples", "1"]) == 0  # as it was trained
    assert capsys.readouterr().out.startswith("the blue ")
    path = language_run.parent / "written.html"
    assert main([*command, "--page", "--page-path", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"attention page: {path}"
    page = read(path)
    assert [example["text"].split()[:2] for example in page.json("overview")["examples"]] == [["the", "blue"]] * 4
    assert page.json("example-0")["hypotheses"][0]["charts"]
    assert main([*command, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 4
    assert all(line["text"].startswith("the blue ") for line in found)
    assert [line["score"] for line in found] == sorted((line["score"] for line in found), reverse=True)

    writer = multimodal_attn.load_writer(language_run)
    assert {written.text for written in writer(num_samples=30, top_p=0.9)} == set(SENTENCES)
    assert writer.perplexity(SENTENCES) == pytest.approx(values(language_run, "val/perplexity")[-1], rel=1e-3)
    assert writer.perplexity(["circle the red the"]) > 10 * writer.perplexity(SENTENCES)


def test_evaluation_reads_texts_and_writes_the_page(language_run: Path) -> None:
    metrics = evaluate(compose("evaluate", f"run={language_run}", "device=cpu", "page_examples=2"))
    assert metrics["perplexity"] == pytest.approx(values(language_run, "val/perplexity")[-1], rel=1e-3)
    folder = language_run / "evaluation" / "val"
    page = read(folder / "index.html")
    overview, example = page.json("overview"), page.json("example-0")
    assert [figure["name"] for figure in overview["headline"]] == ["perplexity"]
    assert len(overview["examples"]) == 2
    assert example["source"][0] == "⟨start⟩"
    probability, candidates = example["hypotheses"][0]["charts"]
    assert probability["data"] == pytest.approx([0.5, 0.5, 1.0], abs=0.2)  # two articles, two colors, one noun
    assert candidates["data"][2]["true"] == candidates["data"][2]["words"][0][0]
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["text"] for line in predictions] == SENTENCES
    total = sum(value for line in predictions for value in line["log_probs"])
    assert math.exp(-total / 16) == pytest.approx(metrics["perplexity"], rel=1e-4)
    assert not (folder / "heads.json").exists()
    with pytest.raises(ValueError, match=r"search: beam_width=9; expected none, as a language model has no source"):
        evaluate(compose("evaluate", f"run={language_run}", "search.width=9"))


def test_the_page_shows_what_its_layers_read(tmp_path: Path) -> None:
    small = ("language_model=transformer", "language_model.dim=16", "language_model.num_layers=2")
    common = [each for each in SMALL if not each.startswith("language_model.")]
    arguments = (*common, *small, *text_files(tmp_path), "tokenizer=word", "trainer.max_epochs=1")
    run(tmp_path / "run", *arguments)
    evaluate(compose("evaluate", f"run={tmp_path / 'run'}", "device=cpu"))
    folder = tmp_path / "run" / "evaluation" / "val"
    page = read(folder / "index.html")
    assert [each["layers"] for each in page.json("overview")["examples"]] == [[["decoder", [4, 4]]]] * 4
    assert page.json("layers-3")["parts"][0]["shape"] == [1, 3]
    heads = json.loads((folder / "heads.json").read_text())
    assert (heads["num_examples"], len(heads["decoder"]), len(heads["decoder"][0])) == (4, 2, 4)


def test_a_prompt_that_cannot_be_is_refused(
    language_run: Path, picture_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        (language_run, "--prompt", "the zebra"): "prompt: 'zebra'; expected words of the model's vocabulary",
        (language_run, "--prompt", "the red", "--max-length", "2"): "max_length: 2; expected more than",
        (language_run, "--top-p", "0"): "--top-p: 0.0; expected",
        (language_run, "--samples", "0"): "--samples: 0; expected",
        (picture_run,): "is no language model; expected a run of one",
    }
    for (folder, *options), message in cases.items():
        assert main(["generate", str(folder), *options]) == 2
        assert message in capsys.readouterr().err


def test_training_goes_on_from_a_checkpoint(language_run: Path, tmp_path: Path) -> None:
    files = text_files(tmp_path)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *SMALL, *files, "trainer.max_epochs=2", "scheduler=constant")
    run(broken, *SMALL, *files, "trainer.max_epochs=1", "scheduler=constant")
    run(broken, "trainer.max_epochs=2", resume=broken)
    for name, tensor in weights_of(whole).items():
        torch.testing.assert_close(weights_of(broken)[name], tensor, msg=name)


def predictions(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "evaluation" / "val_it" / "predictions.jsonl").read_text().splitlines()]


def decode(run: Path, *overrides: str) -> list[dict]:
    evaluate(compose("evaluate", f"run={run}", "device=cpu", "page_examples=1", "tag=it", *overrides))
    return predictions(run)


def test_a_beam_decodes_with_it(picture_run: Path, caption_language_run: Path) -> None:
    alone = decode(picture_run)
    fused = decode(picture_run, f"search.language_model={caption_language_run}", "search.language_model_weight=1.5")
    assert [p["text"] for p in alone] != [p["text"] for p in fused]
    for prediction in fused:
        for text in (prediction, *prediction["others"]):
            assert set(text["scores"]) == {"decoder", "language_model"}
            assert sum(text["scores"].values()) == pytest.approx(text["score"])
    assert all(set(p["scores"]) == {"decoder"} for p in alone)


@pytest.mark.parametrize("search", ["beam", "greedy", "diverse_beam", "sampling"])
def test_forbidden_words_are_written_by_no_search(picture_run: Path, search: str) -> None:
    free = decode(picture_run, f"search={search}")
    word = free[0]["text"].split()[0]
    assert all(
        word not in p["text"].split() for p in decode(picture_run, f"search={search}", f"search.forbidden=[{word}]")
    )
    with pytest.raises(ValueError, match=r"search.forbidden: 'zebra'"):
        decode(picture_run, f"search={search}", f"search.forbidden=[{word},zebra]")


def test_what_does_not_fit_is_refused(picture_run: Path, language_run: Path, caption_language_run: Path) -> None:
    weight = "search.language_model_weight=0.3"
    with pytest.raises(ValueError, match=r"search.language_model: .* has a vocabulary of 10 tokens, the run one of"):
        decode(picture_run, f"search.language_model={language_run}", weight)
    with pytest.raises(ValueError, match=r"search.language_model: .* is no language model"):
        decode(picture_run, f"search.language_model={picture_run}", weight)
    with pytest.raises(ValueError, match=r"search.language_model: 'nowhere' has no checkpoints"):
        decode(picture_run, "search.language_model=nowhere", weight)
    with pytest.raises(ValueError, match=r"search.language_model_weight: 0.0 with search.language_model"):
        decode(picture_run, f"search.language_model={caption_language_run}")
    with pytest.raises(ValueError, match=r"search.ctc_weight: 0.3; this model was trained without CTC"):
        decode(picture_run, "search.ctc_weight=0.3")
    with pytest.raises(ValueError, match=r"is a language model, which reads nothing"):
        load(language_run)


def test_tokenizers_of_one_size_are_told_apart(language_run: Path) -> None:
    other = WordTokenizer().fit(["a blue circle red square these"])
    with pytest.raises(ValueError, match=r"for token \d, the run '\w+'; train it with vocabulary_of=RUN"):
        load_language_model(language_run, other)
    with pytest.raises(ValueError, match="has a WordTokenizer, the run a CharacterTokenizer"):
        load_language_model(language_run, CharacterTokenizer().fit(["abcdef"]))


def test_training_validates_without_one(tmp_path: Path, language_run: Path) -> None:
    with pytest.raises(ValueError, match=r"search.language_model: validation in training takes none"):
        run(tmp_path / "run", *SHAPES, "search=beam", f"search.language_model={language_run}")


def test_text_files_are_checked(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n ... \n")
    cases = {
        "data.train=nowhere.txt": r"data.train: 'nowhere.txt' cannot be read",
        f"data.train={tmp_path / 'empty.txt'}": r"data.train: .*empty.txt' has no line with a text",
    }
    for override, message in cases.items():
        with pytest.raises(ValueError, match=message):
            run(tmp_path / "run", *SMALL, override, "data.val=nowhere.txt")


def test_another_language_model_starts_from_its_weights(language_run: Path, tmp_path: Path) -> None:
    start = (f"init_from={language_run}", "tokenizer=word", "trainer.max_epochs=1", "optimizer.lr=1e-9")
    run(tmp_path / "run", *SMALL, *text_files(tmp_path), *start)
    assert values(tmp_path / "run", "val/perplexity")[0] == pytest.approx(
        min(values(language_run, "val/perplexity")), 1e-3
    )
    with pytest.raises(
        ValueError, match=r"init_from: the run holds another model .*language_model.hidden_dim: 16, there 32"
    ):
        run(tmp_path / "other", *SMALL, *text_files(tmp_path), *start, "language_model.hidden_dim=16")
