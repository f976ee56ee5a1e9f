"""The recurrent decoder: Show-Attend-Tell's and Listen-Attend-Spell's by configuration.

Everything that does not depend on the previous step is outside of the time loop: keys are projected once, the
embedding's part of the gates before the loop, the readout and the vocabulary after it and on real tokens only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_mean
from multimodal_attn.models import kernels
from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.decoders.state import DecoderState
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.fast_loop import LoopAttention, run_loop
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.models.layers.lstm import lstm_step, open_forget_gate
from multimodal_attn.models.layers.scheduled_sampling import own_tokens
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import PAD, DecoderOutput, Memory

_LEAVE_TOGETHER = 4
"""Sources leave the time loop in fours: a CPU's matrix library makes a kernel for every new shape, which takes longer
than the steps saved by going alone."""

_SMALL_VOCABULARY = 256
"""Tokens of which a search reads most again and again: their part of the gates is made once for all steps."""


class RecurrentDecoder(Decoder):
    """LSTM layers around one attention.

    With ``attend="before"`` the query is the previous hidden state and the new context enters the LSTM (Xu et al.
    2015, section 3.1.2). With ``attend="after"`` the LSTM reads the previous context, and its new state is the query
    (Chan et al. 2016, equations 6 to 8).

    Args:
        attention: makes the mechanism when called with ``query_dim`` and ``memory_dim``.
        memory_dim: width D of the memory.
        vocab_size: V.
        embedding_dim: width of the token embedding.
        hidden_dim: width H of each LSTM layer.
        num_layers: LSTM layers; attention looks at the topmost.
        attend: when attention happens within a step.
        initial_state: "mean" starts from an MLP of the mean memory (Xu et al., f_init), "zeros" from zeros.
        gate: scale the context by ``sigmoid(w . hidden)`` (Xu et al., section 4.2.1: beta).
        deep_output: let the embedding of the last token reach the readout (Xu et al., equation 7).
        dropout: on embeddings and on the readout.
    """

    def __init__(
        self,
        attention: Callable[..., Attention],
        memory_dim: int,
        vocab_size: int,
        embedding_dim: Count = 256,
        hidden_dim: Count = 512,
        num_layers: Layers = 1,
        attend: Literal["before", "after"] = "before",
        initial_state: Literal["mean", "zeros"] = "mean",
        gate: bool = True,
        deep_output: bool = True,
        dropout: DropoutRate = 0.3,
    ) -> None:
        super().__init__()
        self.attend, self.initial_state, self.memory_dim = attend, initial_state, memory_dim
        self.attention = attention(query_dim=hidden_dim, memory_dim=memory_dim)
        self.objective = self.attention.objective
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PAD)
        # One product per step and layer: [context or lower layer, own hidden state] -> gates i, f, o, g.
        self.embedding_gates = nn.Linear(embedding_dim, 4 * hidden_dim)
        inputs = [memory_dim] + [hidden_dim] * (num_layers - 1)
        self.recurrent_gates = nn.ModuleList(
            nn.Linear(width + hidden_dim, 4 * hidden_dim, bias=layer > 0) for layer, width in enumerate(inputs)
        )
        if initial_state == "mean":
            self.initial = nn.Linear(memory_dim, 2 * num_layers * hidden_dim)
        self.gate = nn.Linear(hidden_dim, 1) if gate else None
        self.gate_name = "beta" if gate else ""
        self._reads_input = deep_output  # whether the embedding of the last token has a part in what is written
        self.readout_hidden = nn.Linear(hidden_dim, embedding_dim)
        self.readout_context = nn.Linear(memory_dim, embedding_dim, bias=False)
        self.deep_output = deep_output
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(embedding_dim, vocab_size)
        for gates in (self.embedding_gates, *self.recurrent_gates[1:]):
            open_forget_gate(gates, hidden_dim)

    # ------------------------------------------------------------------------------------------- one step

    def prepare(self, memory: Memory) -> PreparedMemory:
        """What the gates take from each token of a small vocabulary, outside of training (B, V, 4H), else (B, 0, 4H);
        then what attention projects."""
        tokens, gates = self.embedding.weight, self.embedding_gates
        searches = kernels.in_use() and not (self.training or torch.is_grad_enabled())
        pays = searches and len(tokens) <= _SMALL_VOCABULARY
        table = gates(tokens) if pays else tokens.new_empty(0, gates.out_features)
        # The same for all sources: a view, not copies.
        return PreparedMemory(memory, (table.expand(len(memory.mask), -1, -1), *self.attention.project(memory)))

    def start(self, source: PreparedMemory, rows: int) -> DecoderState:
        """The state before the first token, for ``rows`` rows that share each source."""
        memory = source.memory
        batch, layers = len(memory.states), len(self.recurrent_gates)
        if self.initial_state == "mean":
            initial = torch.tanh(self.initial(masked_mean(memory.states, memory.mask)))
            parts = initial.expand(-1, rows, -1).chunk(2 * layers, dim=-1)
        else:
            width = self.readout_hidden.in_features
            parts = (memory.states.new_zeros(batch, rows, width),) * (2 * layers)
        context = memory.states.new_zeros(batch, rows, self.memory_dim)
        return DecoderState(list(parts[:layers]), list(parts[layers:]), context, self.attention.start(memory, rows))

    def _advance(
        self, embedding_gates: Tensor, state: DecoderState, source: PreparedMemory
    ) -> tuple[DecoderState, AttentionStep]:
        """One step of LSTM and attention, given the embedding's part of the first layer's gates (B, K, 4H)."""
        if self.attend == "before":
            attended = self._look(state.hidden[-1], state.attention, source)
            hidden, cell = self._recur(embedding_gates, attended.context, state)
        else:
            hidden, cell = self._recur(embedding_gates, state.context, state)
            attended = self._look(hidden[-1], state.attention, source)
        return DecoderState(hidden, cell, attended.context, attended.state), attended

    def _look(self, query: Tensor, attention_state: Tensor | None, source: PreparedMemory) -> AttentionStep:
        step: AttentionStep = self.attention(query, source.projected[1:], source.memory, attention_state)
        if self.gate is None:
            return step
        beta = torch.sigmoid(self.gate(query))
        return step._replace(context=beta * step.context, gate=beta[..., 0])

    def _recur(
        self, embedding_gates: Tensor, context: Tensor, state: DecoderState
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The new states and cells of the LSTM layers."""
        hiddens, cells, below = [], [], context
        for layer, recurrent in enumerate(self.recurrent_gates):
            gates = recurrent(torch.cat([below, state.hidden[layer]], dim=-1))
            if layer == 0:
                gates = gates + embedding_gates
            below, cell = lstm_step(gates, state.cell[layer])
            hiddens.append(below)
            cells.append(cell)
        return hiddens, cells

    def _readout(self, hidden: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        """Logits of any number of steps (Xu et al. 2015, equation 7, with a tanh; Chan et al. 2016, equation 8)."""
        features = self.readout_hidden(hidden) + self.readout_context(context)
        if self.deep_output:
            features = features + embedded
        return self.vocabulary(self.dropout(features.tanh()))

    def _known(self, tokens: Tensor) -> Tensor:
        """Tokens as they are read."""
        return tokens

    def _next(
        self, hidden: Tensor, context: Tensor, embedded: Tensor, attended: AttentionStep, source: PreparedMemory
    ) -> tuple[Tensor, AttentionStep]:
        """Logits of one step (B, K, V), and its attention as it is reported."""
        return self._readout(hidden, context, embedded), attended

    def _teach(
        self, hidden: Tensor, context: Tensor, embedded: Tensor, weights: Tensor, mask: Tensor, memory: Memory
    ) -> Tensor:
        """The same of the R steps that predict a real token, (R, V).

        Shapes:
            hidden, context, embedded: (R, ...). weights: (B, K, T, N, S). mask: (B, K, T), R True.
        """
        return self._readout(hidden, context, embedded)

    def step(
        self, token: Tensor, state: DecoderState, source: PreparedMemory
    ) -> tuple[Tensor, DecoderState, AttentionStep]:
        """Reads one token per row and gives the logits of the next: what every search calls.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the attention of this step.
        """
        token, table = self._known(token), source.projected[0]
        embedded = self.dropout(self.embedding(token))
        gates = table[0, token] if table.shape[1] else self.embedding_gates(embedded)
        state, attended = self._advance(gates, state, source)
        logits, attended = self._next(state.hidden[-1], state.context, embedded, attended, source)
        return logits, state, attended

    # -------------------------------------------------------------------------------------- teacher forcing

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens and predicts each next one.

        Sources are sorted by the length of their longest text and leave the loop when it ends, which costs less than
        masking them.

        Args:
            tokens: (B, K, T), from <bos> to <eos>.
            token_mask: (B, K, T).
            memory: of the B sources.
            sampling_probability: how often a step reads a token drawn from the model's own last distribution
                in place of the given one (scheduled sampling, Bengio et al. 2015).
        """
        inputs, mask = self._known(tokens[..., :-1]), token_mask[..., 1:]
        steps = mask.sum(-1).amax(1)
        order = steps.argsort(descending=True, stable=True)
        left = (steps[:, None] > torch.arange(inputs.shape[2], device=steps.device)).sum(0).tolist()
        active = [min(-(-number // _LEAVE_TOGETHER) * _LEAVE_TOGETHER, len(steps)) for number in left]

        embedded = self.dropout(self.embedding(inputs[order]))
        gates = self.embedding_gates(embedded)
        source = self.prepare(memory.select(order))
        offered = kernels.offered(self.attention.loop_attention)
        if offered is not None and len(self.recurrent_gates) == 1 and not sampling_probability:
            hidden, context, weights = self._fast_loop(gates, source, active, offered)
            choices = None
        else:
            hidden, context, weights, choices, embedded = self._loop(
                embedded, gates, source, active, sampling_probability
            )
        restore = order.argsort()
        real_embedded = real_steps(embedded, mask, restore) if self._reads_input else embedded
        # Rows of one source end at different steps: what they attended to after their end does not count.
        joined_weights = weights[restore].masked_fill(~mask[..., None, None], 0.0)
        logits = self._teach(
            real_steps(hidden, mask, restore),
            real_steps(context, mask, restore),
            real_embedded,
            joined_weights,
            mask,
            memory,
        )
        if choices is not None:
            choices = choices[restore]
        return DecoderOutput(logits, tokens[..., 1:][mask], joined_weights, mask, choices)

    def _loop(
        self, embedded: Tensor, gates: Tensor, source: PreparedMemory, active: list[int], sampling_probability: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """The definition: hidden (B, K, T, H), context (B, K, T, D), weights (B, K, T, N, S), what attention chose
        (B, K, T, N) if it did, and the embeddings as read.

        Shapes:
            embedded: (B, K, T, E). gates: (B, K, T, 4H), the embedding's part. active: sources at each of T steps.
        """
        # unbind, not indexing: the backward of t single selections would write t full-size tensors.
        embedded_steps, gate_steps = list(embedded.unbind(2)), gates.unbind(2)
        sources = batch = len(gates)
        state = self.start(source, gates.shape[1])
        hiddens, contexts, weights, choices = [], [], [], []
        attended: AttentionStep | None = None
        for t, num_active in enumerate(active):
            if num_active == 0:
                break
            if num_active < sources:
                sources, source, state = num_active, source.first(num_active), state.first(num_active)
            gate = gate_steps[t][:sources]
            if sampling_probability and attended is not None:
                embedded_steps[t], gate = self._sample(
                    state, attended, source, embedded_steps[t - 1], embedded_steps[t], gate, sampling_probability
                )
            state, attended = self._advance(gate, state, source)
            hiddens.append(state.hidden[-1])
            contexts.append(state.context)
            weights.append(attended.weights)
            if attended.choice is not None:
                choices.append(attended.choice)

        def join(pieces: list[Tensor]) -> Tensor:
            """Steps of shrinking batches to (B, K, T, ...)."""
            padded = [
                torch.cat([p, p.new_zeros(batch - len(p), *p.shape[1:])]) if len(p) < batch else p for p in pieces
            ]
            padded += [torch.zeros_like(padded[0])] * (len(active) - len(padded))
            return torch.stack(padded, dim=2)

        chosen = join(choices) if choices else None
        return join(hiddens), join(contexts), join(weights), chosen, torch.stack(embedded_steps, dim=2)

    def _fast_loop(
        self, gates: Tensor, source: PreparedMemory, active: list[int], attention: LoopAttention
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for given tokens only: hidden, context and weights."""
        state = self.start(source, gates.shape[1])
        memory, (recurrent,) = source.memory, self.recurrent_gates
        hidden, context, weights = run_loop(
            attention,
            recurrent.weight,  # type: ignore[arg-type]
            None if self.gate is None else (self.gate.weight[0], self.gate.bias),
            self.attend == "before",
            active,
            gates,
            state.hidden[0],
            state.cell[0],
            source.projected[1],
            memory.states,
            memory.mask,
            state.attention,
        )
        return hidden, context, weights[:, :, :, None]

    def _sample(
        self,
        state: DecoderState,
        attended: AttentionStep,
        source: PreparedMemory,
        last_embedded: Tensor,
        embedded: Tensor,
        gate: Tensor,
        probability: float,
    ) -> tuple[Tensor, Tensor]:
        """Replaces some rows' next input by a token that the model draws itself."""
        sources = len(gate)
        with torch.no_grad():
            attended = attended._replace(weights=attended.weights[:sources])
            logits, _ = self._next(state.hidden[-1], state.context, last_embedded[:sources], attended, source)
            drawn, replaced = own_tokens(logits, probability)
        own = self.dropout(self.embedding(self._known(drawn)))
        mixed = torch.where(replaced[..., None], own, embedded[:sources])
        return (
            torch.cat([mixed, embedded[sources:]]),
            torch.where(replaced[..., None], self.embedding_gates(own), gate),
        )
