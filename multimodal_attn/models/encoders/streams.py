"""Several encoders side by side in one memory: one may know better what is there, another where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.parts import find, within
from multimodal_attn.ranges import Count, DropoutRate
from multimodal_attn.types import Grid, Layout, Memory, Modality, Timeline


class Streams(Encoder):
    """The memories of several encoders on one grid or one clock, each normalized and projected by itself, then added.

    A position of the memory speaks of the same place in all of them: the grid is the finest one's unless ``grid`` says
    otherwise, and coarser maps are enlarged (finer ones averaged); the clock of recordings is the fastest one's, and
    each of its steps takes the state of the step in which its middle lies.

    Attention may compare its query with some streams (``keys``) and take from others (``values``): *where* from one
    network, *what* from another.

    Args:
        streams: name -> encoder, all of pictures or all of recordings; a stream's own ``dim`` may be null.
        dim: width D of the memory.
        keys: the streams that are compared with the query; empty for all.
        values: the streams that are taken from; empty for all.
        grid: rows, and as many columns, of the memory of pictures; None for the finest stream's.
        stream_dropout: how often training leaves out a stream of a source, never its last one.
        dropout: on the memory.

    Raises:
        ValueError: if streams read different things, ``keys`` or ``values`` name none of them, or there are none.
    """

    def __init__(
        self,
        streams: Mapping[str, Encoder],
        dim: Count = 512,
        keys: Sequence[str] = (),
        values: Sequence[str] = (),
        grid: Count | None = None,
        stream_dropout: DropoutRate = 0.0,
        dropout: DropoutRate = 0.0,
    ) -> None:
        super().__init__()
        if not streams:
            raise ValueError("encoder.streams: none; expected one or more encoders, such as encoder/streams.what=...")
        for key, names in (("keys", keys), ("values", values)):
            for name in names:
                if name not in streams:
                    raise ValueError(f"encoder.{key}: {name!r}; expected some of {', '.join(streams)}")
        self.names, self.dim = tuple(streams), dim
        self.keys, self.values = tuple(keys) or self.names, tuple(values) or self.names
        if unused := [name for name in streams if name not in (*self.keys, *self.values)]:
            raise ValueError(f"encoder.streams.{unused[0]}: neither in encoder.keys nor in encoder.values")
        self.streams = nn.ModuleDict(streams)
        encoders = self._encoders()
        self.reads = encoders[0].reads
        self.layout = _common([encoder.layout for encoder in encoders], grid)
        self.project = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(encoder.dim), nn.Linear(encoder.dim, dim))
                for name, encoder in zip(self.names, encoders, strict=True)
            }
        )
        self.stream_names = self.values if len(self.values) > 1 else ()
        self.norm = nn.LayerNorm(dim)
        self.key_norm = nn.LayerNorm(dim) if set(self.keys) != set(self.values) else None
        self.stream_dropout = stream_dropout
        self.dropout = Dropout(dropout)

    @classmethod
    def modality(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> Modality:
        """See ``Encoder``: what its streams encode."""
        kinds = [(_kind(name, node, trust), node) for name, node in settings["streams"].items() if node]
        return next((kind.modality(node, trust) for kind, node in kinds), cls.reads)

    @classmethod
    def without_download(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``, of every stream."""
        return _of_streams(settings, trust, lambda kind, node: kind.without_download(node, trust))

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``, of every stream."""
        return _of_streams(settings, trust, lambda kind, node: kind.from_checkpoint(node, trust))

    def restored(self, settings: Mapping[str, Any]) -> None:
        """See ``Encoder``, of every stream."""
        for name, encoder in zip(self.names, self._encoders(), strict=True):
            encoder.restored(settings["streams"][name])

    def found(self) -> dict[str, Any]:
        """What its streams have found out, by the name of the stream."""
        found = {name: encoder.found() for name, encoder in zip(self.names, self._encoders(), strict=True)}
        return {"streams": {name: each for name, each in found.items() if each}}

    def parts(self) -> tuple[Encoder, ...]:
        """The streams."""
        return tuple(self._encoders())

    def distortion_fingerprint(self) -> str | None:
        """That of the first stream, which distorts for all of them."""
        return self._encoders()[0].distortion_fingerprint()

    def distort(self, source: Tensor, seed: int) -> Tensor:
        """As the first stream does."""
        return self._encoders()[0].distort(source, seed)

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encodes a batch. Shapes: as in ``Encoder``."""
        return self.join([encoder.extract(source, lengths) for encoder in self._encoders()])

    def join(self, extracted: Sequence[tuple[Tensor, Tensor]]) -> Memory:
        """The memory from what each stream has extracted."""
        memories = [encoder.assemble(*each) for encoder, each in zip(self._encoders(), extracted, strict=True)]
        fastest = _finest([memory.layout for memory in memories])
        mask = memories[fastest].mask if isinstance(self.layout, Timeline) else None
        # Projected first: enlarging keeps sums, and there is less to enlarge.
        projected = [self.project[name](memory.states) for name, memory in zip(self.names, memories, strict=True)]
        moved = [_onto(states, memory, self.layout, mask) for states, memory in zip(projected, memories, strict=True)]
        if mask is None:
            mask = torch.ones(moved[0].shape[:2], dtype=torch.bool, device=moved[0].device)
        if self.training and self.stream_dropout:
            kept = self._kept(len(mask), mask.device).to(moved[0].dtype)
            moved = [states * kept[:, number, None, None] for number, states in enumerate(moved)]
        by_name = dict(zip(self.names, moved, strict=True))
        states = self.dropout(self.norm(_sum(by_name, self.values))) * mask[..., None]
        keys = None
        if self.key_norm is not None:
            keys = self.dropout(self.key_norm(_sum(by_name, self.keys))) * mask[..., None]
        shares = None if self.training or not self.stream_names else self._shares(by_name)
        return Memory(states, mask, self.layout, keys, shares=shares)

    def _shares(self, streams: Mapping[str, Tensor]) -> Tensor:
        """(B, S, P) of ``stream_names``: the length of what each adds to a state, along that state without its bias."""
        values = torch.stack([streams[name].float() for name in self.stream_names], dim=2)
        added = (values - values.mean(-1, keepdim=True)) * self.norm.weight.float()
        whole = added.sum(2, keepdim=True)
        return (added * whole).sum(-1) / whole.square().sum(-1).clamp(min=1e-12)

    def _encoders(self) -> list[Encoder]:
        return [self.streams[name] for name in self.names]  # type: ignore[misc]

    def _kept(self, batch: int, device: torch.device) -> Tensor:
        """Which streams a source keeps in a step of training, (B, streams), at least one of each."""
        draws = torch.rand(batch, len(self.names), device=device)
        return (draws >= self.stream_dropout) | (draws == draws.amax(1, keepdim=True))


