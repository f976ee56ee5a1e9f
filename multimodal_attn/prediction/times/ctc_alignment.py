"""When CTC hears a word: the best path of the encoder's own output through the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torchaudio.functional import forced_align

from multimodal_attn.types import PAD, Span, Timeline

LONGEST_SPACE_STEPS = 2
"""Steps before its first token from which a word may begin where CTC hears a space; what is longer is a pause. CTC
writes a space in one step, in fluent speech just before the first letter."""


def ctc_times(
    logits: Tensor, timeline: Timeline, tokens: Sequence[int], word_spans: list[tuple[int, int]]
) -> list[Span] | None:
    """When each word is heard, by forced alignment (Graves et al. 2006; the path is torchaudio's).

    A word lasts from the first step of its first token to the last step of its last one. Tokens between two words (a
    space) count as the beginning of the second, within ``LONGEST_SPACE_STEPS``. CTC learns where to write a token, not
    how long it lasts: most tokens take one step, and the blanks after a word belong to no word.

    Args:
        logits: of the CTC head for one source, without padding; the padding token's class is the blank.
        timeline: where the steps lie.
        tokens: of the text.
        word_spans: first token and one past the last token of each word.

    Shapes:
        logits: (S, V).

    Returns:
        One span for each word; None if CTC has no path for the text: each token takes a step, and a blank must part two
        equal ones that follow each other.
    """
    if not word_spans:
        return []
    if len(tokens) + sum(one == other for one, other in pairwise(tokens)) > len(logits):
        return None
    labels = torch.tensor([list(tokens)], device=logits.device)
    path = forced_align(logits[None].float().log_softmax(-1), labels, blank=PAD)[0][0].cpu()
    before = torch.cat([torch.tensor([PAD]), path[:-1]])
    after = torch.cat([path[1:], torch.tensor([PAD])])
    firsts = ((path != PAD) & (path != before)).nonzero()[:, 0].tolist()  # of each token, in steps
    lasts = ((path != PAD) & (path != after)).nonzero()[:, 0].tolist()
    spans = []
    stop_before = word_spans[0][0]
    for first, stop in word_spans:
        start = max(firsts[stop_before], firsts[first] - LONGEST_SPACE_STEPS)
        spans.append(Span(timeline.span(start).start, timeline.span(lasts[stop - 1]).end))
        stop_before = stop
    return spans
