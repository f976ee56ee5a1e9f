from __future__ import annotations

from functools import partial

import pytest
import torch

from multimodal_attn.models.attention import DotAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.models.encoders.pictures.efficientnet_lite import EfficientNetLite
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.training.optimizers import adamw, cosine


def model(pretrained: bool, trainable_from: str | None) -> Seq2Seq:
    encoder = EfficientNetLite(64, pretrained=pretrained, dim=16, trainable_from=trainable_from)
    return Seq2Seq(encoder, partial(RecurrentDecoder, partial(DotAttention)), vocab_size=9)


def rates(made: Seq2Seq) -> dict[str, float]:
    """Learning rate of every parameter that has one."""
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    return {names[id(p)]: group["lr"] for group in adamw(made, lr=1.0).param_groups for p in group["params"]}


def test_fine_tuned_backbone_learns_slowly() -> None:
    found = rates(model(pretrained=True, trainable_from="block12"))
    backbone = {rate for name, rate in found.items() if name.startswith("encoder.body.")}
    assert backbone == {0.1}
    assert {rate for name, rate in found.items() if not name.startswith("encoder.body.")} == {1.0}


def test_new_backbone_learns_like_the_rest_and_a_frozen_one_not_at_all() -> None:
    assert set(rates(model(pretrained=False, trainable_from="all")).values()) == {1.0}
    assert not any(name.startswith("encoder.body.") for name in rates(model(pretrained=True, trainable_from=None)))


def test_decay_leaves_biases_and_norms_alone() -> None:
    groups = adamw(model(pretrained=False, trainable_from="all"), lr=1.0, weight_decay=0.1).param_groups
    assert {(p.ndim > 1, group["weight_decay"]) for group in groups for p in group["params"]} == {
        (True, 0.1),
        (False, 0.0),
    }


def test_cosine_warms_up_holds_and_falls() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = cosine(optimizer, total_steps=100, warmup_steps=10, hold_share=0.5, final_share=0.1)
    found = []
    for _ in range(101):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert found[0] == pytest.approx(0.2)
    assert found[10:51] == [2.0] * 41
    assert found[75] == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    assert found[100] == pytest.approx(0.2)
