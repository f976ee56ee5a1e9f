"""A bidirectional LSTM layer that is exact on padded rows without packing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.kernels import in_use
from multimodal_attn.models.kernels.picking import pick

_LEAST_SAVED = 0.1
"""Share of the positions that must be padding for sources to leave at the end of their own: each time costs a call."""


class BidirectionalLSTM(nn.Module):
    """Two LSTMs, the second over each row reversed within its own length.

    ``pack_padded_sequence`` gives the same result, but its backward takes seven times as long on a CPU. Where lengths
    differ much, sources leave in quarters of the batch as they end; a GPU goes through the padding.

    Args:
        input_dim: width of the input.
        hidden_dim: width of each direction; the output is twice as wide.
    """

    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(input_dim, hidden_dim, batch_first=True)
        self.backwards = nn.LSTM(input_dim, hidden_dim, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Reads x (B, S, input) both ways; returns (B, S, 2 * hidden), arbitrary beyond each of ``lengths`` (B,)."""
        if torch.compiler.is_exporting():
            return lstm_in_graph([self.forwards, self.backwards], x, lengths, "bidirectional")
        reverse = reversed_positions(lengths, x.shape[1])
        rows = torch.arange(len(x), device=x.device)[:, None]
        spans = [(0, x.shape[1], len(x))]
        if in_use() and not x.is_cuda:
            order = lengths.argsort(descending=True, stable=True)
            spans = leave_in_quarters(lengths[order].tolist(), x.shape[1])
        if len(spans) == 1:
            ahead, behind = self.forwards(x)[0], self.backwards(pick(x, rows, reverse))[0]
            return torch.cat([ahead, pick(behind, rows, reverse)], dim=-1)
        back = order.argsort()
        ahead = _run(self.forwards, pick(x, order), spans)
        behind = _run(self.backwards, pick(x, order[:, None], reverse[order]), spans)
        return torch.cat([pick(ahead, back), pick(behind, back[:, None], reverse)], dim=-1)


def reversed_positions(lengths: Tensor, size: int) -> Tensor:
    """Where each position of rows that are reversed within their lengths takes from; padding stays where it is.

    Shapes:
        lengths: (B,). Returns (B, size).
    """
    positions = torch.arange(size, device=lengths.device)
    return torch.where(positions < lengths[:, None], lengths[:, None] - 1 - positions, positions)


def lstm_in_graph(lstms: Sequence[nn.LSTM], x: Tensor, lengths: Tensor, direction: str) -> Tensor:
    """LSTMs as an operator of ONNX, since a graph cannot hold a loop of torch's of any length.

    Args:
        lstms: of each direction.
        x: what they read.
        lengths: of its rows.
        direction: "forward", "reverse" or "bidirectional".

    Shapes:
        x: (B, S, input). lengths: (B,). Returns (B, S, directions * hidden).
    """
    width = lstms[0].hidden_size

    def weights(name: str) -> Tensor:
        """Of each direction, with the gates i, f, g, o of torch in ONNX's order."""
        found = []
        for lstm in lstms:
            i, f, g, o = lstm.get_parameter(name).chunk(4)
            found.append(torch.cat([i, o, f, g]))
        return torch.stack(found)

    biases = torch.cat([weights("bias_ih_l0"), weights("bias_hh_l0")], dim=1)
    output: Tensor = torch.onnx.ops.symbolic(
        "LSTM",
        (x.transpose(0, 1), weights("weight_ih_l0"), weights("weight_hh_l0"), biases, lengths.int()),
        {"direction": direction, "hidden_size": width},
        dtype=x.dtype,
        shape=(x.shape[1], len(lstms), x.shape[0], width),
    )
    return output.permute(2, 0, 1, 3).flatten(2)


def leave_in_quarters(lengths: list[int], size: int) -> list[tuple[int, int, int]]:
    """Spans of positions with the number of sources that go through them: (start, end, sources).

    Args:
        lengths: of the sources, the longest first.
        size: of the padded batch.
    """
    quarter = -(-len(lengths) // 4)
    spans, start = [], 0
    for sources in range(len(lengths), 0, -quarter):
        # The longest of those that leave next.
        end = size if sources <= quarter else lengths[max(0, sources - quarter)]
        if end > start:
            spans.append((start, end, sources))
            start = end
    saved = sum((end - start) * (len(lengths) - sources) for start, end, sources in spans)
    return spans if saved >= _LEAST_SAVED * size * len(lengths) else [(0, size, len(lengths))]


def _run(lstm: nn.LSTM, x: Tensor, spans: list[tuple[int, int, int]]) -> Tensor:
    """The LSTM's output, zeros where a source has left."""
    outputs, state = [], None
    for start, end, sources in spans:
        if state is not None:
            state = (state[0][:, :sources].contiguous(), state[1][:, :sources].contiguous())
        output, state = lstm(x[:sources, start:end], state)
        outputs.append(functional.pad(output, (0, 0, 0, 0, 0, len(x) - sources)))
    return torch.cat(outputs, dim=1)
