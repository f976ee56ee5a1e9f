"""A bidirectional LSTM layer that hears no more of the future than its chunk (Zhang et al. 2016, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from multimodal_attn.models.kernels.bidirectional import BidirectionalLSTM, lstm_in_graph, reversed_positions
from multimodal_attn.models.kernels.picking import pick

State = tuple[Tensor, Tensor]
"""Hidden states and cells of an LSTM, (1, B, H) each."""


class LatencyControlledLSTM(BidirectionalLSTM):
    """The first LSTM goes through all of a row, the second through each chunk from its end to its beginning.

    So a recording can be encoded while it is still going on: of what lies before a chunk, only the state of the first
    LSTM matters. Unlike in the paper, no steps of the next chunk are appended: a chunk waits for nothing but its end.

    Args:
        input_dim: width of the input.
        hidden_dim: width of each direction; the output is twice as wide.
        chunk: steps of one.
    """

    def __init__(self, input_dim: int, hidden_dim: int, chunk: int) -> None:
        super().__init__(input_dim, hidden_dim)
        self.chunk = chunk

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """As ``BidirectionalLSTM``."""
        if torch.compiler.is_exporting():
            ahead = lstm_in_graph([self.forwards], x, lengths, "forward")
            return torch.cat([ahead, self._behind(x, lengths)], dim=-1)
        return self.go_on(x, lengths, None, 0)[0]

    def go_on(self, x: Tensor, lengths: Tensor, state: State | None, done: int) -> tuple[Tensor, State | None]:
        """What follows chunks that are done.

        Args:
            x: from the beginning of a chunk on.
            lengths: of the rows from there on.
            state: of the first LSTM there; None at the beginning of the rows.
            done: steps, whole chunks, after which the next call goes on.

        Shapes:
            x: (B, S, input). lengths: (B,). Returns (B, S, 2 * hidden), and the state after ``done`` steps.
        """
        ahead = []
        if done:
            output, state = self.forwards(x[:, :done], state)
            ahead.append(output)
        if done < x.shape[1]:
            ahead.append(self.forwards(x[:, done:], state)[0])
        return torch.cat([torch.cat(ahead, dim=1), self._behind(x, lengths)], dim=-1), state

    def _behind(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The second LSTM's output, (B, S, hidden)."""
        padded = functional.pad(x, (0, 0, 0, -x.shape[1] % self.chunk)).unflatten(1, (-1, self.chunk))
        starts = self.chunk * torch.arange(padded.shape[1], device=x.device)
        chunks, each = padded.flatten(0, 1), (lengths[:, None] - starts).clamp(0, self.chunk).flatten()
        if torch.compiler.is_exporting():
            behind = lstm_in_graph([self.backwards], chunks, each, "reverse")
        else:
            reverse = reversed_positions(each, self.chunk)
            rows = torch.arange(len(chunks), device=x.device)[:, None]
            behind = pick(self.backwards(pick(chunks, rows, reverse))[0], rows, reverse)
        return behind.unflatten(0, padded.shape[:2]).flatten(1, 2)[:, : x.shape[1]]


def lstm_layer(input_dim: int, hidden_dim: int, chunk: int | None) -> BidirectionalLSTM:
    """A layer that hears chunks of so many steps, or all of a row."""
    if chunk is None:
        return BidirectionalLSTM(input_dim, hidden_dim)
    return LatencyControlledLSTM(input_dim, hidden_dim, chunk)
