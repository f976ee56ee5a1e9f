from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from multimodal_attn.models.encoders.pictures.onnx import OnnxPictures
from multimodal_attn.models.evaluating import evaluating
from tests.contracts.tiny import CHANNELS, IMAGE_SIZE, onnx_file

PICTURES = torch.randint(0, 256, (3, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)


def make(**settings: Any) -> OnnxPictures:
    return OnnxPictures(**{"file": str(onnx_file()), "output": "map", "image_size": IMAGE_SIZE, "dim": None} | settings)


def test_gives_what_an_inner_node_gives() -> None:
    import onnx

    weights = onnx.numpy_helper.to_array(onnx.load(onnx_file()).graph.initializer[0])
    encoder = make(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    expected = torch.nn.functional.conv2d((PICTURES / 255 - 0.5) / 0.25, torch.tensor(weights), stride=8).relu()
    found = encoder(PICTURES, torch.ones(3))
    assert (encoder.layout.rows, encoder.layout.columns, encoder.dim) == (8, 8, CHANNELS)
    torch.testing.assert_close(found.states, expected.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder.file: '.*gone.onnx' does not exist; expected a file of ONNX"):
        make(file=str(tmp_path / "gone.onnx"))
    with pytest.raises(ValueError, match=r"the package no_such_package is missing.* pip install no-such-package"):
        make(file="no_such_package:a.onnx")
    with pytest.raises(ValueError, match=r"none of the 5 nodes of the network gives 'Map'; expected .* such as map$"):
        make(output="Map")
    with pytest.raises(ValueError, match=r"gives '0815'; expected .* such as raw, map, pooled, flat, classes$"):
        make(output="0815")
    with pytest.raises(ValueError, match=r"encoder.output: 'classes' gives \(1, 5\); expected"):
        make(output="classes")
    with pytest.raises(ValueError, match=r"data.image_size: 32; expected 64"):
        make(file=str(onnx_file(IMAGE_SIZE)), image_size=32)
    with pytest.raises(ValueError, match=r"has the SHA-256 .*; expected 0000"):
        make(sha256="0" * 64)
    (tmp_path / "torn.onnx").write_bytes(onnx_file().read_bytes()[:100])
    with pytest.raises(ValueError, match=r"encoder.file: cannot be run up to"):
        make(file=str(tmp_path / "torn.onnx"))


def test_a_checkpoint_needs_the_file_no_more() -> None:
    encoder = make()
    settings = OnnxPictures.from_checkpoint({"output": "map", "image_size": IMAGE_SIZE, "dim": None} | encoder.found())
    with torch.device("meta"):
        shapes = OnnxPictures(**settings).state_dict()
    state = encoder.state_dict()
    assert {name: value.shape for name, value in shapes.items()} == {name: v.shape for name, v in state.items()}
    empty = OnnxPictures(**settings)
    empty.load_state_dict(state)
    torch.testing.assert_close(empty(PICTURES, torch.ones(3)).states, encoder(PICTURES, torch.ones(3)).states)
    assert empty.cache_fingerprint() == encoder.cache_fingerprint() != make(output="raw").cache_fingerprint()


def test_copies_and_averages_leave_the_file_alone() -> None:
    encoder = make(dim=8)
    average = torch.optim.swa_utils.AveragedModel(
        encoder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    average.update_parameters(encoder)
    average.update_parameters(encoder)
    with evaluating(encoder), evaluating(average.module):
        torch.testing.assert_close(
            average.module(PICTURES, torch.ones(3)).states, deepcopy(encoder)(PICTURES, torch.ones(3)).states
        )
