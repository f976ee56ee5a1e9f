"""A trained model as a folder: three graphs, a description, and a page that says how to use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from multimodal_attn.data.reading.files import checksum
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.export.graphs import GRAPHS, Sources, graphs
from multimodal_attn.export.precision import with_precision
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.runtime.description import FILE, FORMAT, VERSION, Precision
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.types import Example, Modality
from multimodal_attn.writing import replaced_folder, write_file

README = "README.md"
WRITTEN = (*(f"{name}.onnx" for name in GRAPHS), FILE, README)
"""What an exported folder holds."""
_UNKNOWN = "not stated"


def write_folder(
    folder: Path,
    predictor: Predictor,
    checkpoint: Checkpoint,
    search: BeamSearch,
    precision: Precision = "fp32",
    license_name: str = "",
) -> None:
    """Writes a predictor as an exported folder.

    Args:
        folder: to write; what else lies in it stays.
        predictor: that the checkpoint has rebuilt.
        checkpoint: of a run.
        search: whose width and limits are the defaults of the exported model.
        precision: of the weights.
        license_name: under which the weights may be used.

    Raises:
        ValueError: if a part cannot be exported.
    """
    with replaced_folder(folder, WRITTEN) as new:  # first: a folder that cannot be is told at once
        made = graphs(predictor.model, *(_sources(predictor, number) for number in (2, 3)))
        content = _description(predictor, checkpoint, search, precision, license_name)
        for name, graph in made.items():
            write_file(new / f"{name}.onnx", with_precision(graph, precision))
        write_file(new / FILE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        write_file(new / README, _readme(content))


def _sources(predictor: Predictor, number: int) -> Sources:
    """As many sources of unlike lengths; their content is of no account."""
    sizes = [900 + 1000 * number - 137 * one for one in range(number)]
    kinds: dict[Modality, list[Any]] = {
        "picture": [torch.zeros(3, *(2 * [vars(predictor.reader).get("image_size", 0)]), dtype=torch.uint8)] * number,
        "recording": [torch.zeros(predictor.reader.sample_rate * size // 2000) for size in sizes],
        "text": [" ".join(["a"] * (size // 200)) for size in sizes],
    }
    examples = [Example(str(key), source) for key, source in enumerate(kinds[predictor.reader.modality])]
    batch = predictor.collate(examples)
    return batch.source, batch.source_lengths


def _description(
    predictor: Predictor, checkpoint: Checkpoint, search: BeamSearch, precision: Precision, license_name: str
) -> dict[str, Any]:
    """What ``model.json`` holds; see ``Description``."""
    tokenizers = {"tokenizer": predictor.tokenizer, "source_tokenizer": predictor.source_tokenizer}
    known = {key: tokenizer for key, tokenizer in tokenizers.items() if tokenizer is not None}
    source = predictor.source_tokenizer
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": predictor.name,
        "license": license_name or _UNKNOWN,
        "precision": precision,
        "reads": predictor.reader.modality,
        "reading": {**vars(predictor.reader), "max_seconds": predictor.max_seconds},
        "suffixes": [*predictor.suffixes],
        "layout": asdict(predictor.model.encoder.layout),
        "gate_name": predictor.model.decoder.gate_name,
        "temperature": predictor.temperature,
        "search": {
            "width": search.width,
            "length_penalty": search.length_penalty,
            "max_length": search.max_length,
            "max_length_ratio": search.max_length_ratio,
        },
        "provenance": {
            "checkpoint": checkpoint.path.name,
            "checkpoint_sha256": checksum(checkpoint.path),
            "choices": checkpoint.config.get("choices", {}),
            "multimodal_attn": version("multimodal_attn"),
            "torch": torch.__version__,
        },
        "vocabulary": asdict(predictor.tokenizer.vocabulary),
        "source_vocabulary": None if source is None else _source_vocabulary(source),
        # What multimodal_attn.load rebuilds its tokenizers from; the runtime does without.
        "tokenizers": {
            key: {"_target_": checkpoint.config[key]["_target_"], "state": tokenizer.state()}
            for key, tokenizer in known.items()
        },
    }


def _source_vocabulary(tokenizer: Tokenizer) -> dict[str, Any]:
    pieces = tokenizer.vocabulary.unit == "piece"
    return {**asdict(tokenizer.vocabulary), "sentencepiece": tokenizer.state().get("model", "") if pieces else ""}


_SOURCES: dict[Modality, str] = {"picture": '"photo.jpg"', "recording": '"speech.wav"', "text": '"a sentence"'}


def _readme(content: Mapping[str, Any]) -> str:
    reads = content["reads"]
    times = ", word.start, word.end" if reads == "recording" else ", word.map.shape"
    groups, chosen = ("encoder", "attention", "decoder", "data"), content["provenance"]["choices"]
    choices = ", ".join(f"{group} {chosen[group]}" for group in groups if chosen.get(group))
    return f"""# {content["name"]}

Reads a {reads} and writes a text, with where it looked for each word. Weights are {content["precision"]}.

| what | |
| --- | --- |
| license of the weights | {content["license"]} |
| made of | {choices or _UNKNOWN} |
| by | multimodal_attn {content["provenance"]["multimodal_attn"]} |
| checkpoint | {content["provenance"]["checkpoint"]}, SHA-256 {content["provenance"]["checkpoint_sha256"]} |

## Use

Without torch; numpy, onnxruntime, pillow and soundfile are all that it needs:

```python
from multimodal_attn.runtime import Runtime

found = Runtime(".")({_SOURCES[reads]})
print(found.text, found.score)
for word in found.words:
    print(word.text, word.probability{times})
```

Or from the command line: `multimodal-attn predict . FILE`.

## Files

| file | takes | gives |
| --- | --- | --- |
| encode.onnx | source, lengths | states (B, S, D), mask (B, S) |
| begin.onnx | states, mask, tokens (B, K) | source.*, state.* |
| step.onnx | tokens (B, K), states, mask, source.*, state.* | logits (B, K, V), weights (B, K, N, S), next.* |
| model.json | | vocabulary, layout, how sources are read, limits of the search |

The first token is 1, <bos>; a text ends with 2, <eos>. Tokens 0, 1 and 3 are never written. `next.*` are the `state.*`
of the next step. B and K are their first axes: a beam reorders these, and nothing else.
"""
