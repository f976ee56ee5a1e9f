"""Self-critical sequence training (Rennie et al. 2017)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import BeamWidth, Count, NotNegative, Positive
from multimodal_attn.search.training_samples import sample
from multimodal_attn.training.objectives.whole_texts import WholeTextObjective, ended, text_log_probs
from multimodal_attn.training.rewards import CiderDReward
from multimodal_attn.types import Batch, DecoderOutput, Memory


class SelfCritical(WholeTextObjective):
    """Maximizes the expected CIDEr-D of sampled texts: samples above the baseline become likelier, others less likely.

    In training the value is minus the mean reward of the samples, and the gradient is an unbiased estimate of the
    gradient of its expectation (Rennie et al., equation 7): mean over samples of ``-(reward - baseline) * grad log p``.
    In validation the value is minus the mean reward of the greedy texts.

    Args:
        weight: of this objective in the sum.
        num_samples: K, texts that are sampled of each source.
        baseline: "greedy", the reward of the greedy text (Rennie et al., section 3.2), or "samples", the mean reward
            of the source's other samples (Luo 2020, section 3), which needs at least two of them.
        max_length: tokens after which a text is cut off.
        temperature: of the distribution that texts are sampled from and that learns. Label smoothing gives every token
            a little probability, which below 1 hardly any is sampled by. The best token of a step is the same at all.

    Raises:
        ValueError: if ``num_samples`` is too small for the baseline.
    """

    def __init__(
        self,
        weight: NotNegative = 1.0,
        num_samples: BeamWidth = 5,
        baseline: Literal["greedy", "samples"] = "samples",
        max_length: Count = 30,
        temperature: Positive = 1.0,
    ) -> None:
        super().__init__(weight)
        fewest = 2 if baseline == "samples" else 1
        if num_samples < fewest:
            raise ValueError(
                f"objective.self_critical.num_samples: {num_samples}; expected at least {fewest}, with"
                f" baseline={baseline}"
            )
        self.baseline, self.temperature = baseline, temperature
        self.num_samples, self.max_length = num_samples, max_length

    def prepare(self, data: DataModule) -> None:
        """Counts the n-grams of the training texts."""
        super().prepare(data)
        self.reward = CiderDReward(data.documents())

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput | None) -> Tensor:
        decoder: Decoder = model.decoder
        with evaluating(decoder):
            if not self.training:
                greedy = sample(model, memory, 0, self.max_length, greedy_row=True)
                return -self._rewards(greedy.tokens, batch).mean()
            greedy_row = self.baseline == "greedy"
            samples = sample(model, memory, self.num_samples, self.max_length, greedy_row, self.temperature)
            tokens, mask = samples.tokens, samples.mask
            rewards = self._rewards(tokens, batch)
            if self.baseline == "greedy":
                baseline, rewards, tokens, mask = rewards[:, :1], rewards[:, 1:], tokens[:, 1:], mask[:, 1:]
            else:
                baseline = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
            log_probs = text_log_probs(decoder, tokens, mask, memory, self.temperature)
        estimate = -((rewards - baseline) * log_probs).mean()
        return estimate + (-rewards.mean() - estimate).detach()

    def _rewards(self, tokens: Tensor, batch: Batch) -> Tensor:
        """(B, K), on the device of the tokens (B, K, T)."""
        tokenizers = [self.tokenizer.of_source(text) for text in batch.source_texts]
        texts = [
            [(tokenizer.decode(row), done) for row, done in zip(rows, row_ended, strict=True)]
            for tokenizer, rows, row_ended in zip(tokenizers, tokens.tolist(), ended(tokens).tolist(), strict=True)
        ]
        return self.reward(texts, [[t.text for t in targets] for targets in batch.targets]).to(tokens.device)
