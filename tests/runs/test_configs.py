"""Every choice of every group composes and builds; wrong keys and choices are named."""

from __future__ import annotations

from copy import deepcopy
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import find
from multimodal_attn.runs import configuration
from multimodal_attn.runs.build import build_callbacks, build_loggers, build_module
from multimodal_attn.runs.check import check
from multimodal_attn.runs.configuration import plain
from multimodal_attn.runs.data import build_data
from multimodal_attn.runs.language_model import build_language_model
from multimodal_attn.runs.masked_language_model import build_masked_language_model
from tests.contracts.tiny import with_files

CONF = configuration.CONF
PARTS = ("encoder", "attention", "decoder", "tokenizer", "objective", "search", "metrics", "optimizer", "scheduler")
SPEECH_ENCODERS = (
    *("pyramid_lstm", "conv_lstm", "time_depth_separable", "time_depth_separable_20ms"),
    *("conformer", "conformer_medium", "transformer", "hugging_face_speech", "ctranslate2_whisper"),
)
# Those of corpora have no root of their own.
NOWHERE = ("++data.root=nowhere", "++data.train=nowhere")
TOKENIZER = CharacterTokenizer().fit(["some text"])
# Those of language models have none of the parts that these share.
LANGUAGE_MODELS = {"language_model", "masked_language_model", "masked_language_model_dialogsum"}
EXPERIMENTS = sorted({path.stem for path in (CONF / "experiment").glob("*.yaml")} - LANGUAGE_MODELS)
# Those that start from another one set little that the other does not.
ROOTS = [
    name
    for name in EXPERIMENTS
    if not any(f"  - {other}\n" in (CONF / "experiment" / f"{name}.yaml").read_text() for other in EXPERIMENTS)
]

ONE_OF_EACH = {
    "show_attend_tell_shapes",
    "listen_attend_spell_spoken",
    "align_translate_dates",
    "point_generate_reports",
    "captions",
}
"""Every part is tried in an experiment of each task; in all others too by the slow tests."""


def compose(*overrides: str) -> dict[str, Any]:
    """The settings that train.py would have, without anything to download."""
    config = plain(configuration.compose("train", [*overrides, "run_dir=somewhere", "cache_dir=somewhere"]))
    if config.get("encoder"):
        config["encoder"] = with_files(config["encoder"])
        encoder: Any = find("encoder", config["encoder"]["_target_"], Encoder)
        config["encoder"] = encoder.without_download(config["encoder"])
    return config


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_builds(experiment: str, tmp_path: Path) -> None:
    config = compose(f"experiment={experiment}", *NOWHERE)
    module = build_module(config, TOKENIZER, TOKENIZER)
    assert config["name"] == experiment
    # An experiment may leave settings for objectives that it inherits and does not use itself.
    chosen = set(config["objective"])
    assert set(module.objectives) <= chosen <= {path.stem for path in (CONF / "objective").glob("*.yaml")}
    assert config["monitor"]["name"].removeprefix("val/") == module.scores.monitor
    for callback in ("best_checkpoint", "last_checkpoint"):
        config["callbacks"][callback]["dirpath"] = str(tmp_path)
    assert build_callbacks(config)
    assert build_loggers(config, tmp_path)


@pytest.mark.parametrize(
    ("group", "choice"), [(group, path.stem) for group in PARTS for path in sorted((CONF / group).glob("*.yaml"))]
)
def test_every_choice_builds(group: str, choice: str) -> None:
    speech = group == "encoder" and choice in SPEECH_ENCODERS  # a decoder may have the same name
    module = build_module(compose(f"{group}={choice}", *(["data=spoken"] if speech else [])), TOKENIZER, TOKENIZER)
    assert module.make_optimizer(module.model).param_groups


@pytest.mark.parametrize("choice", sorted({path.stem for path in (CONF / "callbacks").glob("*.yaml")} - {"default"}))
def test_every_callback_builds(choice: str) -> None:
    (callback,) = build_callbacks(compose(f"callbacks=[{choice}]"))
    assert callback


