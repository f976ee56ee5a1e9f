"""The Transformer decoder (Vaswani et al. 2017), pre-norm (Xiong et al. 2020), with a cache of keys and values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_softmax, select_rows
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, LayerWeights, PreparedMemory
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.models.layers.distance_bias import DistanceBias
from multimodal_attn.models.layers.heads import attend, head_weights, join_heads, split_heads
from multimodal_attn.models.layers.layer_to_report import layer_to_report
from multimodal_attn.models.layers.rotary import rotate
from multimodal_attn.models.layers.scheduled_sampling import with_own_tokens
from multimodal_attn.models.layers.self_attention import RelativePositions
from multimodal_attn.models.layers.self_attention_layers import Positions, within_layers
from multimodal_attn.models.layers.sinusoids import sinusoids
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import PAD, DecoderOutput, Memory


@dataclass
class TransformerState:
    """What was written so far.

    Attributes:
        cache: keys and values of each layer's self-attention, (B, K, 2, N, tokens so far, head) each.
    """

    cache: list[Tensor]

    @property
    def tokens(self) -> int:
        """How many tokens were read."""
        return self.cache[0].shape[4]

    def select(self, index: Tensor) -> TransformerState:
        """See ``select_rows``."""
        return TransformerState([select_rows(layer, index) for layer in self.cache])


class TransformerDecoder(Decoder):
    """Layers of self-attention, attention to the memory, and a feed-forward network.

    It brings its own attention. Reported are the weights of one layer's N heads.

    Args:
        memory_dim: width D of the memory.
        vocab_size: V.
        embedding_dim: width of the token embedding, which also writes the tokens; None for ``hidden_dim``.
        hidden_dim: width H of the layers; even, and a multiple of ``num_heads``.
        num_layers: layers.
        num_heads: N, of self-attention and of attention to the memory.
        feed_forward_dim: width within the feed-forward networks.
        reported_layer: whose attention to the memory is reported; -1 is the last.
        dropout: on embeddings, attention to earlier tokens, and the output of every part of a layer.
        positions: sines and cosines that are added to the embeddings, rotated queries and keys of self-attention
            ("rotary"), or a bias for every distance there ("relative").

    Raises:
        ValueError: if a number does not fit the others.
    """

    own_attention = True

    def __init__(
        self,
        memory_dim: int,
        vocab_size: int,
        embedding_dim: Count | None = None,
        hidden_dim: Count = 256,
        num_layers: Layers = 3,
        num_heads: Count = 4,
        feed_forward_dim: Count = 1024,
        reported_layer: int = -1,
        dropout: DropoutRate = 0.1,
        positions: Positions = "sinusoidal",
    ) -> None:
        super().__init__()
        self.hidden_dim, self.sinusoidal = hidden_dim, positions == "sinusoidal"
        self.reported_layer = layer_to_report(reported_layer, num_layers, hidden_dim, num_heads, positions)
        width = embedding_dim or hidden_dim
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        # A narrower embedding keeps a large vocabulary small (Lan et al. 2020, section 3.1).
        self.widen = nn.Identity() if width == hidden_dim else nn.Linear(width, hidden_dim, bias=False)
        self.narrow = nn.Identity() if width == hidden_dim else nn.Linear(hidden_dim, width)
        self.layers = nn.ModuleList(
            _Layer(hidden_dim, memory_dim, num_heads, feed_forward_dim, dropout, within_layers(positions))
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(width, vocab_size)
        # One matrix reads and writes words (Press & Wolf 2017); hence the embedding's small start and large factor.
        self.vocabulary.weight = self.embedding.weight

    def prepare(self, memory: Memory) -> PreparedMemory:
        """Keys and values of every layer, (B, 2, N, S, head) each."""
        return PreparedMemory(memory, tuple(layer.project(memory) for layer in self.layers))  # type: ignore[operator]

    def start(self, source: PreparedMemory, rows: int) -> TransformerState:
        """An empty cache for ``rows`` rows of each source."""
        batch, _, heads, _, head_dim = source.projected[0].shape
        empty = source.projected[0].new_zeros(batch, rows, 2, heads, 0, head_dim)
        return TransformerState([empty for _ in self.layers])

    def step(
        self, token: Tensor, state: TransformerState, source: PreparedMemory
    ) -> tuple[Tensor, TransformerState, AttentionStep]:
        """Reads one token per row and gives the logits of the next: what every search calls.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the reported layer's attention.
        """
        hidden, cache, attended = self._run(token[..., None], state, source)
        context, weights = attended
        step = AttentionStep(context[:, :, 0], weights[:, :, 0], None)
        return self._logits(hidden[:, :, 0]), TransformerState(cache), step

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens at once, and predicts each next one.

        Args and shapes: as in ``Decoder``. With ``sampling_probability``, a first pass without gradient draws what
        the model itself would write at each place, and the second reads some of that (Mihaylova & Martins 2019).
        """
        inputs, mask = tokens[..., :-1], token_mask[..., 1:]
        source = self.prepare(memory)
        start = self.start(source, tokens.shape[1])
        if sampling_probability:
            with torch.no_grad():
                logits = self._logits(self._run(inputs, start, source)[0][:, :, :-1])
            inputs = with_own_tokens(inputs, mask, logits, sampling_probability)
        hidden, _, (_, weights) = self._run(inputs, start, source)
        weights = weights.masked_fill(~mask[..., None, None], 0.0)
        return DecoderOutput(self._logits(real_steps(hidden, mask)), tokens[..., 1:][mask], weights, mask)

    def layer_weights(self, tokens: Tensor, memory: Memory) -> list[LayerWeights]:
        """As in ``Decoder``. ``forward`` never holds the weights of self-attention, so they are computed apart here."""
        source = self.prepare(memory)
        state = self.start(source, tokens.shape[1])
        hidden, found = self._embed(tokens, state), []
        for layer, past, projected in zip(self.layers, state.cache, source.projected, strict=True):
            between_tokens = layer.self_weights(hidden, past)  # type: ignore[operator]
            hidden, _, (_, weights) = layer(hidden, past, projected, memory)
            found.append(LayerWeights(between_tokens, weights.transpose(2, 3)))
        return found

    def _embed(self, tokens: Tensor, state: TransformerState) -> Tensor:
        embedded = self.widen(self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim))
        if self.sinusoidal:
            positions = torch.arange(state.tokens, state.tokens + tokens.shape[-1], device=tokens.device)
            embedded = embedded + sinusoids(positions, self.hidden_dim)
        hidden: Tensor = self.dropout(embedded)
        return hidden

    def _run(
        self, tokens: Tensor, state: TransformerState, source: PreparedMemory
    ) -> tuple[Tensor, list[Tensor], tuple[Tensor, Tensor]]:
        """All layers over T new tokens (B, K, T): hidden (B, K, T, H), the cache, and context and weights to report."""
        hidden, cache, reported = self._embed(tokens, state), [], None
        for index, (layer, past, projected) in enumerate(zip(self.layers, state.cache, source.projected, strict=True)):
            hidden, grown, attended = layer(hidden, past, projected, source.memory)
            cache.append(grown)
            if index == self.reported_layer:
                reported = attended
        assert reported is not None
        return self.norm(hidden), cache, reported

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.vocabulary(self.narrow(hidden))
        return logits


