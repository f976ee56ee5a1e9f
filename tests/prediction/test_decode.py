from __future__ import annotations

import numpy as np
import torch
from multimodal_attn.prediction.decode import decode_examples

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch, Example, Grid, Hypothesis, Memory


class Picture(torch.nn.Module):
    """A model whose only part in use is an encoder that sees four cells, the last of them padding."""

    def encode(self, batch: Batch) -> Memory:
        assert not self.training
        mask = torch.tensor([[True, True, True, False]]).expand(len(batch), -1)
        return Memory(torch.zeros(len(batch), 4, 1), mask, Grid(1, 3))


def test_everything_that_the_search_found_is_in_the_record() -> None:
    tokenizer = WordTokenizer().fit(["a dog runs"])

    def search(model: Picture, memory: Memory, keys: list[str]) -> list[list[Hypothesis]]:
        assert keys == ["x", "y"]

        def found(text: str, score: float) -> Hypothesis:
            tokens = tokenizer.encode(text)
            weights = torch.tensor([0.5, 0.3, 0.2, 0.0]).expand(len(tokens), 1, 4)
            return Hypothesis(tokens, score, torch.zeros(len(tokens)), weights)

        return [[found("a dog", -1.0), found("dog runs a", -2.0), found("", -3.0)], [found("runs", -1.5)]]

    module = Seq2SeqModule(Picture(), tokenizer, {}, search, None, None, None)  # type: ignore[arg-type]
    module.train()
    picture = torch.zeros(3, 4, 4, dtype=torch.uint8)
    first, second = decode_examples(module, [Example("x", picture), Example("y", picture)])
    assert (first.key, first.text, first.score) == ("x", "a dog", -1.0)
    assert [(other.key, other.text, other.score) for other in first.others] == [
        ("x", "dog runs a", -2.0),
        ("x", "", -3.0),
    ]
    np.testing.assert_allclose(first.others[0].weights, np.tile([0.5, 0.3, 0.2], (3, 1, 1)), rtol=1e-6)
    assert (second.key, second.text, second.others) == ("y", "runs", [])
    assert module.training
