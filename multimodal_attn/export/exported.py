"""An exported folder as a predictor: its graphs take the places of encoder and decoder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from multimodal_attn.data.modalities import reader_of
from multimodal_attn.masking import select_rows
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.runtime.description import FILE, Description
from multimodal_attn.runtime.graphs import Graphs
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.types import BOS, Batch, DecoderOutput, Memory


def is_exported(path: str | Path) -> bool:
    """Whether a folder was written by ``multimodal-attn export``."""
    return (Path(path) / FILE).is_file()


def load_exported(folder: str | Path, width: int | None = None, trust: Collection[str] = ()) -> Predictor:
    """A predictor from an exported folder; every search, scorer and page works with it.

    Args:
        folder: exported.
        width: of the beam; None for that of the export.
        trust: packages whose tokenizers it may name beside this one's.

    Raises:
        ValueError: if a file is missing or damaged, or names what is not trusted.
    """
    folder = Path(folder)
    description = Description.read(folder)
    named = description.content.get("tokenizers")
    if not isinstance(named, dict) or not all(isinstance(node, dict) for node in named.values()):
        raise ValueError(f"{folder / FILE}: tokenizers: expected values with names")
    states = {key: node.get("state", {}) for key, node in named.items()}
    tokenizers = Checkpoint(folder / FILE, named, states, {})
    tokenizer, source_tokenizer = tokenizers.tokenizer(trust=trust), tokenizers.source_tokenizer(trust)
    if tokenizer.vocabulary != description.vocabulary:
        raise ValueError(f"{folder / FILE}: vocabulary: not that of the tokenizer; expected the same")
    settings = ("image_size", "fit", "sample_rate", "longest_seconds", "source_normalize", "max_source_tokens")
    reading = {key: getattr(description, key) for key in settings}
    return Predictor(
        ExportedModel(description, Graphs(folder)),
        tokenizer,
        BeamSearch(
            width or description.width,
            description.length_penalty,
            description.max_length,
            description.max_length_ratio,
        ),
        reader_of(description.reads, reading),
        source_tokenizer,
        description.name,
        description.max_seconds,
        description.suffixes,
        temperature=description.temperature,
    )


class ExportedModel(Seq2Seq):
    """Encoder and decoder by their graphs, on the CPU; for evaluation only.

    Args:
        description: of the model.
        graphs: of the same folder.
    """

    def __init__(self, description: Description, graphs: Graphs) -> None:
        nn.Module.__init__(self)  # the parts are graphs
        self.encoder = _Encoder(description, graphs)
        self.decoder = _Decoder(description, graphs)
        self.ctc_head = None
        # Whoever moves a model asks its parameters where it is.
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)

    def encode(self, batch: Batch) -> Memory:
        """See ``Seq2Seq``."""
        memory: Memory = self.encoder(batch.source, batch.source_lengths)
        return memory


class _Encoder(Encoder):
    def __init__(self, description: Description, graphs: Graphs) -> None:
        super().__init__()
        self.reads, self.layout, self._graphs = description.reads, description.layout, graphs

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        states, mask = self._graphs.encode(_array(source), _array(lengths))
        return Memory(_tensor(states, source), _tensor(mask, source), self.layout)


@dataclass
class _State:
    parts: list[Tensor]

    def select(self, index: Tensor) -> _State:
        return _State([select_rows(part, index) for part in self.parts])


class _Decoder(Decoder):
    def __init__(self, description: Description, graphs: Graphs) -> None:
        super().__init__()
        self.gate_name, self._graphs = description.gate_name, graphs

    def prepare(self, memory: Memory) -> PreparedMemory:
        projected, _ = self._begin(memory, 1)
        return PreparedMemory(memory, tuple(_tensor(part, memory.mask) for part in projected))

    def start(self, source: PreparedMemory, rows: int) -> _State:
        _, state = self._begin(source.memory, rows)
        return _State([_tensor(part, source.memory.mask) for part in state])

    def _begin(self, memory: Memory, rows: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        tokens = np.full((len(memory.mask), rows), BOS, dtype=np.int64)
        return self._graphs.begin(_array(memory.states), _array(memory.mask), tokens)

    def step(self, token: Tensor, state: _State, source: PreparedMemory) -> tuple[Tensor, _State, AttentionStep]:
        memory = source.memory
        arrays = [[_array(part) for part in parts] for parts in (source.projected, state.parts)]
        found = self._graphs.step(_array(token), _array(memory.states), _array(memory.mask), *arrays)
        gate = None if found.gate is None else _tensor(found.gate, token)
        # The graph gives what was made of the context, which no search asks for.
        attended = AttentionStep(memory.states[:, :0], _tensor(found.weights, token), None, None, gate)
        return _tensor(found.logits, token), _State([_tensor(part, token) for part in found.state]), attended

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens step by step; see ``Decoder``."""
        source, mask = self.prepare(memory), token_mask[..., 1:]
        state, logits, weights = self.start(source, tokens.shape[1]), [], []
        for token in tokens[..., :-1].unbind(-1):
            scores, state, attended = self.step(token, state, source)
            logits.append(scores)
            weights.append(attended.weights)
        joined = torch.stack(weights, 2).masked_fill(~mask[..., None, None], 0.0)
        return DecoderOutput(torch.stack(logits, 2)[mask], tokens[..., 1:][mask], joined, mask)


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(array).to(like.device)