class _Layer(nn.Module):
    """Self-attention, attention to the memory, feed-forward; each adds to what comes in."""

    def __init__(
        self,
        dim: int,
        memory_dim: int,
        num_heads: int,
        feed_forward_dim: int,
        dropout: float,
        positions: RelativePositions | None,
    ) -> None:
        super().__init__()
        self.num_heads, self.rotary = num_heads, positions == "rotary"
        self.bias = DistanceBias(num_heads) if positions == "relative" else None
        # Keys need no bias: it cancels in the softmax. That of values would be one with that of the output.
        self.self_norm = nn.LayerNorm(dim)
        self.self_query, self.self_key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim, bias=False)
        self.self_output = nn.Linear(dim, dim)
        self.memory_norm = nn.LayerNorm(dim)
        self.memory_query, self.memory_key_value = nn.Linear(dim, dim), nn.Linear(memory_dim, 2 * dim, bias=False)
        self.memory_output = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, feed_forward_dim),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(feed_forward_dim, dim),
        )
        self.dropout = Dropout(dropout)

    def project(self, memory: Memory) -> Tensor:
        """Keys and values of the memory, (B, 2, N, S, head)."""
        joined = self.memory_key_value(memory.states)
        if memory.keys is not None:
            keys = self.memory_key_value(memory.keys)
            joined = torch.cat([keys[..., : keys.shape[-1] // 2], joined[..., joined.shape[-1] // 2 :]], dim=-1)
        return joined.unflatten(-1, (2, self.num_heads, -1)).permute(0, 2, 3, 1, 4)

    def forward(
        self, hidden: Tensor, past: Tensor, projected: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """T new tokens after those in the cache.

        Shapes:
            hidden: (B, K, T, H). past: (B, K, 2, N, tokens, head). projected: (B, 2, N, S, head).
            Returns hidden, the cache with the new tokens, and context (B, K, T, H) and weights (B, K, T, N, S).
        """
        query, cache, causal = self._self_inputs(hidden, past)
        bias = None if self.bias is None else self.bias.of_last(*causal.shape)
        # Sources and rows as one axis: a graph knows this product in four dimensions only.
        query, keys, values = (part.flatten(0, 1) for part in (query, cache[:, :, 0], cache[:, :, 1]))
        heads = attend(query, keys, values, causal, bias, self.dropout)
        hidden = hidden + self.dropout(self.self_output(join_heads(heads).view_as(hidden)))

        # All tokens of all rows are queries of one product: the memory is not copied for them.
        query = split_heads(self.memory_query(self.memory_norm(hidden)).flatten(1, 2), self.num_heads)
        query = query * query.shape[-1] ** -0.5  # (B, N, K * T, head)
        weights = masked_softmax(query @ projected[:, 0].transpose(2, 3), memory.mask[:, None, None])
        context = self.memory_output(join_heads(weights @ projected[:, 1])).unflatten(1, hidden.shape[1:3])
        weights = weights.transpose(1, 2).unflatten(1, hidden.shape[1:3])
        hidden = hidden + self.dropout(context)
        return hidden + self.dropout(self.feed_forward(hidden)), cache, (context, weights)

    def self_weights(self, hidden: Tensor, past: Tensor) -> Tensor:
        """The weights of self-attention in ``forward``.

        Shapes:
            As in ``forward``. Returns (B, K, N, T, tokens + T).
        """
        query, cache, causal = self._self_inputs(hidden, past)
        bias = None if self.bias is None else self.bias.of_last(*causal.shape)
        return head_weights(query, cache[:, :, 0], causal, bias)

    def _self_inputs(self, hidden: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, K, N, T, head), the cache with the new tokens, and who sees whom (T, tokens + T)."""
        normed = self.self_norm(hidden)
        query = split_heads(self.self_query(normed), self.num_heads)
        fresh = self.self_key_value(normed).unflatten(-1, (2, self.num_heads, -1)).permute(0, 1, 3, 4, 2, 5)
        if self.rotary:
            first = past.shape[4]
            query = rotate(query, first)
            fresh = torch.stack([rotate(fresh[:, :, 0], first), fresh[:, :, 1]], dim=2)
        cache = torch.cat([past, fresh], dim=4)
        new, total = query.shape[3], cache.shape[4]
        # Token t of the new ones sees all before it and itself. Padding comes after every real token: none sees it.
        return query, cache, torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
