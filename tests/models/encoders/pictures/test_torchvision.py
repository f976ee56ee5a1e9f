"""torchvision's backbones by name: where they are cut, what is loaded, and what they expect to see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models import VisionTransformer

from multimodal_attn.models.encoders.pictures.image_cnn import ImageCNN, find_map
from multimodal_attn.models.encoders.pictures.image_vit import ImageViT
from multimodal_attn.models.encoders.pictures.torchvision_weights import colors_of, find_weights, load_network

ALL = torchvision.models.list_models(module=torchvision.models)
VITS = [name for name in ALL if name.startswith("vit_")]
# Torchvision computes the widths of these from numbers in tensors: they cannot be built without memory.
REGNETS = [name for name in ALL if name.startswith("regnet")]


def cut(backbone: str, layer: str | int, image_size: int = 224) -> tuple[str, bool]:
    arguments = {"init_weights": True} if backbone in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if backbone in REGNETS else "meta"):  # shapes without numbers
        network = torchvision.models.get_model(backbone, weights=None, **arguments)
        return find_map(network, layer, image_size, backbone)


@pytest.mark.parametrize(
    ("backbone", "coarse", "fine"),
    [
        ("alexnet", "features.12", "features.11"),
        ("densenet121", "relu", "features.denseblock3.cat"),
        ("efficientnet_b0", "features.8", "features.5.2.add"),
        ("googlenet", "inception5b.cat", "inception4e.cat"),
        ("inception_v3", "Mixed_7c.cat_2", "Mixed_6e.cat"),
        ("mobilenet_v3_small", "features.12", "features.8.add"),
        ("resnet50", "layer4.2.relu_2", "layer3.5.relu_2"),
        ("vgg11", "features.20", "features.19"),
    ],
)
def test_a_stride_is_the_end_of_the_last_stage_of_that_stride(backbone: str, coarse: str, fine: str) -> None:
    assert cut(backbone, 32) == (coarse, False)
    assert cut(backbone, 16) == (fine, False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", [name for name in ALL if name not in REGNETS + VITS] + ["regnet_x_400mf", "regnet_y_400mf"]
)
def test_every_classification_backbone_has_its_strides(backbone: str) -> None:
    for stride in (32, 16):
        if backbone.startswith("squeezenet") and stride == 32:
            with pytest.raises(ValueError, match=f"encoder.layer: {backbone} has no map of stride {stride}"):
                cut(backbone, stride)
        else:
            cut(backbone, stride)


def test_a_name_stands_for_the_last_node_inside_it() -> None:
    assert cut("resnet18", "layer2") == ("layer2.1.relu_1", False)
    with pytest.raises(ValueError, match=r"encoder.layer: 'layer9' is not in resnet18; expected 32, 16, .*'layer3.1'"):
        cut("resnet18", "layer9")
    with pytest.raises(
        ValueError, match=r"encoder.layer: 'flatten' of resnet18 gives no \(channels, rows, columns\) map"
    ):
        cut("resnet18", "flatten")


def test_channels_that_come_last_are_put_first() -> None:
    encoder = ImageCNN("swin_t", 16, None, image_size=64, dim=None).eval()
    assert (encoder.layout.rows, encoder.layout.columns, encoder.dim) == (4, 4, 384)
    picture = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        states = encoder(picture, torch.ones(1)).states
        expected = encoder.body._extractor[0]((picture / 255 - encoder.mean) / encoder.std)["grid"]
    assert expected.shape == (1, 4, 4, 384)
    torch.testing.assert_close(states, expected.flatten(1, 2))


def test_weights_from_a_file(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    encoder = ImageCNN("resnet18", 32, str(tmp_path / "weights.pt"), image_size=32, dim=None)
    assert encoder.pretrained
    torch.testing.assert_close(encoder.body.get_submodule("layer4.1.conv2").weight, network.layer4[1].conv2.weight)
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name in ("other.pt", "text.pt"):
        with pytest.raises(ValueError, match=f"encoder.weights: .*{name} does not hold the state dict of resnet18"):
            ImageCNN("resnet18", 32, str(tmp_path / name), image_size=32)


def test_vision_transformers_have_an_encoder_of_their_own() -> None:
    with pytest.raises(ValueError, match="'vit_b_16' has patches and no maps; expected encoder=image_vit"):
        ImageCNN("vit_b_16", 32, None, image_size=224)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"encoder.backbone: torchvision has no 'resnet19'"):
        find_weights("resnet19", None)
    with pytest.raises(ValueError, match=r"'nothing' is neither a file nor weights of resnet50; .*IMAGENET1K_V2"):
        find_weights("resnet50", "nothing")
    chosen = find_weights("resnet50", "DEFAULT")
    assert chosen is not None
    assert chosen.name == "IMAGENET1K_V2"


def test_each_backbone_has_its_own_preprocessing() -> None:
    assert colors_of("resnet18", None) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert colors_of("efficientnet_v2_l", None) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    # Told by torchvision's weights alone, it would be forgotten when a checkpoint is loaded.
    assert load_network("googlenet", None)[0].transform_input is True


# ------------------------------------------------------------------------------------------ vision transformers


@pytest.fixture
def small_vit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer of two narrow layers in place of torchvision's."""

    def get_model(name: str, weights: None, image_size: int) -> VisionTransformer:
        assert name == "vit_b_32"
        return VisionTransformer(image_size, 32, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16)

    monkeypatch.setattr(torchvision.models, "get_model", get_model)


