"""A trained language model that goes on from a prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.models.language_models.unconditional import unconditional
from multimodal_attn.search.rules.prefix import Prefix
from multimodal_attn.search.sampling import NucleusSampling
from multimodal_attn.types import BOS, EOS, UNK, Hypothesis


@dataclass(frozen=True)
class Written:
    """A text that a language model wrote.

    Attributes:
        text: with the prompt.
        score: mean log probability of its tokens, those of the prompt and <eos> among them.
        hypothesis: its tokens, with the log probability of each.
    """

    text: str
    score: float
    hypothesis: Hypothesis


@dataclass
class Writer:
    """Writes texts with a language model, and tells how probable texts are.

    Attributes:
        model: in evaluation mode.
        tokenizer: of its tokens.
        name: of the run.
        normalize: what a prompt becomes, as the texts of the training have.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    name: str = ""
    normalize: Callable[[str], str] = single_spaces

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device

    def __call__(
        self,
        prompt: str = "",
        num_samples: int = 5,
        temperature: float = 1.0,
        top_p: float = 0.9,
        seed: int = 0,
        max_length: int = 200,
    ) -> list[Written]:
        """Texts that begin with a prompt, the most probable first.

        Args:
            prompt: in the words of the model's vocabulary; empty for none.
            num_samples, temperature, top_p, seed, max_length: of ``NucleusSampling``; the prompt counts to the length.

        Raises:
            ValueError: if the prompt holds words that the model does not know, or leaves no room for another.
        """
        prompt = self.normalize(prompt)
        if unknown := [word for word in prompt.split() if UNK in self.tokenizer.encode(word)]:
            raise ValueError(f"prompt: {', '.join(map(repr, unknown))}; expected words of the model's vocabulary")
        if (length := len(self.tokenizer.encode(prompt))) >= max_length:
            raise ValueError(f"max_length: {max_length}; expected more than the {length} tokens of the prompt")
        search = NucleusSampling(num_samples, temperature, top_p, seed, max_length, rules=[Prefix(prompt)])
        model = unconditional(self.model, len(self.tokenizer))
        search.prepare(model, self.tokenizer)
        (found,) = search(model, model.encoder(torch.zeros(1, 0), torch.zeros(1, dtype=torch.long)))
        return [Written(self.tokenizer.decode(one.tokens), one.score, one) for one in found]

    @torch.no_grad()
    def log_probs(self, text: str) -> list[float]:
        """The log probability of each token of a text from those before it, that of <eos> the last."""
        tokens = torch.tensor([BOS, *self.tokenizer.encode(text), EOS], device=self.device)
        logits = self.model(tokens[None, :-1])[0].float()
        return (-functional.cross_entropy(logits, tokens[1:], reduction="none")).tolist()

    def perplexity(self, texts: Sequence[str]) -> float:
        """The exponential of the mean negative log probability of a token, <eos> counted.

        Raises:
            ValueError: if there is no text.
        """
        if not texts:
            raise ValueError("texts: none; expected at least one")
        values = [value for text in texts for value in self.log_probs(self.normalize(text))]
        return math.exp(-sum(values) / len(values))
