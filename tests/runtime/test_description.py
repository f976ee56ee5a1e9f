"""Exported folders from strangers: whatever is wrong with one is a sentence, and nothing outside of it is read."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from multimodal_attn.export.exported import load_exported
from multimodal_attn.runtime import Runtime
from multimodal_attn.runtime.description import Description

WRONG: tuple[Any, ...] = (
    None,
    -1,
    0.5,
    10**9,
    math.nan,
    "x",
    "../x",
    [],
    [1, "x"],
    {},
    {"_target_": "os.system"},
    True,
)


@pytest.fixture
def folder(exported: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported[1], tmp_path / "copy"))


def rewrite(folder: Path, content: Any) -> None:
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")


def refusal(folder: Path) -> str | None:
    """What is said against a description; None if it is taken."""
    try:
        Description.read(folder)
    except ValueError as error:
        return str(error)
    return None


def test_every_wrong_value_is_named_or_harmless(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    refused = 0
    for key in content:
        inside = content[key] if key in ("reading", "search", "layout", "vocabulary") else {}
        for value in WRONG:
            for changed in (content | {key: value}, *(content | {key: inside | {one: value}} for one in inside)):
                rewrite(folder, changed)
                if (told := refusal(folder)) is not None:
                    refused += 1
                    assert "model.json" in told
                    assert "expected" in told
    assert refused > 150
    rewrite(folder, content)
    assert Description.read(folder).name == content["name"]


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format": 1}', "\ud800", "null"])
def test_what_is_no_description_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"model\.json"):
        Description.read(folder)


def test_a_tokenizer_of_a_stranger_is_not_imported(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for target in ("os.system", "antigravity.Tokenizer", "multimodal_attn.writing.write_file"):
        content["tokenizers"]["tokenizer"]["_target_"] = target
        rewrite(folder, content)
        with pytest.raises(ValueError, match="tokenizer"):
            load_exported(folder)
    assert Runtime(folder).description.name  # which asks for no class


def test_a_vocabulary_that_is_not_the_tokenizers_is_refused(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content["vocabulary"]["parts"][-1] = "other"
    rewrite(folder, content)
    with pytest.raises(ValueError, match="vocabulary"):
        load_exported(folder)


def test_a_vocabulary_of_another_size_than_the_graphs_is_refused(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for key in ("parts", "pieces"):
        content["vocabulary"][key].pop()
    rewrite(folder, content)
    source = np.zeros((8, 8, 3)) if content["reads"] == "picture" else np.zeros(4000)
    with pytest.raises(ValueError, match=r"step\.onnx: logits of"):
        Runtime(folder)(source)


@pytest.mark.parametrize("place", ["../secret", "absolute", "README.md"])
def test_weights_in_another_file_are_not_read(folder: Path, place: str) -> None:
    secret = folder.parent / "secret"
    model = onnx.load(folder / "step.onnx")
    weight = next(one for one in model.graph.initializer if one.data_type == TensorProto.FLOAT)
    secret.write_bytes(np.zeros(int(np.prod(weight.dims)), np.float32).tobytes())
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=str(secret) if place == "absolute" else place)
    (folder / "step.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"step\.onnx: keeps its weights in another file"):
        Runtime(folder)


def test_files_that_are_missing_damaged_or_elsewhere_are_named(folder: Path) -> None:
    (folder / "step.onnx").rename(folder.parent / "step.onnx")
    with pytest.raises(ValueError, match=r"step\.onnx: no file"):
        Runtime(folder)
    (folder / "step.onnx").symlink_to(folder.parent / "step.onnx")
    with pytest.raises(ValueError, match=r"step\.onnx: no file"):
        Runtime(folder)
    (folder / "step.onnx").unlink()
    (folder / "step.onnx").write_bytes((folder.parent / "step.onnx").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"step\.onnx: is not ONNX, or is cut off"):
        Runtime(folder)
    shutil.copy(folder / "encode.onnx", folder / "step.onnx")
    with pytest.raises(ValueError, match=r"step\.onnx: gives no logits"):
        Runtime(folder)
