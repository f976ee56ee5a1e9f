"""One step of an LSTM (Hochreiter & Schmidhuber 1997, with forget gates) whose gates are made elsewhere."""

from __future__ import annotations

from torch import Tensor, nn


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden state and cell.

    Shapes:
        gates: (..., 4H), those of input, forget and output, then the candidate. cell: (..., H).
    """
    width = cell.shape[-1]
    input_gate, forget_gate, output_gate = gates[..., : 3 * width].sigmoid().chunk(3, dim=-1)
    cell = forget_gate * cell + input_gate * gates[..., 3 * width :].tanh()
    return output_gate * cell.tanh(), cell


def open_forget_gate(gates: nn.Linear, hidden_dim: int) -> None:
    """Sets biases to 0, and the forget gate's to 1: gradients pass through long texts (Jozefowicz et al. 2015)."""
    nn.init.zeros_(gates.bias)
    nn.init.ones_(gates.bias[hidden_dim : 2 * hidden_dim])
