"""Small networks with random weights, in files as their libraries write them, for encoders that read files."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

CHANNELS, IMAGE_SIZE = 12, 64


@cache
def folder() -> Path:
    """Gone when the process ends."""
    path = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def onnx_file(size: int | str = "side") -> Path:
    """A network of one convolution in ONNX: pictures of any size, or of one, to cells of 8 pixels at "map"."""
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    weights = {
        "stem": random.normal(size=(CHANNELS, 3, 8, 8)).astype(np.float32) / 14,
        "head": random.normal(size=(CHANNELS, 5)).astype(np.float32),
    }
    nodes = [
        onnx.helper.make_node("Conv", ["pictures", "stem"], ["raw"], strides=[8, 8]),
        onnx.helper.make_node("Relu", ["raw"], ["map"]),
        onnx.helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "head"], ["classes"]),
    ]
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [onnx.helper.make_tensor_value_info("pictures", real, ["batch", 3, size, size])],
        [onnx.helper.make_tensor_value_info("classes", real, ["batch", 5])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = folder() / f"{size}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _whisper_config(layers: int) -> Any:
    import transformers

    return transformers.WhisperConfig(
        vocab_size=20,
        d_model=16,
        encoder_layers=layers,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )


@cache
def ctranslate2_folder() -> Path:
    """A Whisper of one layer as CTranslate2 keeps it: states of 16 numbers."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("ctranslate2")
    from ctranslate2.converters.transformers import WhisperLoader

    torch.manual_seed(0)
    spec = WhisperLoader().get_model_spec(transformers.WhisperForConditionalGeneration(_whisper_config(1)))
    spec.register_vocabulary([f"t{number}" for number in range(20)])
    spec.validate()
    spec.optimize()
    path = folder() / "whisper"
    path.mkdir()
    spec.save(str(path))
    return path


@cache
def dinov2_folder() -> Path:
    """A DINOv2 of two blocks as transformers saves it: patches of 8 pixels, 16 numbers."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=1, image_size=32, patch_size=8
    )
    path = folder() / "dinov2"
    transformers.Dinov2Model(config).save_pretrained(path)
    transformers.ViTImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(path)
    return path


@cache
def speech_folder(kind: str = "wav2vec2") -> Path:
    """A speech network of two layers as transformers saves it: states of 16 numbers."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    path = folder() / kind
    if kind == "whisper":
        network = transformers.WhisperModel(_whisper_config(2))
        extractor = transformers.WhisperFeatureExtractor()
    else:
        name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[kind]
        config = getattr(transformers, f"{name}Config")(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
        )
        network = getattr(transformers, f"{name}Model")(config)
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=kind != "hubert")
    network.save_pretrained(path)
    extractor.save_pretrained(path)
    return path


FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "OnnxPictures": lambda: {"file": str(onnx_file()), "output": "map", "sha256": None},
    "TimmPictures": lambda: {"name": "test_vit", "weights": None},
    "HuggingFacePictures": lambda: {"name": str(dinov2_folder())},
    "HuggingFaceSpeech": lambda: {"name": str(speech_folder())},
    "CTranslate2Whisper": lambda: {"folder": str(ctranslate2_folder()), "compute_type": "float32"},
}
"""What encoders need of files: the name of a class -> settings."""


def with_files(node: dict[Any, Any]) -> dict[Any, Any]:
    """The node of a configuration with files that are there, also in the nodes in it."""
    inner = {key: with_files(value) for key, value in node.items() if isinstance(value, dict)}
    return node | inner | FILES.get(str(node.get("_target_")).rpartition(".")[2], dict)()
