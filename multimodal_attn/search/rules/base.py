"""The contract of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from multimodal_attn.search.follower import Follower, Step
from multimodal_attn.types import BOS, EOS, PAD, UNK


class Rule(Follower):
    """Takes tokens out of the choice, or rows out of a beam, or says which tokens must come.

    The probabilities of the tokens that stay are not made larger: the score of a text is what the model gives it.

    A new rule is one file with one class like this and one yaml in ``conf/search/rules``. It overrides ``apply``; one
    that says what must come, the three members below it instead.

    Attributes:
        needs_beam: whether it decides between rows and takes no token out, so that searches whose rows do not compete
            refuse it. Its ``str`` is then "key: value", for the error.
    """

    needs_beam: ClassVar[bool] = False

    def apply(self, scores: Tensor, step: Step) -> None:
        """Sets to minus infinity, in place, the scores of what may not come next, and the ``totals`` of rows that are
        to be given up.

        Shapes:
            scores: (B, K, V) log probabilities, up to ``step.normalizer``.
        """

    @property
    def num_lacking(self) -> int:
        """Tokens that must come. Rows compete only with those that lack as many."""
        return 0

    def wanted(self) -> Tensor | None:
        """Tokens that take each row further toward what must come, (B, K, any number) int64."""
        return None

    def lacking(self, tokens: Tensor) -> Tensor:
        """How many of ``num_lacking`` each row lacks when it goes on with a token.

        Shapes:
            tokens: (B, K, C). Returns (B, K, C) int64.
        """
        return torch.zeros_like(tokens)


def apply_rules(rules: Sequence[Rule], scores: Tensor, step: Step) -> None:
    """Applies one rule after the other, in place. Where they leave no token at all, a text may end.

    Shapes:
        scores: (B, K, V).
    """
    ending = scores[..., EOS].clone()
    for rule in rules:
        rule.apply(scores, step)
    if all(rule.needs_beam for rule in rules):  # or there are none: no token is out
        return
    nothing_left = scores.amax(-1) == -torch.inf
    scores[..., EOS] = torch.where(nothing_left, ending, scores[..., EOS])


def forbid_specials(logits: Tensor) -> Tensor:
    """Logits in which no text can hold padding, a second start, or an unknown word: a rule that always holds.

    Shapes:
        logits: (..., V); changed in place and returned.
    """
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    return logits
