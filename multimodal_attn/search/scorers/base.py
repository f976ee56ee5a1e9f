"""The contract of scorers."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.search.follower import Follower, Step


class Scorer(Follower):
    """Has a share in the score of a text, which ``Hypothesis.scores`` shows under its name.

    A new scorer is one file with one class like this and one yaml in ``conf/search/scorers``. It overrides one of the
    three methods. What it gives is weighted already.

    Attributes:
        name: of its share.
        decoder_share: how much of the decoder's weight, 1, it takes over.
        num_candidates: for ``of_candidates``, how many tokens of each row it wants to score at least.
    """

    name: str
    decoder_share: float = 0.0
    num_candidates: int = 0

    def of_vocabulary(self, step: Step) -> Tensor | None:
        """What every token would change in the score of its row, (B, K, V): a log probability, times its weight."""
        return None

    def of_candidates(self, tokens: Tensor, step: Step) -> Tensor | None:
        """The same for some tokens only, those that are best by all other scorers: for what is costly.

        Shapes:
            tokens: (B, K, C). Returns (B, K, C).
        """
        return None

    def bonus(self, step: Step) -> Tensor | None:
        """What the text of each row has earned with its next token, whatever that is, (B, K): it is added to the score
        as it is, not divided by the length."""
        return None
