"""Backbones of timm and Hugging Face: layers, how much trains, what a checkpoint rebuilds."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from multimodal_attn.models.attention import DotAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.hugging_face import HuggingFacePictures
from multimodal_attn.models.encoders.pictures.timm import TimmPictures
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.training.optimizers import adamw
from tests.contracts.tiny import dinov2_folder

SIZE = 64
PICTURES = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)


def of_timm(name: str = "test_vit", **settings: Any) -> TimmPictures:
    pytest.importorskip("timm")
    return TimmPictures(**{"name": name, "weights": None, "image_size": SIZE, "dim": None} | settings)


def of_hugging_face(**settings: Any) -> HuggingFacePictures:
    return HuggingFacePictures(**{"name": str(dinov2_folder()), "image_size": SIZE, "dim": None} | settings)


def trained(encoder: PictureEncoder) -> set[str]:
    """Blocks of the network that train."""
    return {name for name, parameter in encoder.body.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def test_maps_of_a_convolutional_network_and_patches_of_a_transformer_come_alike() -> None:
    network = of_timm("resnet18").eval()
    expected = network.body.network.forward_features(network.normalize(PICTURES))
    assert network.layout.rows == 2
    torch.testing.assert_close(network(PICTURES, torch.ones(2)).states, expected.flatten(2).transpose(1, 2))
    transformer = of_timm(layers=[-1, 0]).eval()
    tokens = transformer.body.network.forward_features(transformer.normalize(PICTURES))
    states = transformer(PICTURES, torch.ones(2)).states
    width = tokens.shape[2]
    assert transformer.dim == states.shape[2] == 2 * width
    patches = transformer.layout.rows * transformer.layout.columns
    torch.testing.assert_close(states[..., width:], tokens[:, -patches:])


@torch.no_grad()
def test_patches_of_hugging_face_are_normalized_by_their_own_preprocessing() -> None:
    encoder = of_hugging_face().eval()
    colors = PICTURES / 255
    normalized = (colors - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.4, 0.5, 0.6])[:, None, None]
    expected = encoder.body.network(normalized).last_hidden_state[:, 1:]
    torch.testing.assert_close(encoder(PICTURES, torch.ones(2)).states, expected)
    both = of_hugging_face(layers=[-2, -1]).eval()(PICTURES, torch.ones(2)).states
    torch.testing.assert_close(both[..., 16:], expected)
    mixed = of_hugging_face(layers=[], mix=True, dim=8)
    assert mixed.mix is not None
    assert mixed.mix.weights.tolist() == pytest.approx([1 / 3] * 3)
    features, lengths = mixed.extract(PICTURES, torch.ones(2))
    expected = mixed.project(torch.stack(features.split(16, dim=-1)).mean(0))
    torch.testing.assert_close(mixed.eval().assemble(features, lengths).states, expected)


@pytest.mark.parametrize("make", [of_timm, of_hugging_face])
def test_how_much_trains_is_a_setting(make: Any) -> None:
    frozen = make()
    assert not trained(frozen)
    assert frozen.cache_fingerprint() is not None
    last = trained(make(trainable_from=-1))
    two = trained(make(trainable_from=-2))
    everything = trained(make(trainable_from="all"))
    assert set() < last < two < everything
    lora = make(lora_rank=2)
    assert lora.cache_fingerprint() is None
    assert {name.split("lora_")[1].split(".")[0] for name in trained(lora)} == {"A", "B"}
    before = frozen.eval()(PICTURES, torch.ones(2)).states
    plain = {name.replace(".base_layer", ""): value for name, value in lora.state_dict().items() if "lora_" not in name}
    frozen.load_state_dict(plain)
    torch.testing.assert_close(  # matrices that have learnt nothing yet change nothing
        lora.eval()(PICTURES, torch.ones(2)).states, frozen(PICTURES, torch.ones(2)).states
    )
    assert before.shape == frozen(PICTURES, torch.ones(2)).states.shape
    with pytest.raises(ValueError, match=r"encoder.trainable_from: -99; expected -1 to -"):
        make(trainable_from=-99)
    with pytest.raises(ValueError, match=r"encoder.layers: 77; expected 0 to"):
        make(layers=[77])


def test_each_has_its_own_learning_rate() -> None:
    for settings, expected in (
        ({"trainable_from": -1}, {0.1, 1.0}),
        ({"trainable_from": -1, "lr_scale": 0.5}, {0.5, 1.0}),
        ({"lora_rank": 2}, {1.0}),
    ):
        model = Seq2Seq(
            of_hugging_face(**{"dim": 8} | settings), partial(RecurrentDecoder, partial(DotAttention)), vocab_size=9
        )
        assert {group["lr"] for group in adamw(model, lr=1.0).param_groups} == expected


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}, {"layers": [], "mix": True, "dim": 8}])
def test_a_checkpoint_rebuilds_the_network_from_what_it_holds(settings: dict[str, Any]) -> None:
    encoder = of_hugging_face(**settings).eval()
    given = {"name": "gone/away", "image_size": SIZE, "dim": None} | settings | encoder.found()
    with torch.device("meta"):
        shapes = HuggingFacePictures(**HuggingFacePictures.from_checkpoint(given)).state_dict()
    state = encoder.state_dict()
    assert {name: value.shape for name, value in shapes.items()} == {name: v.shape for name, v in state.items()}
    other = HuggingFacePictures(**HuggingFacePictures.from_checkpoint(given)).eval()
    other.load_state_dict(state)
    torch.testing.assert_close(other(PICTURES, torch.ones(2)).states, encoder(PICTURES, torch.ones(2)).states)


def test_weights_of_timm_come_from_a_file(tmp_path: Path) -> None:
    first = of_timm().eval()
    torch.save(first.body.network.state_dict(), tmp_path / "weights.pt")
    second = of_timm(weights=str(tmp_path / "weights.pt")).eval()
    torch.testing.assert_close(second(PICTURES, torch.ones(2)).states, first(PICTURES, torch.ones(2)).states)
    state = {name: value.contiguous() for name, value in first.body.network.state_dict().items()}
    with_classifier = state | {"head.weight": torch.ones(1)}
    safetensors.torch.save_file(with_classifier, tmp_path / "w.safetensors")
    third = of_timm(weights=str(tmp_path / "w.safetensors")).eval()
    torch.testing.assert_close(third(PICTURES, torch.ones(2)).states, first(PICTURES, torch.ones(2)).states)
    (tmp_path / "weights.pt").write_text("nothing")
    torch.save({"norm.weight": torch.ones(3)}, tmp_path / "other.pt")
    for name, reason in (
        ("weights.pt", "weights.pt does not hold the state dict of test_vit (UnpicklingError); expected it in safeten"),
        ("other.pt", "other.pt does not hold the state dict of test_vit (Error(s) in loading state_dict"),
        ("gone.pt", "gone.pt' does not exist; expected a file with the state dict of test_vit, DEFAULT or null"),
    ):
        with pytest.raises(ValueError, match=f"encoder.weights: .*{re.escape(reason)}"):
            of_timm(weights=str(tmp_path / name))


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder.name: timm has no 'nothing'"):
        of_timm("nothing")
    with pytest.raises(ValueError, match=r"encoder.name: the weights of test_vit are not here and cannot be fetched"):
        of_timm(weights="DEFAULT")
    with pytest.raises(ValueError, match=r"encoder.layers: \[0, -1\] have maps of .* cells"):
        of_timm("resnet18", layers=[0, -1])
    with pytest.raises(ValueError, match=r"encoder.name: 'gone/away' is no folder of a network and cannot be fetched"):
        of_hugging_face(name="gone/away")
    with pytest.raises(ValueError, match=r"data.image_size: 60; expected a multiple of 14|of 8"):
        of_hugging_face(image_size=60)
    with pytest.raises(ValueError, match=r"encoder.architecture: missing"):
        HuggingFacePictures.from_checkpoint({"name": str(tmp_path)})
