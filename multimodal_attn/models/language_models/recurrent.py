"""A language model of LSTM layers (Zaremba et al. 2014)."""

from __future__ import annotations

from torch import Tensor, nn

from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import PAD


class RecurrentLanguageModel(LanguageModel):
    """Embedding, LSTM layers, and a linear layer to the vocabulary, with dropout on every way upwards.

    Args:
        vocab_size: V.
        embedding_dim: width of the token embedding.
        hidden_dim: width H of each layer.
        num_layers: LSTM layers.
        dropout: between layers, never along time.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: Count = 256,
        hidden_dim: Count = 512,
        num_layers: Layers = 2,
        dropout: DropoutRate = 0.3,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PAD)
        self.layers = nn.LSTM(
            embedding_dim, hidden_dim, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0
        )
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.layers(self.dropout(self.embedding(tokens)))
        return self.vocabulary(self.dropout(hidden))

    def start(self, batch: int, rows: int) -> LanguageState:
        """Hidden states and cells of zeros, (B, K, layers, H) each."""
        zeros = self.vocabulary.weight.new_zeros(batch, rows, self.layers.num_layers, self.layers.hidden_size)
        return LanguageState([zeros, zeros])

    def step(self, token: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        embedded = self.dropout(self.embedding(token.flatten()))[:, None]  # (B * K, 1, E)
        before = [tensor.flatten(0, 1).transpose(0, 1).contiguous() for tensor in state.tensors]
        hidden, after = self.layers(embedded, tuple(before))
        logits = self.vocabulary(self.dropout(hidden[:, 0])).unflatten(0, token.shape)
        return logits, LanguageState([tensor.transpose(0, 1).unflatten(0, token.shape) for tensor in after])
