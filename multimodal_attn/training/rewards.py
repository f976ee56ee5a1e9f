"""What a text that the model wrote by itself is worth, or what it costs: for objectives on whole texts."""

from __future__ import annotations

from functools import lru_cache

import jiwer
import torch
from torch import Tensor

from multimodal_attn.evaluation.texts.cider import Rarity, Vector, cider_d
from multimodal_attn.evaluation.texts.ngrams import count_ngrams
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize

_END = "<eos>"
_KEPT = 2**15  # weighed references: all captions of Flickr8k, some 200 MB


class CiderDReward:
    """CIDEr-D of each text, with the document frequencies of the training set.

    The end of a text counts as a word, in references and documents too: without it the reward is highest for texts
    that break off after "with a", which no n-gram punishes.

    Args:
        documents: the training texts of each source.
    """

    def __init__(self, documents: list[list[str]]) -> None:
        self._rarity = Rarity([count_ngrams(_words(text, ended=True)) for text in texts] for texts in documents)
        self._reference = lru_cache(maxsize=_KEPT)(self._weigh)

    def _weigh(self, text: str, ended: bool = True) -> Vector:
        return self._rarity.weigh(count_ngrams(_words(text, ended)))

    def __call__(self, texts: list[list[tuple[str, bool]]], references: list[list[str]]) -> Tensor:
        """Rewards in [0, 10].

        Args:
            texts: K texts of each of B sources, each with whether it ended or was cut off.
            references: one or more texts of each source.

        Shapes:
            Returns (B, K).
        """
        scores = []
        for written, truth in zip(texts, references, strict=True):
            vectors = [self._reference(text) for text in truth]
            # Of a model that has learned, samples are often equal.
            found = {each: cider_d(self._weigh(*each), vectors) for each in dict.fromkeys(written)}
            scores.append([found[each] for each in written])
        return torch.tensor(scores)


def _words(text: str, ended: bool) -> list[str]:
    return ptb_tokenize(text).split() + [_END] * ended


def word_errors(texts: list[list[str]], references: list[str]) -> Tensor:
    """The number of wrong, missing and surplus words of each text.

    Args:
        texts: K texts of each of B sources.
        references: the true text of each source.

    Shapes:
        Returns (B, K).
    """
    truth = [" ".join(reference.split()) for written, reference in zip(texts, references, strict=True) for _ in written]
    alignments = jiwer.process_words(truth, [" ".join(text.split()) for row in texts for text in row]).alignments
    edits = [
        sum(max(c.ref_end_idx - c.ref_start_idx, c.hyp_end_idx - c.hyp_start_idx) for c in chunks if c.type != "equal")
        for chunks in alignments
    ]
    return torch.tensor(edits, dtype=torch.float32).view(len(texts), -1)
