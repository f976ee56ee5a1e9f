"""The top-down decoder (Anderson et al. 2018), on request with attention on attention (Huang et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_mean, masked_softmax
from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.decoders.state import DecoderState
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.models.layers.lstm import lstm_step, open_forget_gate
from multimodal_attn.models.layers.scheduled_sampling import own_tokens
from multimodal_attn.ranges import Count, DropoutRate
from multimodal_attn.types import PAD, DecoderOutput, Memory


class TopDownDecoder(Decoder):
    """Two LSTM layers with attention between them: the word is read before the model decides where to look.

    The attention LSTM reads the word, the mean memory and the other layer's last state (equation 2); its state is the
    query; the language LSTM reads the context and that state (equation 6), and writes the next word.

    Args:
        attention: makes the mechanism when called with ``query_dim`` and ``memory_dim``.
        memory_dim: width D of the memory.
        vocab_size: V.
        embedding_dim: width of the token embedding.
        hidden_dim: width H of each LSTM layer.
        attention_on_attention: let the query decide how much of the context is of use (Huang et al., equations 3 to 5).
        second_look: look again at each word once it is written: where its embedding finds itself in the memory is the
            word's map, and what it finds there is read with the word, for those that follow.
        dropout: on embeddings and before the vocabulary.
    """

    def __init__(
        self,
        attention: Callable[..., Attention],
        memory_dim: int,
        vocab_size: int,
        embedding_dim: Count = 256,
        hidden_dim: Count = 512,
        attention_on_attention: bool = False,
        second_look: bool = False,
        dropout: DropoutRate = 0.3,
    ) -> None:
        super().__init__()
        self.memory_dim, self.hidden_dim = memory_dim, hidden_dim
        self.attention = attention(query_dim=hidden_dim, memory_dim=memory_dim)
        self.objective = self.attention.objective
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PAD)
        # What the first layer's gates take from the word and the mean memory is known before the time loop.
        self.embedding_gates = nn.Linear(embedding_dim, 4 * hidden_dim)
        self.mean_gates = nn.Linear(memory_dim, 4 * hidden_dim, bias=False)
        self.attention_gates = nn.Linear(2 * hidden_dim, 4 * hidden_dim, bias=False)
        self.language_gates = nn.Linear(memory_dim + 2 * hidden_dim, 4 * hidden_dim)
        self.information = nn.Linear(memory_dim + hidden_dim, 2 * memory_dim) if attention_on_attention else None
        self.looked_for = nn.Linear(memory_dim, embedding_dim, bias=False) if second_look else None
        self.looked_up = nn.Linear(memory_dim, embedding_dim) if second_look else None
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(hidden_dim, vocab_size)
        for gates in (self.embedding_gates, self.language_gates):
            open_forget_gate(gates, hidden_dim)

    def prepare(self, memory: Memory) -> PreparedMemory:
        """The mean memory's part of the first gates (B, 1, 4H), the keys of the second look (B, S, E) if any, then what
        attention projects."""
        mean_gates = self.mean_gates(masked_mean(memory.states, memory.mask))
        keys = () if self.looked_for is None else (self.looked_for(memory.compared),)
        return PreparedMemory(memory, (mean_gates, *keys, *self.attention.project(memory)))

    def start(self, source: PreparedMemory, rows: int) -> DecoderState:
        """Zeros, for ``rows`` rows of each source; layer 0 attends, layer 1 writes."""
        states = source.memory.states
        zeros = states.new_zeros(len(states), rows, self.hidden_dim)
        context = states.new_zeros(len(states), rows, self.memory_dim)
        return DecoderState([zeros] * 2, [zeros] * 2, context, self.attention.start(source.memory, rows))

    def step(
        self, token: Tensor, state: DecoderState, source: PreparedMemory
    ) -> tuple[Tensor, DecoderState, AttentionStep]:
        """Reads one token per row and gives the logits of the next: what every search calls.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the attention of this step.
        """
        state, attended = self._advance(self.embedding_gates(self._read(token, source)), state, source)
        return self._logits(state.hidden[1]), state, attended

    def second_look(self, tokens: Tensor, memory: Memory) -> Tensor | None:
        """See ``Decoder``."""
        if self.looked_for is None:
            return None
        return self._second_maps(tokens, self.looked_for(memory.compared), memory)[..., None, :]

    def _second_maps(self, tokens: Tensor, keys: Tensor, memory: Memory) -> Tensor:
        """Where each token finds itself, (B, ..., S) for tokens (B, ...)."""
        query = self.embedding(tokens.flatten(1)) * keys.shape[-1] ** -0.5
        maps = masked_softmax(query @ keys.transpose(1, 2), memory.mask[:, None])
        return maps.unflatten(1, tokens.shape[1:])

    def _read(self, tokens: Tensor, source: PreparedMemory) -> Tensor:
        """The embeddings of tokens (B, ...), with what a second look finds, (B, ..., E)."""
        embedded = self.embedding(tokens)
        if self.looked_up is not None:
            maps = self._second_maps(tokens, source.projected[1], source.memory)
            found = maps.flatten(1, -2) @ source.memory.states
            embedded = embedded + self.looked_up(found).unflatten(1, tokens.shape[1:])
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def _advance(
        self, embedding_gates: Tensor, state: DecoderState, source: PreparedMemory
    ) -> tuple[DecoderState, AttentionStep]:
        """Both layers and the attention between them, given the embedding's part of the first gates (B, K, 4H)."""
        mean_gates, *projected = source.projected
        if self.looked_for is not None:
            projected = projected[1:]
        recurrent = self.attention_gates(torch.cat([state.hidden[1], state.hidden[0]], dim=-1))
        query, query_cell = lstm_step(embedding_gates + mean_gates + recurrent, state.cell[0])
        attended: AttentionStep = self.attention(query, tuple(projected), source.memory, state.attention)
        if self.information is not None:
            value, gate = self.information(torch.cat([attended.context, query], dim=-1)).chunk(2, dim=-1)
            attended = attended._replace(context=gate.sigmoid() * value)
        gates = self.language_gates(torch.cat([attended.context, query, state.hidden[1]], dim=-1))
        hidden, cell = lstm_step(gates, state.cell[1])
        return DecoderState([query, hidden], [query_cell, cell], attended.context, attended.state), attended

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.vocabulary(self.dropout(hidden))
        return logits

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens and predicts each next one. Args and shapes: as in ``Decoder``."""
        inputs, mask = tokens[..., :-1], token_mask[..., 1:]
        source = self.prepare(memory)
        gates = list(self.embedding_gates(self._read(inputs, source)).unbind(2))
        state = self.start(source, tokens.shape[1])
        hiddens: list[Tensor] = []
        weights: list[Tensor] = []
        choices: list[Tensor] = []
        for t in range(inputs.shape[2]):
            if sampling_probability and t:
                with torch.no_grad():
                    drawn, replaced = own_tokens(self._logits(hiddens[-1]), sampling_probability)
                own = self.embedding_gates(self._read(drawn, source))
                gates[t] = torch.where(replaced[..., None], own, gates[t])
            state, attended = self._advance(gates[t], state, source)
            hiddens.append(state.hidden[1])
            weights.append(attended.weights)
            if attended.choice is not None:
                choices.append(attended.choice)
        # The vocabulary on real tokens only.
        logits = self._logits(real_steps(torch.stack(hiddens, 2), mask))
        looked = self.second_look(tokens[..., 1:], memory)
        joined = (torch.stack(weights, 2) if looked is None else looked).masked_fill(~mask[..., None, None], 0.0)
        chosen = torch.stack(choices, 2) if choices else None
        return DecoderOutput(logits, tokens[..., 1:][mask], joined, mask, chosen)
