"""Checkpoints with parts that are missing, or are not what they should be: a sentence with the file, and no more."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.checkpoint import load_predictor, read_checkpoint
from multimodal_attn.runs.build import build_module
from multimodal_attn.runs.configuration import compose, leaves, plain, update

PICTURES = ("data.image_size=48", "encoder.channels=[4,4]", "encoder.strides=[4,2]", "encoder.dim=8")
SPEECH = (
    *("data=digits", "data.root=nowhere", "encoder=pyramid_lstm", "encoder.hidden_dim=8"),
    *("attention=location", "tokenizer=character", "decoder=listen_attend_spell"),
)
SMALL = ("decoder.hidden_dim=16", "decoder.embedding_dim=8", "attention.attention_dim=8", "run_dir=x", "cache_dir=x")
READ = ("encoder", "attention", "decoder", "search", "tokenizer")
"""Sections of the configuration that a predictor is built from."""
WRONG: tuple[Any, ...] = (None, -1, 0.5, 10**9, math.nan, "x", [], [1, "x"], {}, {"_target_": "os.system"}, True)


def checkpoint(overrides: tuple[str, ...], tokenizer: Tokenizer) -> dict[str, Any]:
    module = build_module(plain(compose("train", [*overrides, *SMALL])), tokenizer)
    content: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    return content


@pytest.fixture(scope="module", params=["pictures", "speech"])
def good(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "pictures":
        return checkpoint(PICTURES, WordTokenizer().fit(["a red dog runs"]))
    return checkpoint(SPEECH, CharacterTokenizer().fit(["nine one"]))


def variants(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is wrong, and the content of a checkpoint that has it."""
    config = good["hyper_parameters"]["config"]
    for key, value in (*leaves({name: config[name] for name in READ}), *((name, config[name]) for name in READ)):
        for wrong in WRONG:
            if wrong != value:
                content = deepcopy(good)
                update(content["hyper_parameters"]["config"], key, wrong)
                yield f"{key}={wrong!r}", content
        content = deepcopy(good)
        *path, last = key.split(".")
        node = content["hyper_parameters"]["config"]
        for name in path:
            node = node[name]
        del node[last]
        yield f"without {key}", content
    for key in ("tokenizer", "config"):
        for wrong in WRONG:
            yield f"{key} is {wrong!r}", {**good, "hyper_parameters": {**good["hyper_parameters"], key: wrong}}
    for name, state in good["hyper_parameters"]["tokenizer"].items():
        for wrong in (*WRONG, ["a", "a"], ["a", 3], ["", "b"], [["a"]], ["a"] * 5, "ab"):
            if wrong != state:
                tokenizer = {**good["hyper_parameters"]["tokenizer"], name: wrong}
                yield (
                    f"tokenizer.{name} is {wrong!r}",
                    {**good, "hyper_parameters": {**good["hyper_parameters"], "tokenizer": tokenizer}},
                )
    for name, weight in good["state_dict"].items():
        others = {key: value for key, value in good["state_dict"].items() if key != name}
        yield f"no weight {name}", {**good, "state_dict": others}
        for kind, wrong in (
            ("wrong shape", torch.zeros(3, 5, 7)),
            ("text", "x"),
            ("not finite", torch.full_like(weight, math.nan) if weight.is_floating_point() else "x"),
            ("numbers of another kind", weight.bool() if weight.is_floating_point() else weight.float()),
        ):
            yield f"{kind} for {name}", {**good, "state_dict": {**others, name: wrong}}
    yield "a weight more", {**good, "state_dict": {**good["state_dict"], "model.other": torch.zeros(2)}}
    for wrong in WRONG:
        yield f"state_dict is {wrong!r}", {**good, "state_dict": wrong}
        yield f"all is {wrong!r}", wrong


def refusal(path: Path) -> str | None:
    """Why a checkpoint cannot be loaded; None for one that can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_predictor(read_checkpoint(path))
    except ValueError as error:
        return str(error)
    return None


def test_a_part_that_is_wrong_is_named_or_does_not_matter(good: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    torch.save(good, path)
    assert load_predictor(read_checkpoint(path)).model
    count = 0
    for what, content in variants(good):
        count += 1
        torch.save(content, path)
        started = time.monotonic()
        message = refusal(path)
        assert message is None or str(path) in message, (what, message)
        assert message is None or "\n" not in message, (what, message)
        assert time.monotonic() - started < 5, what
    assert count > 300, count
