"""The yamls of data sources: complete, flat, and checked before anything is read."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from PIL import Image

from multimodal_attn.data.loading.build import LOADING, build_data, dataset_part
from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.parts import parameters

CONF = Path(__file__).parents[3] / "conf"
SOURCES = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


def node(name: str, **settings: Any) -> dict[str, Any]:
    """``conf/data/NAME.yaml`` as plain containers, with some keys changed."""
    return deepcopy(_composed(name)) | settings


@cache
def _composed(name: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose(overrides=[f"+data={name}", "+cache_dir=cache"])
    content: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)["data"]  # type: ignore[index, call-overload]
    return content


def filled(name: str, **settings: Any) -> dict[str, Any]:
    """The same, with something for every value that a user has to give."""
    found = node(name)
    return found | {key: "here" for key, value in found.items() if value == "???"} | settings


def build(content: dict[str, Any]) -> DataModule:
    return build_data(content, WordTokenizer())


@pytest.mark.parametrize("name", SOURCES)
def test_every_argument_of_a_data_set_is_a_key(name: str) -> None:
    found = filled(name)
    arguments = set(parameters(dataset_part(found).make)) - {"split"}
    assert set(found) - {"_target_"} == arguments | set(LOADING)
    build(found)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("shapes", "num_examples", 0, "at least 1"),
        ("shapes", "num_examples", {"train": 0}, "at least 1"),
        ("shapes", "num_examples", {"dev": 3}, "'train', 'val' or 'test'"),
        ("shapes", "image_size", 8, "at least 48"),
        ("shapes", "captions_per_scene", 6, "at most 5"),
        ("shapes", "captions_per_scene", 0, "at least 1"),
        ("shapes", "texts_per_source", 0, "at least 1"),
        ("shapes", "batch_size", 0, "at least 1"),
        ("shapes", "num_workers", -1, "at least 0"),
        ("shapes", "mirror", "no", "true or false"),
        ("spoken", "num_val", 0, "at least 1"),
        ("spoken", "seed", -1, "at least 0"),
        ("spoken", "max_seconds", float("nan"), "a finite number"),
        ("spoken", "batch_seconds", -3, "more than 0"),
        ("spoken", "quadratic_seconds", -1, "at least 0"),
        ("spoken", "sample_rate", 0, "at least 1000"),
        ("ljspeech", "num_test", 0, "at least 1"),
        ("librispeech", "val", "dev-clean", "a list"),
        ("librispeech", "val", [], "a list of 1 or more"),
        ("coco", "year", 2015, "2014 or 2017"),
        ("flickr8k", "fit", "stretch", "'squash', 'crop' or 'pad'"),
        ("digits", "protocol", "leave", "'index' or 'speaker'"),
        ("digits", "gap_seconds", [0.1, -1], "at least 0"),
        ("digits", "gap_seconds", [0.1], "a value more"),
        ("parallel_text", "max_words", 0, "at least 1"),
        ("parallel_text", "target_language", None, "a text"),
        ("manifest", "modality", "image", "'picture', 'recording' or 'text'"),
        ("manifest", "normalize", "lower", "'caption', 'transcript', 'spaced' or 'none'"),
        ("manifest", "columns", ["image"], "a value more"),
        ("text", "normalize", "lower", "'caption', 'transcript', 'spaced' or 'none'"),
    ],
)
def test_wrong_values_are_named_with_their_key(name: str, key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^data\.{key}.*expected .*({message})"):
        build(filled(name, **{key: value}))


def test_what_has_to_be_given_is_named() -> None:
    with pytest.raises(ValueError, match=r"data\.root: missing; expected .*data\.root=\.\.\."):
        build(node("flickr8k"))
    found = node("flickr8k")
    del found["root"]
    with pytest.raises(ValueError, match=r"data\.root: missing; Flickr8k needs a value"):
        build(found).source("train")
    with pytest.raises(ValueError, match=r"data\.split: 'val'; expected no value"):
        build(filled("flickr8k", split="val"))
    with pytest.raises(ValueError, match=r"data\.image_sise: .* no such setting; did you mean data\.image_size"):
        build(filled("flickr8k", image_sise=3))
    with pytest.raises(ValueError, match=r"split: 'dev'; expected one of train, val, test"):
        build(node("shapes")).source("dev")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"data: 'elsewhere.Set' is not of this package; say trust=\[elsewhere\]"):
        build(node("shapes", _target_="elsewhere.Set"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_own_data_needs_no_further_setting(tmp_path: Path, separator: str) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8), (90 * number, 0, 0)).save(tmp_path / f"{number}.png")
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * np.sin(np.arange(800) * (number + 1)), 8000)
    tables = {
        "picture": ["image,caption", *(f"{number}.png,Dog {number}!" for number in range(3))],
        "recording": ["audio,text", *(f"{number}.wav,Don't {number}!" for number in range(3))],
        "text": ["source,target", *(f"Ein Hund {number}!,A dog {number}!" for number in range(3))],
    }
    texts = {"picture": "dog 0", "recording": "don't 0", "text": "A dog 0!"}
    for modality, lines in tables.items():
        path = tmp_path / f"{modality}.csv"
        path.write_text("\n".join(lines).replace(",", separator))
        source_tokenizer = WordTokenizer() if modality == "text" else None
        data = build_data(node("manifest", train=str(path), val=str(path)), WordTokenizer(), source_tokenizer)
        data.fit_tokenizers()
        assert data.source("train").reader.modality == modality
        batch = next(iter(data.val_dataloader()))
        assert len(batch) == 3
        assert batch.targets[0][0].text == texts[modality]
        assert batch.sample_rate == (16_000 if modality == "recording" else 0)
        assert batch.source.dtype == {"picture": torch.uint8, "recording": torch.float32, "text": torch.int64}[modality]


@pytest.mark.parametrize("split", ["train", "val"])
def test_recordings_that_would_fill_the_memory_are_left_out_of_every_split(tmp_path: Path, split: str) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(8000 * 30), 8000)
    soundfile.write(tmp_path / "short.flac", np.zeros(8000), 8000)
    (tmp_path / "a.csv").write_text("audio,text\nlong.flac,one\nshort.flac,two\n")
    table = str(tmp_path / "a.csv")
    data = build(node("manifest", train=table, val=table, longest_seconds=20.0))
    assert [entry.key for entry in data.source(split).entries] == ["short.flac"]
    assert [error.reason for error in data.skipped(split)] == ["longer than data.longest_seconds=20 (30.00 s)"]