def _of_streams(
    settings: Mapping[str, Any],
    trust: Collection[str],
    change: Callable[[type[Encoder], Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    streams = settings.get("streams")
    if not isinstance(streams, Mapping):
        return dict(settings)  # refused when it is built
    changed = {}
    for name, node in streams.items():
        if isinstance(node, Mapping) and "_target_" in node:
            with within(f"encoder.streams.{name}"):
                node = change(_kind(name, node, trust), node)
        changed[name] = node
    return {**settings, "streams": changed}


def _kind(name: str, node: Mapping[str, Any], trust: Collection[str]) -> type[Encoder]:
    """The class of a stream."""
    return find(f"encoder.streams.{name}", node.get("_target_"), Encoder, trust)  # type: ignore[return-value]


def _finest(layouts: Sequence[Layout]) -> int:
    """The number of the layout whose positions are smallest."""

    def size(number: int) -> float:
        layout = layouts[number]
        if isinstance(layout, Grid):
            return 1 / (layout.rows * layout.columns)
        return layout.step_seconds if isinstance(layout, Timeline) else 1.0

    return min(range(len(layouts)), key=size)


def _common(layouts: Sequence[Layout], grid: int | None) -> Layout:
    """What the positions of the joint memory are."""
    kinds = {type(layout) for layout in layouts}
    if kinds not in ({Grid}, {Timeline}):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(
            f"encoder.streams: memories of {names}; expected encoders of pictures alone, or of recordings alone"
        )
    if grid is None:
        return layouts[_finest(layouts)]
    if kinds == {Timeline}:
        raise ValueError(f"encoder.grid: {grid}; expected null, as recordings have no grid")
    return Grid(grid, grid)


def _onto(states: Tensor, memory: Memory, layout: Layout, mask: Tensor | None) -> Tensor:
    """States of one memory at the positions of another layout.

    Shapes:
        states: (B, S, D). mask: (B, S'), of recordings. Returns (B, S', D).
    """
    own = memory.layout
    if own == layout and (mask is None or mask.shape == memory.mask.shape):
        return states
    if isinstance(own, Grid) and isinstance(layout, Grid):
        cells = states.transpose(1, 2).unflatten(2, (own.rows, own.columns))
        size = (layout.rows, layout.columns)
        # Anti-aliasing averages where the other grid is coarser, and changes nothing where it is finer.
        moved = functional.interpolate(cells.float(), size, mode="bilinear", antialias=True)
        return moved.flatten(2).transpose(1, 2).to(states.dtype)
    assert isinstance(own, Timeline) and isinstance(layout, Timeline) and mask is not None  # noqa: PT018
    middles = (torch.arange(mask.shape[1], device=states.device) + 0.5) * layout.step_seconds + layout.offset_seconds
    steps = ((middles - own.offset_seconds) / own.step_seconds).floor().long()
    last = memory.mask.sum(1).clamp(min=1) - 1
    steps = steps.clamp(min=0)[None].minimum(last[:, None])
    return states.gather(1, steps[..., None].expand(-1, -1, states.shape[2]))


def _sum(streams: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.stack([streams[name] for name in names]).sum(0)
