"""Self-attention: the fused form is what its weights say, near and far, with positions of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from multimodal_attn.models import kernels
from multimodal_attn.models.layers.distance_bias import DistanceBias
from multimodal_attn.models.layers.heads import join_heads, split_heads
from multimodal_attn.models.layers.rotary import rotate
from multimodal_attn.models.layers.self_attention import SelfAttention
from multimodal_attn.models.layers.self_attention_layers import SelfAttentionLayers

POSITIONS = [None, "rotary", "relative"]
LENGTHS = torch.tensor([11, 4, 1])
MASK = torch.arange(11) < LENGTHS[:, None]
SEEN = MASK[:, None, None]


def make(positions: str | None = None, window: int | None = None, dropout: float = 0.0) -> SelfAttention:
    torch.manual_seed(0)
    made = SelfAttention(16, 2, dropout, positions, window)
    if made.bias is not None:
        nn.init.normal_(made.bias.biases.weight)
    return made.eval()


@pytest.mark.parametrize("window", [None, 1, 3, 10, 50])
@pytest.mark.parametrize("positions", POSITIONS)
def test_what_comes_out_is_what_the_weights_say(positions: str | None, window: int | None) -> None:
    attention, x = make(positions, window), torch.randn(3, 11, 16, requires_grad=True)
    weights = attention.weights(x, SEEN)
    value = split_heads(attention.project(attention.norm(x))[..., 32:], 2)
    expected = attention.output(join_heads(weights @ value))[MASK]
    found = attention(x, SEEN)
    with kernels.use(False):
        torch.testing.assert_close(attention(x, SEEN), found)
    torch.testing.assert_close(found[MASK], expected)
    assert found.isfinite().all()
    towards = torch.randn_like(expected)
    inputs = [x, *attention.parameters()]
    gradients = [torch.autograd.grad((each * towards).sum(), inputs) for each in (found[MASK], expected)]
    for fused, defined in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, defined, rtol=1e-4, atol=1e-5)


def test_who_reads_whom_may_be_said_for_each_pair() -> None:
    attention, x = make("relative"), torch.randn(3, 11, 16)
    causal = SEEN & torch.ones(11, 11, dtype=torch.bool).tril()
    value = split_heads(attention.project(attention.norm(x))[..., 32:], 2)
    weights = attention.weights(x, causal)
    assert weights.triu(1).abs().sum() == 0
    torch.testing.assert_close(attention(x, causal), attention.output(join_heads(weights @ value)))


@pytest.mark.parametrize("window", [1, 3])
def test_a_window_hides_what_lies_beyond_it_and_nothing_else(window: int) -> None:
    weights = make(window=window).weights(torch.randn(1, 11, 16), SEEN[:1])
    places = torch.arange(11)
    near = (places - places[:, None]).abs() <= window
    assert ((weights > 0) == near).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 11))


@pytest.mark.parametrize("positions", POSITIONS[1:])
def test_equal_words_are_told_apart_by_their_distance_alone(positions: str) -> None:
    attention = make(positions)
    x = torch.randn(1, 1, 16).expand(1, 11, 16)
    scores = attention.weights(x, SEEN[:1]).log()[0, 0]
    following = scores.diagonal(1) - scores.diagonal()[:-1]
    before = scores.diagonal(-1) - scores.diagonal()[1:]
    for steps in (following, before):
        torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-4, atol=1e-4)
    assert following[0].abs() > 1e-3


def test_memory_of_a_window_grows_with_the_length_and_not_with_its_square() -> None:
    def saved(size: int, window: int | None) -> int:
        attention, numbers = make(window=window, dropout=0.1).train(), []

        def note(tensor: torch.Tensor) -> torch.Tensor:
            numbers.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            attention(torch.randn(1, size, 16), torch.ones(1, 1, 1, size, dtype=torch.bool))
        return sum(numbers)

    assert saved(512, 8) < 2.2 * saved(256, 8)
    assert saved(512, None) > 3 * saved(256, None)


def test_products_of_rotated_vectors_depend_on_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 8)
    rotated = [rotate(x.expand(1, 1, 10, 8)).double()[0, 0] for x in (query, key)]
    products = rotated[0] @ rotated[1].T
    for distance in (0, 3):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)
    assert abs(products[0, 0] - products[0, 3]) > 1e-2


def test_near_distances_have_a_bias_each_and_far_ones_share_them() -> None:
    bias = DistanceBias(1)
    bias.biases.weight.data = torch.arange(32.0)[:, None]
    found = bias(torch.tensor([[-500, -128, -20, -7, -1, 0, 1, 7, 20, 128, 500]]))[0, 0].tolist()
    assert found[3:8] == [7, 1, 0, 17, 23]
    assert found[0] == found[1] == 15
    assert found[9] == found[10] == 31
    assert 8 <= found[2] < 15


def test_layers_are_those_of_torch() -> None:
    """With torch's weights, what comes out is what torch's own layers give."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
    reference = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False).eval()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.3)
    layers = SelfAttentionLayers(16, 2, 2, 2, 0.0, "rotary").eval()
    for own, theirs in zip(layers.layers, reference.layers, strict=True):
        own.attention.rotary = False  # torch's layers know no positions
        pairs = (
            (own.attention.norm, theirs.norm1),
            (own.attention.output, theirs.self_attn.out_proj),
            (own.feed_forward[0], theirs.norm2),
            (own.feed_forward[1], theirs.linear1),
            (own.feed_forward[4], theirs.linear2),
        )
        for ours, torchs in pairs:
            ours.load_state_dict(torchs.state_dict())
        own.attention.project.weight.data = theirs.self_attn.in_proj_weight.data
        own.attention.project.bias.data = theirs.self_attn.in_proj_bias.data
    layers.norm.load_state_dict(reference.norm.state_dict())
    x = torch.randn(3, 11, 16)
    torch.testing.assert_close(layers(x, MASK)[MASK], reference(x, src_key_padding_mask=~MASK)[MASK])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((30, 1, 4, 4, 0.0), r"encoder.hidden_dim: 30; expected a multiple of encoder.num_heads=4"),
        ((15, 1, 3, 4, 0.0), r"encoder.hidden_dim: 15; expected an even number for sinusoidal"),
        ((20, 1, 4, 4, 0.0, "rotary"), r"encoder.hidden_dim: 20; expected a multiple of 2 \* encoder.num_heads=8"),
    ],
)
def test_widths_that_do_not_fit_are_named(settings: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfAttentionLayers(*settings)
