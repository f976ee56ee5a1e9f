"""A block over a prefix and a text is the same as one over both together."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.layers.causal_block import CausalBlock
from multimodal_attn.models.layers.heads import join_heads, split_heads
from multimodal_attn.models.layers.self_attention import RelativePositions


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


@torch.no_grad()
@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_distances_count_the_same_in_a_text_and_in_its_steps(positions: RelativePositions) -> None:
    torch.manual_seed(0)
    block = CausalBlock(12, 3, 0.0, positions).eval()
    if block.bias is not None:
        torch.nn.init.normal_(block.bias.biases.weight)
    hidden = torch.randn(2, 6, 12)
    whole, seen = block(hidden)
    steps, kept = [], torch.zeros(2, 0, 24)
    for t in range(6):
        step, kept = block(hidden[:, t : t + 1], kept)
        steps.append(step)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
    torch.testing.assert_close(kept, seen)
    mixed = join_heads(block.weights(hidden) @ split_heads(block.project(hidden)[..., 12:], 3))
    residual = hidden + block.output(mixed)
    torch.testing.assert_close(residual + block.feed_forward(block.norm_forward(residual)), whole)
    prefix, nothing = block.project(hidden[:, :3]), torch.zeros(2, 3, dtype=torch.bool)
    followed = block.follow(hidden[:, None], torch.zeros(2, 1, 0, 24), prefix, nothing)
    torch.testing.assert_close(followed.hidden[:, 0], whole)  # beside a prefix that nobody sees
    # Of equal tokens the near one and the far one have other weights, and the near one the same in any text.
    near, far = (block.weights(torch.cat([hidden[:, :1]] * n + [hidden[:, 1:2]], dim=1))[..., -1, :] for n in (1, 3))
    assert not torch.allclose(far[..., 0], far[..., 2])
    torch.testing.assert_close(far[..., 2] / far[..., 3], near[..., 0] / near[..., 1])
