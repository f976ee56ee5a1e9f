"""The scores of additive attention, ``v . tanh(k + q)``, without an array of all its hidden units.

The hidden layer has B K S A numbers, and on a CPU making them bounds the whole decoder. ``plain_additive_scores`` is
the definition. ``HiddenLayer`` makes them block by block, while they fit into the cache, and ``HiddenGradients`` anew.

``tanh(x) = 2 sigmoid(2x) - 1``, and a sigmoid takes a ninth of the time of a tanh on a CPU. Keys are therefore doubled
once per memory, and queries where they meet them; nobody outside of this room knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.kernels import in_use

_BLOCK = 2**20
"""Numbers of the hidden layer that are made at a time on a CPU: they stay in its caches (4 MiB), and are enough for all
cores to share."""

_USES_THAT_PAY = 3
"""Queries that must meet a key before its exponential, which takes as long as a sigmoid, has paid."""


def plain_additive_scores(
    doubled_keys: Tensor,
    queries: Tensor,
    score: Tensor,
    features: Tensor | None = None,
    projection: Tensor | None = None,
) -> Tensor:
    """``v . tanh(k + q + U f)`` from 2k, q, f and U.

    Shapes:
        doubled_keys: (B, S, A). queries: (B, K, A). score: (A,), v. features: (B, K, S, F) what the mechanism knows of
        each position, with projection (A, F), U; or neither. Returns (B, K, S).
    """
    hidden = doubled_keys[:, None] + (2 * queries)[:, :, None]
    if features is not None and projection is not None:
        hidden = hidden + features @ (2 * projection.T)
    # The sum of v matters where no softmax follows: sigmoids see where the scores lie, not only their differences.
    return hidden.sigmoid_() @ (2 * score) - score.sum()


def additive_keys(projected: Tensor, exponentials: bool = True) -> tuple[Tensor, ...]:
    """Keys as ``additive_scores`` takes them: what every step of a search would else make anew.

    Args:
        projected: (B, S, A), k.
        exponentials: False for scores with features, which have no use for them, and for keys that are met once.

    Shapes:
        Returns 2k, (B, S, A), and, for steps without gradients on a CPU, the ``exponentials`` ``exp(-2k)``.
    """
    doubled = 2 * projected
    if torch.is_grad_enabled() or doubled.is_cuda or not in_use():
        return (doubled,)
    doubled = doubled.to(_wide(doubled.dtype))
    return (doubled, _exponentials(doubled)) if exponentials else (doubled,)


def additive_scores(
    keys: tuple[Tensor, ...],
    queries: Tensor,
    score: Tensor,
    features: Tensor | None = None,
    projection: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """As ``plain_additive_scores``: by it where a gradient is wanted, else block by block (a CPU: in float32 at least).

    Args:
        keys: of ``additive_keys``.
        mask: (B, S) False where scores do not matter: on a CPU, none is made after the last True of a block.
    """
    doubled_keys, *exponentials = keys
    if torch.is_grad_enabled() or not in_use():
        return plain_additive_scores(doubled_keys, queries, score, features, projection)
    with torch.autocast(doubled_keys.device.type, enabled=False):
        lengths = None if mask is None else last_real(mask)
        layer = HiddenLayer(doubled_keys, score, projection, lengths, queries.shape[1], *exponentials)
        scores = layer.keys.new_zeros(*queries.shape[:2], doubled_keys.shape[1])
        layer.scores(layer.ready(2 * queries), features, scores)
        return scores - score.sum()


def additive_scores_of_heads(keys: tuple[Tensor, ...], queries: Tensor, score: Tensor, known: Tensor) -> Tensor:
    """``v_n . tanh(k_n + q_n + f_n)`` for heads n that share the hidden layer, with gradients or without.

    Shapes:
        keys: of ``additive_keys``. queries: (B, K, A). score: (N, A / N), the v_n. known: (B, K, S, A) what the
        mechanism knows of each position. Returns (B, N, K, S).
    """
    hidden = (keys[0][:, None] + 2 * known + (2 * queries)[:, :, None]).sigmoid_().unflatten(-1, score.shape)
    return torch.einsum("bksnh,nh->bnks", hidden, 2 * score) - score.sum(-1)[:, None, None]


def last_real(mask: Tensor) -> list[int] | None:
    """How many positions each row has up to its last True; None on a GPU, which would have to wait for the answer.

    Shapes:
        mask: (B, S).
    """
    if mask.is_cuda:
        return None
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths: list[int] = (mask * positions).amax(1).tolist()
    return lengths


def _wide(dtype: torch.dtype) -> torch.dtype:
    """In the cache of a CPU, arithmetic in bf16 takes longer than in fp32."""
    return torch.promote_types(dtype, torch.float32)


def _exponentials(doubled: Tensor) -> Tensor:
    """``exp(-x)``, bounded so that products of two are finite: sigmoids are exact where |x| is below 40 (fp32)."""
    limit = math.log(torch.finfo(doubled.dtype).max) / 2.2
    return doubled.neg().clamp_(-limit, limit).exp_()


class Block(NamedTuple):
    """Some rows of some sources, with the positions that matter.

    Attributes:
        sources: n of them.
        rows: k of them.
        size: number of positions.
        keys: (n, 1, size, A).
        hidden: (n, k, size, A), where the hidden units are made.
        flat: the same as (n * k * size, A).
    """

    sources: slice
    rows: slice
    size: int
    keys: Tensor
    hidden: Tensor
    flat: Tensor


class HiddenLayer:
    """The hidden layer of some memories, one block at a time.

    Args:
        keys: (B, S, A), doubled.
        score: (A,) v.
        projection: (A, F) U, or None.
        lengths: of the B sources, how many positions matter; None for all.
        uses: rows of queries, of all steps, that will meet each key.
        exponentials: ``exp(-keys)``, if it is there.

    Attributes:
        keys: (B, S, A), doubled; or, if ``exponential``, ``exp(-2k)``.
        score: (A,) 2 v.
        projection: (F, A) 2 U, or None.
        exponential: without features, ``sigmoid(2k + 2q)`` is ``1 / (1 + exp(-2k) exp(-2q))``. With the exponentials
            made beforehand, a CPU takes two thirds of the time: its reciprocals are quicker than its sigmoids.
    """

    def __init__(
        self,
        keys: Tensor,
        score: Tensor,
        projection: Tensor | None,
        lengths: list[int] | None,
        uses: int,
        exponentials: Tensor | None = None,
    ) -> None:
        dtype = keys.dtype if keys.is_cuda else _wide(keys.dtype)
        if exponentials is None and projection is None and uses >= _USES_THAT_PAY and not keys.is_cuda:
            # A GPU may hold keys in half precision, in which the products would overflow soon.
            exponentials = _exponentials(keys.to(dtype))
        self.exponential = exponentials is not None
        self.keys = keys.to(dtype) if exponentials is None else exponentials
        self.score = (2 * score).to(dtype)
        self.one = torch.ones_like(self.score[:1])
        self.projection = None if projection is None else (2 * projection.T).to(dtype)
        self.lengths = [keys.shape[1]] * len(keys) if lengths is None else lengths
        self.buffer = keys.new_empty(0, dtype=dtype)
        self._blocks: dict[tuple[int, int], list[Block]] = {}

    def blocks(self, sources: int, rows: int) -> list[Block]:
        """Covers the rows of the first sources; most steps of a loop have the same."""
        if (sources, rows) not in self._blocks:
            self._blocks[sources, rows] = [self._block(*cut) for cut in self._cuts(sources, rows)]
        return self._blocks[sources, rows]

    def _cuts(self, sources: int, rows: int) -> Iterator[tuple[slice, slice, int]]:
        """Many sources in a block, or some rows of one, and the longest of their lengths."""
        _, size, width = self.keys.shape
        if self.keys.is_cuda:
            yield slice(0, sources), slice(0, rows), size
            return
        first = 0
        while first < sources:
            longest = max(1, self.lengths[first])
            rows_at_once = max(1, min(rows, _BLOCK // (longest * width)))
            last = first + 1
            while last < sources and rows_at_once == rows:
                longer = max(longest, self.lengths[last])
                if (last + 1 - first) * rows * longer * width > _BLOCK:
                    break
                longest, last = longer, last + 1
            for row in range(0, rows, rows_at_once):
                yield slice(first, last), slice(row, min(row + rows_at_once, rows)), longest
            first = last

    def _block(self, sources: slice, rows: slice, size: int) -> Block:
        keys = self.keys[sources, None, :size]
        shape = (len(keys), rows.stop - rows.start, size, keys.shape[-1])
        number = math.prod(shape)
        if self.buffer.numel() < number:
            self.buffer = self.buffer.new_empty(number)
        hidden = self.buffer[:number].view(shape)
        return Block(sources, rows, size, keys, hidden, hidden.view(-1, shape[-1]))

    def ready(self, queries: Tensor) -> Tensor:
        """Doubled queries as ``scores`` and the gradients take them."""
        queries = queries.to(self.keys.dtype)
        return _exponentials(queries) if self.exponential else queries

    def make(self, block: Block, queries: Tensor, features: Tensor | None) -> Tensor | None:
        """Writes ``sigmoid(2 (keys + queries + projected))`` into a block, until the next call; returns its features.

        Shapes:
            queries: (B, K, A), of ``ready``. features: (B, K, S, F) or None. Returns (n * k * size, F) or None.
        """
        chosen = queries[block.sources, block.rows, None]
        if self.exponential:
            torch.addcmul(self.one, block.keys, chosen, out=block.hidden).reciprocal_()
            return None
        torch.add(block.keys, chosen, out=block.hidden)
        known = None
        if features is not None and self.projection is not None:
            known = features[block.sources, block.rows, : block.size].to(self.keys.dtype).flatten(0, 2)
            block.flat.addmm_(known, self.projection)
        block.hidden.sigmoid_()
        return known

    def scores(self, queries: Tensor, features: Tensor | None, out: Tensor) -> None:
        """Writes ``2 v . sigmoid(...)`` of the first n sources; what does not matter stays as it was.

        Shapes:
            queries: (n, K, A), of ``ready``. features: (n, K, S, F) or None. out: (n, K, S).
        """
        for block in self.blocks(*queries.shape[:2]):
            self.make(block, queries, features)
            # (1, A) by (A, rows): a matrix library takes twice as long for the same as a matrix by a vector.
            scores = torch.mm(self.score[None], block.flat.T)
            out[block.sources, block.rows, : block.size] = scores.view(block.hidden.shape[:-1])


class HiddenGradients:
    """Adds up what the scores of one step after another give to keys, v and projection.

    Attributes:
        keys: (B, S, A), of the doubled keys, without the factor 2 v.
        score: (1, A), of 2 v.
        projection: (F, A), of the doubled projection, without the factor 2 v; or None.
    """

    def __init__(self, layer: HiddenLayer) -> None:
        self.layer = layer
        self.keys, self.score = torch.zeros_like(layer.keys), torch.zeros_like(layer.score[None])
        self.projection = self.back = None  # the second (A, F), from hidden units to features
        if layer.projection is not None:
            self.projection = torch.zeros_like(layer.projection)
            self.back = (layer.projection * layer.score).T.contiguous()

    def add(self, queries: Tensor, features: Tensor | None, d_scores: Tensor, d_queries: Tensor) -> Tensor | None:
        """Those of one step; returns the gradient of its features.

        Shapes:
            queries: (n, K, A), of ``HiddenLayer.ready``. features: (n, K, S, F). d_scores: (n, K, S), 0 where scores do
            not matter. d_queries: (n, K, A), to be written: of the doubled queries, without the factor 2 v.
        """
        layer = self.layer
        d_features = None if features is None else features.new_zeros(features.shape, dtype=layer.keys.dtype)
        for block in layer.blocks(*queries.shape[:2]):
            known = layer.make(block, queries, features)
            sources, rows, size, _, hidden, flat = block
            given = d_scores[sources, rows, :size].contiguous()
            # Products and sums: a matrix library takes twice as long where it adds to a narrow result.
            self.score += given.view(1, -1) @ flat
            # d_scores sigmoid' in place of the hidden units.
            spread = given[..., None].expand_as(hidden)
            torch.ops.aten.sigmoid_backward.grad_input(spread, hidden, grad_input=hidden)
            self.keys[sources, :size] += hidden[:, 0] if hidden.shape[1] == 1 else hidden.sum(1)
            torch.sum(hidden, 2, out=d_queries[sources, rows])
            if known is not None:
                assert d_features is not None
                assert self.projection is not None
                assert self.back is not None
                self.projection += known.T @ flat
                d_features[sources, rows, :size] = (flat @ self.back).view(*given.shape, -1)
        return d_features

    def whole(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Those of the doubled keys, of v and of U."""
        projection = None if self.projection is None else 2 * (self.projection * self.layer.score).T
        return self.keys * self.layer.score, 2 * self.score[0], projection
