from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.encoders.pictures.base import PictureEncoder
from multimodal_attn.models.encoders.pictures.color_distortion import ColorDistortion

PICTURES = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def encoder(distortion: ColorDistortion | None) -> PictureEncoder:
    return PictureEncoder(torch.nn.Conv2d(3, 8, 4, 4), 8, 16, dim=None, distortion=distortion)


def test_each_picture_has_its_own_light_and_keeps_its_shape() -> None:
    flat = torch.full((6, 3, 5, 7), 100, dtype=torch.uint8)
    changed = ColorDistortion(brightness=0.4, contrast=0, saturation=0, hue=0)(flat)
    assert changed.shape == flat.shape
    assert changed.dtype == torch.uint8
    assert all(len(picture.unique()) == 1 for picture in changed)  # nothing has moved
    light = [int(picture[0, 0, 0]) for picture in changed]
    assert len(set(light)) > 1
    assert 60 <= min(light) <= max(light) <= 140


def test_a_seed_gives_the_same_version_and_leaves_no_trace() -> None:
    one = encoder(ColorDistortion())
    state = torch.get_rng_state()
    versions = [one.distort(PICTURES[0], seed) for seed in (1, 2, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(versions[0], versions[2])
    assert not torch.equal(versions[0], versions[1])
    assert torch.equal(encoder(None).distort(PICTURES[0], 1), PICTURES[0])


def test_training_sees_other_colors_and_evaluation_does_not() -> None:
    lengths = torch.zeros(4, dtype=torch.long)
    torch.manual_seed(0)
    one = encoder(ColorDistortion())
    trained = one.train().extract(PICTURES, lengths)[0]
    assert not torch.allclose(trained, one.extract(PICTURES, lengths)[0])
    evaluated = one.eval().extract(PICTURES, lengths)[0]
    assert torch.equal(evaluated, one.extract(PICTURES, lengths)[0])


def test_the_settings_make_the_fingerprint() -> None:
    assert encoder(None).distortion_fingerprint() is None
    assert encoder(ColorDistortion()).distortion_fingerprint() == encoder(ColorDistortion()).distortion_fingerprint()
    assert (
        encoder(ColorDistortion()).distortion_fingerprint() != encoder(ColorDistortion(hue=0)).distortion_fingerprint()
    )


def test_the_circle_of_colors_has_two_halves() -> None:
    with pytest.raises(ValueError, match=r"encoder\.distortion\.hue: 0\.6; expected 0 to 0\.5"):
        ColorDistortion(hue=0.6)
