"""What every encoder of texts shares: an embedding for each token of the source."""

from __future__ import annotations

from torch import nn

from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.types import PAD, TokenAxis


class TextEncoder(Encoder):
    """Reads (B, S) int64 tokens; ``lengths`` (B,) counts those of each text, <eos> among them.

    Args:
        vocab_size: of the source's tokenizer.
        embedding_dim: width of an embedding.
    """

    reads = "text"
    layout: TokenAxis

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PAD)
        self.layout = TokenAxis()
