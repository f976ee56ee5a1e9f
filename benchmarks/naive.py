"""Show-Attend-Tell's decoder as tutorials write it: everything inside the time loop. The benchmarks measure against it.

The arithmetic is that of ``RecurrentDecoder`` with additive attention. Keys are projected anew in each step, the
embedding goes through the LSTM cell in each step, every step projects to the vocabulary, the loop runs to the longest
text for all sources, and beam search repeats the memory for each hypothesis and reorders it in each step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class NaiveDecoder(nn.Module):
    """Shapes as in ``RecurrentDecoder`` with one row a source."""

    def __init__(self, memory_dim: int, vocab_size: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.cell = nn.LSTMCell(width + memory_dim, width)
        self.key = nn.Linear(memory_dim, width)
        self.query = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.initial = nn.Linear(memory_dim, 2 * width)
        self.gate = nn.Linear(width, 1)
        self.readout_hidden = nn.Linear(width, width)
        self.readout_context = nn.Linear(memory_dim, width)
        self.vocabulary = nn.Linear(width, vocab_size)

    def start(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = torch.tanh(self.initial(memory.mean(1))).chunk(2, dim=-1)
        return hidden, cell

    def step(self, token: Tensor, hidden: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.score(torch.tanh(self.key(memory) + self.query(hidden)[:, None]))
        context = (torch.softmax(scores, dim=1) * memory).sum(1)
        context = torch.sigmoid(self.gate(hidden)) * context
        embedded = self.embedding(token)
        hidden, cell = self.cell(torch.cat([embedded, context], dim=-1), (hidden, cell))
        readout = torch.tanh(self.readout_hidden(hidden) + self.readout_context(context) + embedded)
        return self.vocabulary(readout), hidden, cell

    def loss(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """Cross-entropy; tokens (B, T), 0 after the end."""
        hidden, cell = self.start(memory)
        logits = []
        for t in range(tokens.shape[1] - 1):
            step, hidden, cell = self.step(tokens[:, t], hidden, cell, memory)
            logits.append(step)
        return functional.cross_entropy(torch.stack(logits, 1).flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0)

    @torch.no_grad()
    def beam(self, memory: Tensor, width: int, steps: int) -> Tensor:
        """The tokens (B, steps) of the best hypothesis; no text ends early."""
        batch = len(memory)
        memory = memory.repeat_interleave(width, 0)
        hidden, cell = self.start(memory)
        totals = torch.full((batch, width), -torch.inf, device=memory.device)
        totals[:, 0] = 0.0
        token = torch.ones(batch * width, dtype=torch.long, device=memory.device)
        texts = token[:, None]
        for _ in range(steps):
            logits, hidden, cell = self.step(token, hidden, cell, memory)
            log_probs = torch.log_softmax(logits, -1).view(batch, width, -1)
            totals, flat = (totals[..., None] + log_probs).flatten(1).topk(width)
            origin = (flat // logits.shape[-1] + width * torch.arange(batch, device=flat.device)[:, None]).flatten()
            token = (flat % logits.shape[-1]).flatten()
            hidden, cell, memory = hidden[origin], cell[origin], memory[origin]
            texts = torch.cat([texts[origin], token[:, None]], dim=1)
        return texts.view(batch, width, -1)[:, 0, 1:]
