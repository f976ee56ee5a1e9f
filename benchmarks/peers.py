"""SpeechBrain's attentional decoder in the shapes of the benchmarks, where it is installed beside us.

    pip install speechbrain        # written against 1.1.2, which takes the pinned torch

Each benchmark then has a variant ``SpeechBrain``: its embedding, ``AttentionalRNNDecoder``, output layer and
``S2SRNNBeamSearcher``, called as its recipes call them. Its decoder has no gate, no deep output and starts from zeros,
so that it has a little less to do than ours.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.types import BOS, EOS

INSTALLED = importlib.util.find_spec("speechbrain") is not None


class SpeechBrainDecoder(nn.Module):
    """Embedding, attentional decoder and output layer; one layer of LSTM, all widths alike.

    Args:
        memory_dim: width of the memory.
        vocab_size: V.
        width: of everything else.
        filters: and
        kernel: of location-aware attention; without them, attention is additive.
    """

    def __init__(
        self, memory_dim: int, vocab_size: int, width: int, filters: int | None = None, kernel: int | None = None
    ) -> None:
        super().__init__()
        from speechbrain.nnet.linear import Linear
        from speechbrain.nnet.RNN import AttentionalRNNDecoder

        self.embedding = nn.Embedding(vocab_size, width)
        self.decoder = AttentionalRNNDecoder(
            "lstm",
            "content" if filters is None else "location",
            hidden_size=width,
            attn_dim=width,
            num_layers=1,
            enc_dim=memory_dim,
            input_size=width,
            channels=filters,
            kernel_size=kernel,
        )
        self.output = Linear(vocab_size, input_size=width)  # its search looks into it

    def loss(self, tokens: Tensor, memory: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Cross-entropy; tokens (B, T), 0 after the end; lengths (B,) are shares of the longest memory."""
        lengths = memory.new_ones(len(memory)) if lengths is None else lengths
        hidden, _ = self.decoder(self.embedding(tokens[:, :-1]), memory, lengths)
        logits = self.output(hidden)
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0)

    def beam(self, memory: Tensor, width: int, steps: int) -> None:
        """Decodes ``steps`` tokens of every source, of which none ends early."""
        from speechbrain.decoders.seq2seq import S2SRNNBeamSearcher

        ratio = (steps + 0.5) / memory.shape[1]
        search = S2SRNNBeamSearcher(
            embedding=self.embedding,
            decoder=self.decoder,
            linear=self.output,
            bos_index=BOS,
            eos_index=EOS,
            min_decode_ratio=ratio,
            max_decode_ratio=ratio,
            beam_size=width,
            using_eos_threshold=False,
        )
        with torch.no_grad():
            found = search(memory, memory.new_ones(len(memory)))[0]
        assert min(map(len, found)) >= steps - 1, "its texts are shorter than ours"


class SpeechBrainSpeller(nn.Module):
    """Three bidirectional LSTMs that read two steps as one each, padded as in its CRDNN, and the decoder above."""

    def __init__(self, mels: int, hidden: int, width: int, vocab_size: int, filters: int, kernel: int) -> None:
        super().__init__()
        from speechbrain.nnet.RNN import LSTM

        sizes = (2 * mels, 4 * hidden, 4 * hidden)
        self.encoder = nn.ModuleList(LSTM(hidden, input_size=size, bidirectional=True) for size in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden) for _ in sizes)
        self.speller = SpeechBrainDecoder(2 * hidden, vocab_size, width, filters, kernel)

    def loss(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Cross-entropy; frames (B, L, mels), tokens (B, T), 0 after the end."""
        share = lengths / lengths.max()
        for layer, norm in zip(self.encoder, self.norms, strict=True):
            frames = functional.pad(frames, (0, 0, 0, frames.shape[1] % 2)).unflatten(1, (-1, 2)).flatten(2)
            frames = norm(layer(frames)[0])
        return self.speller.loss(tokens, frames, share)
