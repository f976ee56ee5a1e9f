"""Values that make no sense are refused by the annotations of the constructors, with the key and what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.parts import choices, part


@pytest.mark.parametrize(
    ("group", "name", "settings", "message"),
    [
        (
            "attention",
            "additive",
            {"normalizer": "hardmax"},
            r"attention.normalizer: 'hardmax'; expected 'softmax'",
        ),
        ("attention", "additive", {"temperature": 0}, r"attention.temperature: 0; expected more than 0"),
        ("attention", "additive", {"dropout": 1.0}, r"attention.dropout: 1.0; expected less than 1"),
        ("attention", "forward_attention", {"reach": 0}, r"attention.reach: 0; expected at least 1"),
        (
            "attention",
            "hard",
            {"estimator": "guess"},
            r"attention.estimator: 'guess'; expected 'gumbel'",
        ),
        ("attention", "hard", {"evaluation": "worst"}, r"attention.evaluation: 'worst'"),
        ("attention", "hard", {"expected_share": 1.5}, r"attention.expected_share: 1.5"),
        ("attention", "linear", {"feature_map": "cos"}, r"attention.feature_map: 'cos'; expected 'elu' or 'relu'"),
        ("attention", "local", {"window": 0}, r"attention.window: 0"),
        ("attention", "local", {"center": "middle"}, r"attention.center: 'middle'"),
        ("attention", "location", {"kernel_size": 4}, r"attention.kernel_size: 4; expected an odd number"),
        ("attention", "multihead_location", {"kernel_size": 4}, r"attention.kernel_size: 4; expected an odd number"),
        ("attention", "mocha", {"chunk_size": 0}, r"attention.chunk_size: 0"),
        ("attention", "monotonic", {"noise": -1}, r"attention.noise: -1"),
        ("attention", "monotonic", {"initial_offset": float("nan")}, r"attention.initial_offset: nan"),
        ("decoder", "show_attend_tell", {"attend": "sometimes"}, r"decoder.attend: 'sometimes'; expected 'before' or"),
        ("decoder", "show_attend_tell", {"num_layers": 0}, r"decoder.num_layers: 0"),
        ("decoder", "transformer", {"num_layers": 0}, r"decoder.num_layers: 0"),
        ("encoder", "conformer", {"kernel_size": 4}, r"encoder.kernel_size: 4; expected an odd number"),
        ("encoder", "transformer", {"subsampling": 3}, r"encoder.subsampling: 3; expected 2, 4 or 8"),
        ("encoder", "efficientnet_lite", {"stride": 8}, r"encoder.stride: 8; expected 16 or 32"),
        ("encoder", "efficientnet_lite", {"dim": "wide"}, r"encoder.dim: 'wide'"),
        ("encoder", "image_conv", {"channels": [8, 0]}, r"encoder.channels\[1\]: 0"),
        ("encoder", "image_vit", {"class_token": "keep"}, r"encoder.class_token: 'keep'; expected 'drop' or 'join'"),
        ("encoder", "pyramid_lstm", {"reductions": []}, r"encoder.reductions: \[\]; expected one or more numbers"),
        ("encoder", "text_lstm", {"num_layers": None}, r"encoder.num_layers: None"),
        ("encoder", "time_depth_separable", {"kernel_size": 4}, r"encoder.kernel_size: 4; expected an odd number"),
        (
            "encoder",
            "conv_lstm",
            {"front_end": {"cmvn": "global"}},
            r"encoder.front_end.cmvn: 'global'; expected",
        ),
        ("encoder", "conv_lstm", {"front_end": {"time_mask_share": 2}}, r"encoder.front_end.time_mask_share: 2"),
        ("encoder", "conv_lstm", {"front_end": {"noise": {"probability": 1.5}}}, r"front_end.noise.probability: 1.5"),
        (
            "encoder",
            "conv_lstm",
            {"front_end": {"reverberation": {"decay_seconds": [0, 1]}}},
            r"front_end.reverberation.decay_seconds\[0\]: 0; expected more than 0.01",
        ),
        ("language_model", "recurrent", {"num_layers": 0}, r"language_model.num_layers: 0"),
        ("language_model", "transformer", {"dim": 0}, r"language_model.dim: 0"),
    ],
)
def test_value_is_refused(group: str, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        part(group, name, **settings)


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in ("attention", "decoder", "encoder", "language_model") for name in choices(group)],
)
def test_every_setting_of_a_yaml_says_what_it_may_be(group: str, name: str) -> None:
    made = part(group, name)
    for key in made.settings:
        with pytest.raises(ValueError, match=rf"^{group}.{key}[.:]"):
            part(group, name, **{key: {"_target_": "nothing"}})
