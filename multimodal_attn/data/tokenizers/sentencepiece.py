"""One token per piece of a word, learned from the training texts (Kudo & Richardson 2018)."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from annotated_types import Gt

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer, Vocabulary
from multimodal_attn.data.tokenizers.character import UNKNOWN_CHARACTER, VISIBLE_SPACE
from multimodal_attn.first_line import first_line
from multimodal_attn.optional_packages import require_packages

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how sentencepiece writes the space that a word begins with
_LARGEST_MODEL = 1 << 26  # characters; one of 32,000 pieces has a million
VocabularySize = Annotated[int, Gt(len(SPECIAL_PIECES))]
"""More than the special ids."""


class SentencePieceTokenizer(Tokenizer):
    """Pieces by a unigram language model (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016).

    Needs the package ``sentencepiece``.

    Args:
        vocab_size: of the vocabulary, special ids included; a small text may give fewer.
        model_type: "unigram" or "bpe".
    """

    def __init__(self, vocab_size: VocabularySize = 500, model_type: Literal["unigram", "bpe"] = "unigram") -> None:
        self.vocab_size, self.model_type = vocab_size, model_type
        self._set_model(b"")

    def _set_model(self, model: bytes) -> None:
        self._model = model
        learned: list[str] = []
        if model:
            try:
                self._processor = _library().SentencePieceProcessor(model_proto=model)
                size = len(self._processor)
                learned = [self._processor.id_to_piece(i) for i in range(len(SPECIAL_PIECES), size)]
                found = [getattr(self._processor, f"{name}_id")() for name in ("pad", "bos", "eos", "unk")]
            except (RuntimeError, UnicodeDecodeError, IndexError) as error:
                raise ValueError(f"tokenizer: the sentencepiece model is damaged ({first_line(error)})") from None
            if found != [self.pad_id, self.bos_id, self.eos_id, self.unk_id]:
                raise ValueError(f"tokenizer: the sentencepiece model has its special ids at {found}; expected 0 to 3")
        parts = ("", "", "", UNKNOWN_CHARACTER, *(piece.replace(SPACE, " ") for piece in learned))
        pieces = (*SPECIAL_PIECES, *(piece.replace(SPACE, VISIBLE_SPACE) for piece in learned))
        self._vocabulary = Vocabulary("piece", parts, pieces)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def fit(self, texts: Iterable[str], symbols: Sequence[str] = ()) -> Self:
        """Learns the pieces.

        Raises:
            ValueError: if the texts hold no character, or more different ones than ``vocab_size`` has room for.
        """
        # Sorted: the pieces must not depend on the order of the texts.
        sentences = sorted(text for text in texts if text.strip())
        if not sentences:
            raise ValueError("tokenizer: the training texts hold no character to build a vocabulary from")
        model = io.BytesIO()
        try:
            _library().SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                vocab_size=self.vocab_size,
                hard_vocab_limit=False,
                model_type=self.model_type,
                pad_id=self.pad_id,
                bos_id=self.bos_id,
                eos_id=self.eos_id,
                unk_id=self.unk_id,
                user_defined_symbols=[f"{SPACE}{symbol}" for symbol in symbols],
                character_coverage=1.0,
                normalization_rule_name="identity",  # texts are normalized already
                max_sentence_length=1_000_000,  # in bytes: longer ones would be left out without a word
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise ValueError(f"tokenizer.vocab_size: {self.vocab_size}; {error}") from None
        self._set_model(model.getvalue())
        return self

    def encode(self, text: str) -> list[int]:
        """Token ids, without <bos> and <eos>.

        Raises:
            ValueError: before ``fit``.
        """
        if not self._model:
            raise ValueError("tokenizer: sentencepiece has no model yet; fit it first")
        ids: list[int] = self._processor.encode(text)
        return ids

    def state(self) -> dict[str, Any]:
        """Plain containers that ``from_state`` rebuilds the tokenizer from."""
        model = base64.b64encode(self._model).decode("ascii")
        return {"model": model, "vocab_size": self.vocab_size, "model_type": self.model_type}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer whose ``state()`` this was."""
        model = state.get("model")
        if not isinstance(model, str) or len(model) > _LARGEST_MODEL:
            raise ValueError("tokenizer: its state has no sentencepiece model of a sane size; expected base64")
        tokenizer = cls(state.get("vocab_size", 500), state.get("model_type", "unigram"))
        try:
            content = base64.b64decode(model, validate=True)
        except ValueError as error:
            raise ValueError(f"tokenizer: the sentencepiece model is damaged ({error})") from None
        tokenizer._set_model(content)
        return tokenizer


def _library() -> Any:
    require_packages("tokenizer", "subword", "sentencepiece")
    import sentencepiece

    return sentencepiece
