"""Adaptive attention with a visual sentinel (Lu et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.masking import masked_mean, masked_softmax
from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.decoders.state import DecoderState
from multimodal_attn.models.kernels.additive_scores import additive_keys, additive_scores
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.models.layers.lstm import lstm_step, open_forget_gate
from multimodal_attn.models.layers.scheduled_sampling import own_tokens
from multimodal_attn.ranges import Count, DropoutRate
from multimodal_attn.types import PAD, DecoderOutput, Memory


class AdaptiveDecoder(Decoder):
    """An LSTM that decides for each word whether to look at the source or to rely on what it has written.

    The sentinel is what the LSTM's cell holds of the text so far, through a gate of its own (equations 9 and 10). It
    competes with the memory positions in one softmax (equation 12); its share is the paper's beta, and what reaches the
    word is ``beta * sentinel + (1 - beta) * context`` (equation 11). Reported are the weights among the positions,
    which sum to 1, and as gate ``1 - beta``. The LSTM does not read the context: attention of all words is taken at
    once.

    It brings its own attention, whose scores (equation 6) must be comparable to the sentinel's.

    Args:
        memory_dim: width D of the memory.
        vocab_size: V.
        embedding_dim: width of the token embedding, and of the mean memory beside it.
        hidden_dim: width H of the LSTM, and of the memory that it attends to.
        attention_dim: width A of the attention's hidden layer.
        dropout: on the LSTM's inputs and before the vocabulary.
    """

    own_attention = True
    gate_name = "1 - sentinel"

    def __init__(
        self,
        memory_dim: int,
        vocab_size: int,
        embedding_dim: Count = 256,
        hidden_dim: Count = 512,
        attention_dim: Count = 256,
        dropout: DropoutRate = 0.3,
    ) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.memory = nn.Sequential(nn.Linear(memory_dim, hidden_dim), nn.ReLU())
        self.mean = nn.Sequential(nn.Linear(memory_dim, embedding_dim), nn.ReLU())
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PAD)
        # Each gives the gates i, f, o, g of the LSTM, and the sentinel's.
        self.embedding_gates = nn.Linear(embedding_dim, 5 * hidden_dim)
        self.mean_gates = nn.Linear(embedding_dim, 5 * hidden_dim, bias=False)
        self.recurrent_gates = nn.Linear(hidden_dim, 5 * hidden_dim, bias=False)
        self.key = nn.Linear(hidden_dim, attention_dim)
        self.query = nn.Linear(hidden_dim, attention_dim, bias=False)
        self.sentinel_key = nn.Linear(hidden_dim, attention_dim)
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(hidden_dim, vocab_size)
        open_forget_gate(self.embedding_gates, hidden_dim)

    def prepare(self, memory: Memory) -> PreparedMemory:
        """The mean memory (B, 1, E), the memory as it is attended to (B, S, H), and its keys."""
        mean = self.mean(masked_mean(memory.states, memory.mask))
        states = self.memory(memory.states)
        compared = states if memory.keys is None else self.memory(memory.keys)
        return PreparedMemory(memory, (mean, states, *additive_keys(self.key(compared))))

    def start(self, source: PreparedMemory, rows: int) -> DecoderState:
        """Zeros, for ``rows`` rows of each source."""
        states = source.projected[1]
        zeros = states.new_zeros(len(states), rows, self.hidden_dim)
        return DecoderState([zeros], [zeros], zeros, None)

    def step(
        self, token: Tensor, state: DecoderState, source: PreparedMemory
    ) -> tuple[Tensor, DecoderState, AttentionStep]:
        """Reads one token per row and gives the logits of the next: what every search calls.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the attention of this step.
        """
        gates = self._input_gates(token, self.dropout(source.projected[0]))
        hidden, cell, sentinel = self._advance(gates, state.hidden[0], state.cell[0])
        attended = self._look(hidden, sentinel, source)
        return self._logits(hidden, attended), DecoderState([hidden], [cell], attended.context, None), attended

    def _input_gates(self, tokens: Tensor, mean: Tensor) -> Tensor:
        """What the gates take from tokens (B, ...) and the mean memory, whose axes fit: (B, ..., 5H)."""
        gates: Tensor = self.embedding_gates(self.dropout(self.embedding(tokens))) + self.mean_gates(mean)
        return gates

    def _advance(self, input_gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden state, cell and sentinel (equations 9 and 10) after one token."""
        gates = input_gates + self.recurrent_gates(hidden)
        hidden, cell = lstm_step(gates[..., : 4 * self.hidden_dim], cell)
        return hidden, cell, gates[..., 4 * self.hidden_dim :].sigmoid() * cell.tanh()

    def _look(self, hidden: Tensor, sentinel: Tensor, source: PreparedMemory) -> AttentionStep:
        """Attention of any number of rows (equations 6 to 8, 11 and 12).

        Shapes:
            hidden, sentinel: (B, K, H).
        """
        _, states, *keys = source.projected
        mask = source.memory.mask[:, None]
        query, score = self.query(hidden), self.score.weight[0]
        scores = additive_scores(tuple(keys), query, score, mask=source.memory.mask)  # (B, K, S)
        # Each row has a key of its own: as B K sources of one row and one position.
        sentinel_keys = additive_keys(self.sentinel_key(sentinel).flatten(0, 1)[:, None], exponentials=False)
        sentinel_score = additive_scores(sentinel_keys, query.flatten(0, 1)[:, None], score).view(*query.shape[:2], 1)
        weights = masked_softmax(scores, mask)
        joint = torch.cat([scores, sentinel_score], dim=-1)
        beta = masked_softmax(joint, nn.functional.pad(mask, (0, 1), value=True))[..., -1:]
        context = beta * sentinel + (1 - beta) * torch.bmm(weights, states)
        return AttentionStep(context, weights[:, :, None], None, gate=1 - beta[..., 0])

    def _logits(self, hidden: Tensor, attended: AttentionStep) -> Tensor:
        """Equation 13."""
        logits: Tensor = self.vocabulary(self.dropout(hidden + attended.context))
        return logits

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens and predicts each next one. Args and shapes: as in ``Decoder``."""
        inputs, mask = tokens[..., :-1], token_mask[..., 1:]
        source = self.prepare(memory)
        mean = self.dropout(source.projected[0])
        gates = list(self._input_gates(inputs, mean[:, :, None]).unbind(2))
        state = self.start(source, tokens.shape[1])
        hidden, cell = state.hidden[0], state.cell[0]
        hiddens: list[Tensor] = []
        sentinels: list[Tensor] = []
        for t in range(inputs.shape[2]):
            if sampling_probability and t:
                with torch.no_grad():
                    logits = self._logits(hidden, self._look(hidden, sentinels[-1], source))
                    drawn, replaced = own_tokens(logits, sampling_probability)
                gates[t] = torch.where(replaced[..., None], self._input_gates(drawn, mean), gates[t])
            hidden, cell, sentinel = self._advance(gates[t], hidden, cell)
            hiddens.append(hidden)
            sentinels.append(sentinel)
        rows = mask.shape[1:]
        joined = torch.stack(hiddens, 2)
        attended = self._look(joined.flatten(1, 2), torch.stack(sentinels, 2).flatten(1, 2), source)
        context, weights = attended.context.unflatten(1, rows), attended.weights.unflatten(1, rows)
        # The vocabulary on real tokens only.
        logits = self._logits(real_steps(joined, mask), attended._replace(context=real_steps(context, mask)))
        return DecoderOutput(logits, tokens[..., 1:][mask], weights.masked_fill(~mask[..., None, None], 0.0), mask)