@pytest.mark.parametrize(
    "experiment",
    [pytest.param(name, marks=[] if name in ONE_OF_EACH else pytest.mark.slow) for name in ROOTS],
)
def test_every_part_fits_into_an_experiment(experiment: str, caplog: pytest.LogCaptureFixture) -> None:
    """What an experiment sets and another choice of a part does not take is left out, with a warning that names it."""
    base = compose(f"experiment={experiment}", *NOWHERE)
    choices = {
        group: sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        for group in ("attention", "tokenizer", "scheduler", "objective", "search")
    }
    choices["encoder"] = ["image_conv", "image_cnn"]
    rate: tuple[str, ...] = ()
    if "sample_rate" in base["data"]:
        choices["encoder"], rate = list(SPEECH_ENCODERS), ("data.sample_rate=16000",)  # others hear at no other rate
        base = compose(f"experiment={experiment}", *NOWHERE, *rate)
    elif base.get("source_tokenizer"):
        choices["encoder"] = ["text_lstm", "text_transformer"]
    if not base.get("attention"):
        del choices["attention"]  # the experiment's decoder brings its own
    # A choice of one group changes nothing of another, so that a composition, which takes long, serves one of each.
    for names in zip_longest(*choices.values()):
        chosen = {group: name for group, name in zip(choices, names, strict=True) if name is not None}
        several = compose(
            f"experiment={experiment}", *NOWHERE, *rate, *(f"{group}={name}" for group, name in chosen.items())
        )
        assert {key for key in base.keys() | several.keys() if base.get(key) != several.get(key)} <= chosen.keys()
        for group in chosen:
            config = deepcopy({**base, group: several[group]})
            if "hidden_dim" in config["encoder"]:
                config["encoder"]["hidden_dim"] = 32  # a large model takes long to fill with numbers
            module = build_module(config, TOKENIZER, TOKENIZER)
            assert module.make_scheduler is not None
            module.make_scheduler(module.make_optimizer(module.model), total_steps=1000)
    assert all("has no such setting, so it is left out" in message for message in caplog.messages)


def test_what_is_left_out_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    few = "data.num_examples={train:40,val:2}"
    config = compose("experiment=point_generate_reports", few, "decoder=align_translate", "tokenizer=character")
    check(config)
    build_module(config, TOKENIZER, TOKENIZER)
    build_data(config)
    assert [message for message in caplog.messages if message.startswith("tokenizer")] == [
        "tokenizer.min_count: CharacterTokenizer has no such setting, so it is left out"
    ]


@pytest.mark.parametrize(
    ("experiment", "choice", "wrong", "likely"),
    [
        *(
            ("language_model", f"language_model={path.stem}", "language_model.num_layer", "language_model.num_layers")
            for path in (CONF / "language_model").glob("*.yaml")
        ),
        *(
            ("masked_language_model", f"encoder={name}", "masking.shares", "masking.share")
            for name in ("text_lstm", "text_transformer")
        ),
        ("masked_language_model_dialogsum", "data.root=a", "encoder.hiden_dim", "encoder.hidden_dim"),
    ],
)
def test_experiments_of_language_models_build(experiment: str, choice: str, wrong: str, likely: str) -> None:
    build: Any = build_language_model if experiment == "language_model" else build_masked_language_model
    config = compose(f"experiment={experiment}", choice, *NOWHERE, "++data.val=b")
    module = build(config, TOKENIZER)
    assert module.make_optimizer(module.model).param_groups
    assert config["monitor"]["name"] in ("val/perplexity", "val/masked_perplexity")
    configuration.update(config, wrong, 3)
    with pytest.raises(ValueError, match=rf"{wrong}: .*did you mean {likely}"):
        build(config, TOKENIZER)


def test_unknown_choice_is_named() -> None:
    with pytest.raises(ValueError, match="attention=nothing: there is no such choice"):
        compose("attention=nothing")


def test_unknown_key_is_named() -> None:
    with pytest.raises(ValueError, match="hiden_dim"):
        compose("decoder.hiden_dim=3")


def test_attention_that_learns_through_an_objective_wants_it() -> None:
    reinforce = ("attention=hard", "attention.estimator=reinforce")
    with pytest.raises(
        ValueError, match=r"objective: cross_entropy; .*expected objective=\[cross_entropy,hard_attention\]"
    ):
        build_module(compose(*reinforce), TOKENIZER)
    both = compose(*reinforce, "objective=[cross_entropy,hard_attention]")
    assert "hard_attention" in build_module(both, TOKENIZER).objectives


def test_a_decoder_that_brings_its_own_attention_says_so(caplog: pytest.LogCaptureFixture) -> None:
    build_module(compose("decoder=transformer"), TOKENIZER)
    assert "attention: AdditiveAttention is not used, as this decoder brings its own; ~attention says so" in caplog.text


def test_values_out_of_range_name_their_key() -> None:
    for override, expected in (
        ("decoder.attend=sometimes", r"decoder\.attend: 'sometimes'; expected 'before' or 'after'"),
        ("decoder.hidden_dim=0", r"decoder\.hidden_dim: 0; expected at least 1"),
        ("scheduled_sampling.probability=2", r"scheduled_sampling\.probability: 2; expected at most 1"),
        ("objective.cross_entropy.label_smoothing=nan", r"objective\.cross_entropy\.label_smoothing: nan"),
        ("optimizer.lr=0", r"optimizer\.lr: 0; expected more than 0"),
        ("seed=x", r"seed: 'x'; expected"),
    ):
        with pytest.raises(ValueError, match=expected):
            build_module(compose(override), TOKENIZER)


def test_no_objective_is_refused() -> None:
    with pytest.raises(ValueError, match="objective: none chosen"):
        build_module(compose("objective=[]"), TOKENIZER)