def saved(folder: Path, image_size: int) -> tuple[VisionTransformer, str]:
    network = torchvision.models.get_model("vit_b_32", weights=None, image_size=image_size).eval()
    torch.save(network.state_dict(), folder / "vit.pt")
    return network, str(folder / "vit.pt")


@pytest.mark.parametrize("class_token", ["drop", "join"])
def test_patches_are_those_of_the_network(small_vit: None, class_token: str, tmp_path: Path) -> None:
    network, path = saved(tmp_path, 96)
    encoder = ImageViT("vit_b_32", path, 96, class_token=class_token, dim=None).eval()  # type: ignore[arg-type]
    assert (encoder.layout.rows, encoder.layout.columns) == (3, 3)
    picture = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    normalised = (picture / 255 - encoder.mean) / encoder.std
    with torch.no_grad():
        states = encoder(picture, torch.ones(2)).states
        tokens = torch.cat([network.class_token.expand(2, -1, -1), network._process_input(normalised)], dim=1)
        tokens = network.encoder(tokens)
    torch.testing.assert_close(states[..., :8], tokens[:, 1:])
    assert encoder.dim == states.shape[-1] == (8 if class_token == "drop" else 16)
    if class_token == "join":
        torch.testing.assert_close(states[..., 8:], tokens[:, :1].expand(-1, 9, -1))


def test_positions_are_interpolated_to_another_size(small_vit: None, tmp_path: Path) -> None:
    network, path = saved(tmp_path, 96)
    with torch.no_grad():
        network.encoder.pos_embedding[:, 1:] = torch.arange(3.0).repeat_interleave(3)[:, None]  # the row's number
    torch.save(network.state_dict(), path)
    positions = ImageViT("vit_b_32", path, 192).body.positions
    torch.testing.assert_close(positions[:, 0], network.encoder.pos_embedding[:, 0])
    rows = positions[0, 1:].detach().view(6, 6, 8)
    torch.testing.assert_close(rows, rows[:, :1, :1].expand(6, 6, 8))
    assert (rows[1:, 0, 0] > rows[:-1, 0, 0]).all()


def test_the_class_token_is_in_what_a_feature_cache_knows(small_vit: None) -> None:
    torch.manual_seed(0)
    drop = ImageViT("vit_b_32", None, 64).body.state_dict()
    torch.manual_seed(0)
    join = ImageViT("vit_b_32", None, 64, class_token="join").body.state_dict()
    assert [name for name in drop if not torch.equal(drop[name], join[name])] == ["join"]


def test_joining_the_class_token_is_a_layer_more(small_vit: None) -> None:
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.manual_seed(0)
    drop = ImageViT("vit_b_32", None, 64).eval().layer_weights(pictures, torch.ones(2))
    torch.manual_seed(0)
    *same, last = ImageViT("vit_b_32", None, 64, class_token="join").eval().layer_weights(pictures, torch.ones(2))
    assert len(drop) == 2
    assert torch.stack(same).equal(torch.stack(drop))
    assert last.equal(torch.tensor([1.0, 0, 0, 0, 0]).expand(2, 1, 5, 5))


def test_fine_tuning_from_a_block(small_vit: None) -> None:
    encoder = ImageViT("vit_b_32", None, 64, trainable_from="block1")
    trainable = {name.split(".")[0] for name, p in encoder.body.named_parameters() if p.requires_grad}
    assert trainable == {"block1", "norm"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet18", None, 64), "encoder.backbone: 'resnet18'; expected one of vit_b_16"),
        (("vit_b_32", None, 50), "data.image_size: 50; expected a multiple of 32"),
    ],
)
def test_wrong_settings_of_a_vision_transformer(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageViT(*arguments)
