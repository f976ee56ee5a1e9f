"""Self-attention and convolution in every layer (Gulati et al. 2020)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.base import Reach
from multimodal_attn.models.encoders.speech.base import SpeechEncoder
from multimodal_attn.models.encoders.speech.conv_subsampling import ConvSubsampling
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.layers.feed_forward import feed_forward
from multimodal_attn.models.layers.self_attention import RelativePositions, SelfAttention
from multimodal_attn.ranges import Count, DropoutRate, Layers, OddCount, WholeNumber
from multimodal_attn.types import Memory


class Conformer(SpeechEncoder):
    """Convolutions that shorten speech, then conformer layers.

    Two things differ from the paper, and from ``torchaudio.models.Conformer``, so that a recording never depends on its
    batch mates: the convolution does not see padding, and layer norm takes the place of batch norm in it (a group norm
    over time would see padding too). Relative positions come in as rotations (Su et al. 2021) or as a bias.

    Args:
        front_end: makes the log-mel frames.
        hidden_dim: width of the layers and of the memory.
        num_layers: conformer layers.
        num_heads: of self-attention; ``hidden_dim / num_heads`` is even for rotary positions.
        feedforward_factor: the inner width of a layer's perceptrons, in hidden_dims.
        kernel_size: of the convolution along time, in steps; odd.
        subsampling: how many frames become one step: 2, 4 or 8.
        channels: of the subsampling convolutions.
        dropout: in the layers and on the memory.
        positions, window: of the steps, as in ``TextTransformer``.
        chunk_steps: of the chunks within which steps attend to each other; None to attend to the whole recording. With
            chunks, the convolution hears no future, and a recording can be encoded while it is still going on.
        left_chunks: how many chunks before its own a step attends to (Chen et al. 2021, section 2.3).

    Raises:
        ValueError: if the widths do not fit.
    """

    def __init__(
        self,
        front_end: LogMel,
        hidden_dim: Count = 256,
        num_layers: Layers = 6,
        num_heads: Count = 4,
        feedforward_factor: Count = 4,
        kernel_size: OddCount = 15,
        subsampling: Literal[2, 4, 8] = 4,
        channels: Count = 32,
        dropout: DropoutRate = 0.1,
        positions: RelativePositions = "rotary",
        window: Count | None = None,
        chunk_steps: Count | None = None,
        left_chunks: WholeNumber = 2,
    ) -> None:
        super().__init__(front_end, hidden_dim, subsampling)
        if window is not None and chunk_steps is not None:
            raise ValueError(
                f"encoder.window: {window}; expected null where encoder.chunk_steps={chunk_steps} says what is read"
            )
        self.subsample = ConvSubsampling(self.front_end.num_mels, hidden_dim, subsampling, channels)
        self.layers = nn.ModuleList(
            _Layer(
                SelfAttention(hidden_dim, num_heads, dropout, positions, window),
                feedforward_factor,
                kernel_size,
                causal=chunk_steps is not None,
            )
            for _ in range(num_layers)
        )
        self.chunk_steps, self.left_chunks, self.kernel_size = chunk_steps, left_chunks, kernel_size
        self.frames_per_step = subsampling
        self.dropout = Dropout(dropout)

    @property
    def reach(self) -> Reach | None:
        """See ``Encoder``: with chunks, every layer hears some more of them in the past."""
        if self.chunk_steps is None:
            return None
        chunks = len(self.layers) * (self.left_chunks + -(-(self.kernel_size - 1) // self.chunk_steps))
        cell = self.chunk_steps * self.frames_per_step
        around = self.frames_per_step - 1  # each convolution that shortens hears one step more to either side
        return self.frames_reach(chunks * cell + around, around, cell)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Memory:
        """Reads waveforms (B, L) of ``lengths`` (B,) samples; states are (B, S, hidden)."""
        x, mask = self._steps(waveforms, lengths)
        seen = self._seen(mask)
        for layer in self.layers:
            x = layer(x, mask, seen)
        return Memory(self.dropout(x) * mask[..., None], mask, self.layout)

    def layer_weights(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """As in ``Encoder``, with P = S."""
        x, mask = self._steps(waveforms, lengths)
        seen, found = self._seen(mask), []
        for layer in cast(list[_Layer], self.layers):
            found.append(layer.attention.weights(x + 0.5 * layer.before(x), seen))
            x = layer(x, mask, seen)
        return found

    def _steps(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer reads, (B, S, hidden), and its mask."""
        frames, steps = self.front_end(waveforms, lengths)
        x, steps = self.subsample(frames, steps)
        return self.dropout(x), length_mask(steps, x.shape[1])

    def _seen(self, mask: Tensor) -> Tensor:
        """Which steps each step attends to.

        Shapes:
            mask: (B, S). Returns (B, 1, 1, S), or (B, 1, S, S) with chunks.
        """
        if self.chunk_steps is None:
            return mask[:, None, None]
        steps = torch.arange(mask.shape[1], device=mask.device)
        back = steps[:, None] // self.chunk_steps - steps // self.chunk_steps
        near = (back >= 0) & (back <= self.left_chunks)
        # A chunk of padding sees itself: weights of nothing at all would not be numbers.
        return (near & (mask[:, None] | (steps[:, None] == steps)))[:, None]


class _Layer(nn.Module):
    """Half a perceptron, self-attention, convolution, half a perceptron (section 2.4, equation 1)."""

    def __init__(self, attention: SelfAttention, feedforward_factor: int, kernel_size: int, causal: bool) -> None:
        super().__init__()
        dim, dropout = attention.output.in_features, attention.dropout.p
        self.before = feed_forward(dim, feedforward_factor, dropout, nn.SiLU())
        self.attention = attention
        self.convolution = _Convolution(dim, kernel_size, dropout, causal)
        self.after = feed_forward(dim, feedforward_factor, dropout, nn.SiLU())
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor, seen: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.attention(x, seen)
        x = x + self.convolution(x, mask)
        x = x + 0.5 * self.after(x)
        return self.norm(x)


class _Convolution(nn.Module):
    """Gate, convolution along time for each channel by itself, norm and projection (section 2.2, figure 2)."""

    def __init__(self, dim: int, kernel_size: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * dim)
        future = 0 if causal else kernel_size // 2
        self.around = (kernel_size - 1 - future, future)
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, groups=dim)
        self.inner_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        gated = functional.glu(self.gate(self.norm(x)), dim=-1) * mask[..., None]
        x = self.depthwise(functional.pad(gated.transpose(1, 2), self.around)).transpose(1, 2)
        return self.dropout(self.output(functional.silu(self.inner_norm(x))))
