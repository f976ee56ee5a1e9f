"""What every encoder of conf/encoder keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import EVERYTHING, find
from multimodal_attn.types import Grid, Timeline, TokenAxis
from tests.contracts.parts import SAMPLE_RATE, choices, encoder_of, node, part, sources

SELF_ATTENTION = ("conformer", "conformer_medium", "image_vit", "text_transformer", "transformer")


def make(name: str, **settings: object) -> Encoder:
    torch.manual_seed(0)
    return encoder_of(name, **settings)


@pytest.mark.parametrize("name", choices("encoder"))
def test_memory_fits_its_layout(name: str) -> None:
    encoder = make(name).eval()
    memory = encoder(*sources(encoder, 3))
    assert memory.states.shape == (3, memory.mask.shape[1], encoder.dim)
    if isinstance(memory.layout, Grid):
        assert memory.layout.rows * memory.layout.columns == memory.mask.shape[1]
        assert memory.mask.all()
    elif isinstance(memory.layout, TokenAxis):
        assert memory.mask.sum(1).tolist() == sources(encoder, 3)[1].tolist()
    else:
        assert isinstance(memory.layout, Timeline)
        _, lengths = sources(encoder, 3)
        seconds = lengths / SAMPLE_RATE
        ends = memory.layout.offset_seconds + memory.mask.sum(1) * memory.layout.step_seconds
        # The last real step holds the last sample, and no step lies wholly beyond it.
        assert (ends >= seconds - 1e-6).all()
        assert (ends - seconds < memory.layout.step_seconds + 0.01).all()


@pytest.mark.parametrize("name", choices("encoder"))
def test_says_what_it_reads_before_it_is_built(name: str) -> None:
    settings = node("encoder", name)
    kind: Any = find("encoder", settings["_target_"], Encoder)
    assert kind.modality(settings, EVERYTHING) == make(name).reads


@pytest.mark.parametrize("name", choices("encoder"))
def test_longer_batch_mate_changes_nothing(name: str) -> None:
    encoder = make(name).eval()
    source, lengths = sources(encoder, 3)
    together = encoder(source, lengths)
    for index in range(3):
        alone = source[index : index + 1]
        if encoder.reads != "picture":
            alone = alone[:, : lengths[index]]
        single = encoder(alone, lengths[index : index + 1])
        real = int(together.mask[index].sum())
        assert single.mask.sum() == real
        torch.testing.assert_close(single.states[0, :real], together.states[index, :real], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", choices("encoder"))
def test_weights_of_layers_are_those_between_real_positions(name: str) -> None:
    encoder = make(name).eval()
    source, lengths = sources(encoder, 3)
    mask, layers = encoder(source, lengths).mask, encoder.layer_weights(source, lengths)
    assert bool(layers) == (name in SELF_ATTENTION)
    for number, weights in enumerate(layers):
        extra = weights.shape[2] - mask.shape[1]  # a class token
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]))
        cells = weights[..., extra:, extra:]
        assert cells[~mask[:, None, None].expand_as(cells)].abs().sum() == 0
        shortest = 0 if encoder.reads == "picture" else int(lengths.argmin())
        alone = source[shortest : shortest + 1]
        if encoder.reads != "picture":
            alone = alone[:, : lengths[shortest]]
        single = encoder.layer_weights(alone, lengths[shortest : shortest + 1])[number][0]
        real = extra + int(mask[shortest].sum())
        torch.testing.assert_close(single[:, :real, :real], weights[shortest, :, :real, :real], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", choices("encoder"))
def test_gradient_reaches_every_trainable_parameter(name: str) -> None:
    encoder = make(name).train()
    memory = encoder(*sources(encoder, 3))
    (memory.states * torch.randn_like(memory.states) * memory.mask[..., None]).sum().backward()
    trainable = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    assert trainable
    assert not [n for n, p in trainable.items() if p.grad is None or p.grad.abs().max() == 0]


@pytest.mark.parametrize("name", choices("encoder"))
def test_state_dict_round_trip(name: str) -> None:
    first, second = make(name).eval(), make(name).eval()
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(0.1)
    batch = sources(first, 2)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(*batch).states, first(*batch).states)


@pytest.mark.parametrize("name", ["efficientnet_lite", "image_cnn", "image_vit"])
def test_frozen_backbone_does_not_drift(name: str) -> None:
    encoder = make(name, trainable_from=None)
    before = {key: value.clone() for key, value in encoder.body.state_dict().items()}
    encoder.train()
    memory = encoder(*sources(encoder, 4))
    memory.states.sum().backward()
    assert not encoder.body.training
    assert all(torch.equal(before[key], value) for key, value in encoder.body.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.body.parameters())


@pytest.mark.parametrize(
    ("name", "part_name"), [("efficientnet_lite", "block12"), ("image_cnn", "layer4"), ("image_vit", "block8")]
)
def test_fine_tuning_starts_where_it_is_told(name: str, part_name: str) -> None:
    encoder = make(name, trainable_from=part_name).train()
    names = [n for n, _ in encoder.body.named_parameters()]
    first = next(i for i, n in enumerate(names) if n.startswith(part_name))
    trainable = [p.requires_grad for p in encoder.body.parameters()]
    assert trainable == [i >= first for i in range(len(names))]


@pytest.mark.parametrize("name", ["efficientnet_lite", "image_cnn", "image_vit"])
def test_unknown_part_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"encoder.trainable_from: 'nowhere'"):
        make(name, trainable_from="nowhere")


@pytest.mark.parametrize("name", choices("encoder"))
def test_what_a_cache_keeps_gives_the_same_memory(name: str) -> None:
    encoder = make(name).eval()
    batch = sources(encoder, 3)
    found, expected = encoder.assemble(*encoder.extract(*batch)), encoder(*batch)
    torch.testing.assert_close(found.states, expected.states)
    assert torch.equal(found.mask, expected.mask)


@pytest.mark.parametrize("name", ["efficientnet_lite", "image_cnn", "image_vit"])
def test_a_checkpoint_fills_an_encoder_for_which_nothing_was_fetched(name: str) -> None:
    fetching = {"pretrained": True} if name == "efficientnet_lite" else {"weights": "DEFAULT"}
    waiting = part("encoder", name, **fetching)
    torch.manual_seed(1)
    empty = waiting.make(**waiting.make.without_download(waiting.settings))
    assert not empty.pretrained
    empty.load_state_dict(make(name).state_dict())
