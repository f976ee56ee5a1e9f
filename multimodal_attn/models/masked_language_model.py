"""An encoder of texts that tells which words are hidden from it (Devlin et al. 2019, BERT, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.encoders.text.base import TextEncoder


class MaskedLanguageModel(nn.Module):
    """The encoder of a translator or a summarizer, and a head over the vocabulary in place of a decoder.

    The head is BERT's: a layer, a norm, and the encoder's own embedding as the last matrix. Another run may start with
    what the encoder has learned (``init_from``); the head stays behind.

    Args:
        encoder: of texts, with an embedding for each token.
        vocab_size: V.
    """

    def __init__(self, encoder: TextEncoder, vocab_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.embedding.embedding_dim
        norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(encoder.dim, width), nn.GELU(), norm)
        self.vocabulary = nn.Linear(width, vocab_size)
        self.vocabulary.weight = encoder.embedding.weight
        # Embeddings start at any size: with this, no logit starts much above 1.
        norm.weight.data.div_(encoder.embedding.weight.data.std() * width**0.5)

    def pretrained_parameters(self) -> list[tuple[list[nn.Parameter], float | None]]:
        """As in ``Seq2Seq``: none."""
        return []

    def forward(self, tokens: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
        """The logits of what stands at some positions.

        Shapes:
            tokens: (R, S) int64, w1 ... wn <eos> <pad> ..., some of them <mask>. lengths: (R,), with <eos>.
            hidden: (R, S), True at P positions. Returns (P, V), in the order of rows.
        """
        states = self.encoder(tokens, lengths).states
        logits: Tensor = self.vocabulary(self.head(states[hidden]))
        return logits
