"""A model as three ONNX graphs: ``encode`` once per batch, ``begin`` once per batch, ``step`` once per token.

    encode: source, lengths -> states, mask
    begin:  states, mask, tokens -> source.0, source.1, ..., state.0, state.1, ...
    step:   tokens, states, mask, source.*, state.* -> logits, weights[, gate], next.0, next.1, ...

``source.*`` is what the decoder has projected from the memory. ``state.*`` is what a step reads, and ``next.*`` what it
leaves as the state of the next. Batch, rows, and lengths are free. The first two axes of a state are B and K, so that a
beam reorders it without knowing it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from multimodal_attn.first_line import first_line
from multimodal_attn.models import kernels
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import BOS, Layout, Memory

OPSET = 20
GRAPHS = ("encode", "begin", "step")
"""Names of the graphs, and of their files without ``.onnx``."""

Sources = tuple[Tensor, Tensor]
"""A batch of sources and their lengths."""


def graphs(model: Seq2Seq, sources: Sources, others: Sources) -> dict[str, bytes]:
    """The graphs of a model, as ONNX files hold them.

    Args:
        model: of any parts whose decoder keeps its state in a dataclass of tensors.
        sources: two or more that the encoder can read, and
        others: a batch of another size. What differs between both is left free.

    Raises:
        ValueError: if a part does what a graph cannot hold.
    """
    for part in (*model.encoder.parts(), model.decoder):
        if part.no_graph:
            raise ValueError(
                f"export: {type(part).__name__} {part.no_graph}; expected a run with another part in its place, or"
                " --weights, which predict and demo take as they take the run itself"
            )
    with exporting(model):
        memories = [model.encoder(*batch) for batch in (sources, others)]
        return {"encode": encoder_graph(model.encoder, sources, others), **decoder_graphs(model.decoder, *memories)}


@contextmanager
def exporting(module: nn.Module) -> Iterator[None]:
    """Prepares what is to be written as graphs: in evaluation mode, by the definitions of what has fast forms.

    Those are written for torch's own kernels. What the exporter says of its own insides is kept from users.
    """
    names = ("torch.__trace", "torch.onnx", "onnxscript", "torch.export", "torch._dynamo", "torch.fx", "onnx_ir")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with evaluating(module), kernels.use(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def encoder_graph(encoder: Encoder, sources: Sources, others: Sources) -> bytes:
    """``encode``, within ``exporting``; arguments as of ``graphs``."""
    return _graph("encode", _Encode(encoder), sources, others, ["source", "lengths"], ["states", "mask"])


def decoder_graphs(decoder: Decoder, memory: Memory, other: Memory) -> dict[str, bytes]:
    """``begin`` and ``step``, within ``exporting``; memories as of two batches of ``graphs``."""
    begin = _Begin(decoder, memory.layout)
    starts = [_tokens(memory, 3), _tokens(other, 2)]
    inputs = [(each.states, each.mask, tokens) for each, tokens in zip((memory, other), starts, strict=True)]
    made = begin(*inputs[0])
    step = _Step(decoder, memory.layout, begin.num_sources, begin.spec)
    sources = [f"source.{number}" for number in range(begin.num_sources)]
    states = [f"state.{number}" for number in range(len(made) - begin.num_sources)]

    def after(number: int, steps: int) -> tuple[Tensor, ...]:
        """What ``step`` is given after some steps."""
        states, mask, tokens = inputs[number]
        kept = begin(states, mask, tokens)
        for _ in range(steps):
            written = step(tokens, states, mask, *kept)
            kept = (*kept[: begin.num_sources], *written[len(written) - len(kept) + begin.num_sources :])
        return tokens, states, mask, *kept

    memory_names = ["states", "mask"]
    first = after(0, 2)
    gate = ["gate"] if decoder.gate_name else []
    return {
        "begin": _graph("begin", begin, inputs[0], inputs[1], [*memory_names, "tokens"], [*sources, *states]),
        "step": _graph(
            "step",
            step,
            first,
            after(1, 3),
            ["tokens", *memory_names, *sources, *states],
            ["logits", "weights", *gate, *(name.replace("state", "next") for name in states)],
        ),
    }


class _Encode(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.encoder(source, lengths)
        return memory.states, memory.mask


class _Begin(nn.Module):
    """What a decoder does before the first step; remembers how its state was taken apart."""

    def __init__(self, decoder: Decoder, layout: Layout) -> None:
        super().__init__()
        self.decoder, self.layout = decoder, layout

    def forward(self, states: Tensor, mask: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
        source = self.decoder.prepare(Memory(states, mask, self.layout))
        leaves, self.spec = _taken_apart(self.decoder.start(source, tokens.shape[1]))
        self.num_sources = len(source.projected)
        # A graph returns nothing twice, nor what it was given.
        return tuple(leaf.clone() for leaf in (*source.projected, *leaves))


class _Step(nn.Module):
    def __init__(self, decoder: Decoder, layout: Layout, num_sources: int, spec: pytree.TreeSpec) -> None:
        super().__init__()
        self.decoder, self.layout, self.num_sources, self.spec = decoder, layout, num_sources, spec

    def forward(self, tokens: Tensor, states: Tensor, mask: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
        source = PreparedMemory(Memory(states, mask, self.layout), kept[: self.num_sources])
        state = pytree.tree_unflatten(list(kept[self.num_sources :]), self.spec)
        logits, state, attended = self.decoder.step(tokens, state, source)
        gate = () if attended.gate is None else (attended.gate,)
        return (logits, attended.weights, *gate, *(leaf.clone() for leaf in _taken_apart(state)[0]))


def _taken_apart(state: Any) -> tuple[list[Tensor], pytree.TreeSpec]:
    """The tensors of a state, and how it is put together again.

    Raises:
        ValueError: if it holds anything else.
    """
    kind = type(state)
    if is_dataclass(kind) and kind not in pytree.SUPPORTED_NODES:
        pytree.register_dataclass(kind)
    leaves, spec = pytree.tree_flatten(state)
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise ValueError(f"decoder: its state, a {kind.__name__}, is no dataclass of tensors, so that it has no graph")
    return leaves, spec


def _tokens(memory: Memory, rows: int) -> Tensor:
    return torch.full((len(memory.mask), rows), BOS)


def _graph(
    name: str,
    module: nn.Module,
    example: Sequence[Tensor],
    other: Sequence[Tensor],
    inputs: list[str],
    outputs: list[str],
) -> bytes:
    """An ONNX file; axes on which two examples differ are free."""
    free = [
        {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(one.shape) if size != two.shape[axis]}
        for one, two in zip(example, other, strict=True)
    ]
    try:
        program = torch.onnx.export(
            module,
            tuple(example),
            dynamo=True,
            dynamic_shapes=_as_arguments(module, free),
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    except Exception as error:  # the exporter lets out whatever one of its many stages raises
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ValueError(f"export: {name} cannot be written as a graph ({first_line(cause)})") from error
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _as_arguments(module: nn.Module, free: list[dict[int, Any]]) -> tuple[Any, ...]:
    """Free axes in the form of a module's arguments, whose last may stand for any number."""
    return (*free[:3], tuple(free[3:])) if isinstance(module, _Step) else tuple(free)
