"""Several models of one task that write a text together: each token by the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import Batch, DecoderOutput, Memory


class Ensemble(Seq2Seq):
    """Predicts the mean of what its members predict (as Sutskever et al. 2014 decode), for evaluation only.

    Searches meet one decoder with one memory: weights are the mean over the members, heads first, and so is the gate,
    if all of them have one.

    Args:
        members: trained with one vocabulary.

    Raises:
        ValueError: if memory positions do not mean the same in all of them, or there are none.
    """

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        nn.Module.__init__(self)  # the parts come from the members
        if not members:
            raise ValueError("ensemble: no member; expected one or more")
        layouts = [member.encoder.layout for member in members]
        for layout in layouts:
            if layout != layouts[0]:
                raise ValueError(
                    f"ensemble: one run attends to {layouts[0]}, another to {layout}; expected runs whose attention"
                    " has the same positions"
                )
        self.members = nn.ModuleList(members)
        self.encoder = members[0].encoder
        self.decoder = JointDecoder([member.decoder for member in members])
        self.ctc_head = members[0].ctc_head if all(member.ctc_head is not None for member in members) else None

    @property
    def reach(self) -> None:
        """See ``Seq2Seq``: the memories of its members cannot be told apart piece by piece."""

    def encode(self, batch: Batch) -> Memory:
        """The memories of every member."""
        parts = tuple(member.encode(batch) for member in self.members)  # type: ignore[operator]
        return JointMemory.of(parts)

    def ctc_logits(self, memory: Memory) -> Tensor:
        """(B, S, V) log of the mean probabilities."""
        parts = zip(self.members, _parts(memory), strict=True)
        return _mean_probabilities([member.ctc_logits(part) for member, part in parts])  # type: ignore[operator]


@dataclass
class JointMemory(Memory):
    """What every member of an ensemble has made of the same sources; to everybody else, the memory of the first.

    Attributes:
        parts: one for each member.
    """

    parts: tuple[Memory, ...] = ()

    @classmethod
    def of(cls, parts: tuple[Memory, ...]) -> JointMemory:
        first = parts[0]
        copied = first.copies, first.num_extra, first.source_texts
        return cls(first.states, first.mask, first.layout, first.keys, *copied, parts=parts)

    def select(self, sources: Tensor | slice) -> JointMemory:
        parts = tuple(part.select(sources) for part in self.parts)
        return JointMemory.of(parts)


@dataclass
class _JointSource(PreparedMemory):
    parts: tuple[PreparedMemory, ...] = ()


@dataclass
class _JointState:
    parts: list[Any]

    def select(self, index: Tensor) -> _JointState:
        return _JointState([part.select(index) for part in self.parts])


class JointDecoder(Decoder):
    """The decoders of an ensemble as one, whose logits are the logarithm of their mean probabilities."""

    def __init__(self, members: Sequence[Decoder]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.gate_name = members[0].gate_name

    def prepare(self, memory: Memory) -> PreparedMemory:
        parts = zip(self.members, _parts(memory), strict=True)
        return _JointSource(memory, (), parts=tuple(member.prepare(part) for member, part in parts))  # type: ignore[operator]

    def start(self, source: PreparedMemory, rows: int) -> _JointState:
        assert isinstance(source, _JointSource)
        parts = zip(self.members, source.parts, strict=True)
        return _JointState([member.start(part, rows) for member, part in parts])  # type: ignore[operator]

    def step(
        self, token: Tensor, state: _JointState, source: PreparedMemory
    ) -> tuple[Tensor, _JointState, AttentionStep]:
        """One step of all members.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the attention with weights (B, K, 1, S).
        """
        assert isinstance(source, _JointSource)
        steps = [
            member.step(token, part, prepared)  # type: ignore[operator]
            for member, part, prepared in zip(self.members, state.parts, source.parts, strict=True)
        ]
        logits, states, attended = zip(*steps, strict=True)
        gates = [a.gate for a in attended if a.gate is not None]
        joined = attended[0]._replace(
            weights=_mean_weights([a.weights for a in attended]),
            gate=torch.stack(gates).mean(0) if len(gates) == len(attended) else None,
        )
        return _mean_probabilities(logits), _JointState(list(states)), joined

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """A teacher-forced pass of all members. Args and shapes: as in ``Decoder``, with one head."""
        outputs: list[DecoderOutput] = [
            member(tokens, token_mask, part, sampling_probability)
            for member, part in zip(self.members, _parts(memory), strict=True)
        ]
        return DecoderOutput(
            _mean_probabilities([output.logits for output in outputs]),
            outputs[0].labels,
            _mean_weights([output.weights for output in outputs]),
            outputs[0].mask,
        )

    def second_look(self, tokens: Tensor, memory: Memory) -> Tensor | None:
        """The mean of the members' maps, with one head; None if not all of them look again."""
        parts = zip(self.members, _parts(memory), strict=True)
        looks = [member.second_look(tokens, part) for member, part in parts]  # type: ignore[operator]
        return None if any(look is None for look in looks) else _mean_weights(looks)


def _parts(memory: Memory) -> tuple[Memory, ...]:
    assert isinstance(memory, JointMemory), "an ensemble reads what it has encoded itself"
    return memory.parts


def _mean_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of the members' probabilities, (..., V) each."""
    return torch.stack([part.log_softmax(-1) for part in logits]).logsumexp(0) - math.log(len(logits))


def _mean_weights(weights: Sequence[Tensor]) -> Tensor:
    """(..., N, S) each, of any number of heads, to (..., 1, S)."""
    return torch.stack([part.mean(-2, keepdim=True) for part in weights]).mean(0)
