"""A block over a prefix and a text is the same as one over both together."""

from __future__ import annotations

import torch

from multimodal_attn.models.layers.causal_block import CausalBlock
from multimodal_attn.models.layers.heads import join_heads, split_heads


def test_text_behind_a_prefix_is_one_sequence_with_a_mask() -> None:
    torch.manual_seed(0)
    block = CausalBlock(12, 3, 0.0).eval()
    prefix, text = torch.randn(2, 5, 12), torch.randn(2, 1, 4, 12)
    visible = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    found = block.follow(text, torch.zeros(2, 1, 0, 24), block.project(prefix), visible)
    for row, length in enumerate((5, 3)):
        joined = torch.cat([prefix[row, :length], text[row, 0]])[None]
        causal, _ = block(joined)
        # A causal block alone: what the text reads of the prefix does not depend on how the prefix reads itself.
        torch.testing.assert_close(found.hidden[row, 0], causal[0, length:])
        assert found.weights[row, 0, :, :, length:].abs().sum() == 0
    assert (found.weights.sum(-1) < 1).all()


def test_visible_positions_see_each_other_both_ways_and_no_other() -> None:
    torch.manual_seed(0)
    block = CausalBlock(12, 3, 0.0).eval()
    hidden = torch.randn(1, 4, 12)
    visible = torch.tensor([[True, True, True, False]])
    before, _ = block(hidden, visible=visible)
    for changed, others in ((2, [0, 1]), (0, [1, 2])):
        other = hidden.clone()
        other[0, changed] = torch.randn(12)  # a mere shift would be normalized away
        after, _ = block(other, visible=visible)
        assert not torch.isclose(after[0, others], before[0, others]).all(-1).any()
    other = hidden.clone()
    other[0, 3] = torch.randn(12)
    torch.testing.assert_close(block(other, visible=visible)[0][:, :3], before[:, :3])


@torch.no_grad()
def test_weights_are_those_of_the_forward_pass() -> None:
    torch.manual_seed(0)
    block = CausalBlock(12, 3, 0.0).eval()
    hidden = torch.randn(2, 5, 12)
    values = split_heads(block.project(hidden)[..., 12:], 3)
    for visible in (None, torch.tensor([[True] * 5, [True] * 3 + [False] * 2])):
        attended = join_heads(block.weights(hidden, visible) @ values)
        residual = hidden + block.output(attended)
        expected = residual + block.feed_forward(block.norm_forward(residual))
        torch.testing.assert_close(block(hidden, visible=visible)[0], expected)
