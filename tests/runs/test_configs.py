"""Every choice of every group composes and builds; wrong keys and choices are named."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.runs.build import build, build_module
from multimodal_attn.runs.language_model import build_language_model

CONF = Path(__file__).parents[2] / "conf"
PARTS = ("encoder", "attention", "decoder", "tokenizer", "objective", "search", "metrics", "optimizer", "scheduler")
SPEECH_ENCODERS = (
    *("pyramid_lstm", "conv_lstm", "time_depth_separable", "time_depth_separable_20ms"),
    *("conformer", "conformer_medium", "transformer"),
)
TOKENIZER = CharacterTokenizer().fit(["some text"])
# The language model's has none of the parts that these share.
EXPERIMENTS = sorted({path.stem for path in (CONF / "experiment").glob("*.yaml")} - {"language_model"})
# Those that start from another one set little that the other does not.
ROOTS = [
    name
    for name in EXPERIMENTS
    if not any(f"  - {other}\n" in (CONF / "experiment" / f"{name}.yaml").read_text() for other in EXPERIMENTS)
]


def compose(*overrides: str):
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("train", [*overrides, "run_dir=somewhere", "cache_dir=somewhere"])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_builds(experiment: str, tmp_path: Path) -> None:
    config = compose(f"experiment={experiment}", "+data.root=nowhere")
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    module = build_module(config, TOKENIZER, TOKENIZER)
    assert config.name == experiment
    # An experiment may leave settings for objectives that it inherits and does not use itself.
    assert (
        set(module.objectives) <= set(config.objective) <= {path.stem for path in (CONF / "objective").glob("*.yaml")}
    )
    assert config.monitor.name.removeprefix("val/") == module.scores.monitor
    assert config.monitor.mode == module.scores.mode
    config.run_dir = str(tmp_path)
    for group in ("callbacks", "logger"):
        for node in config[group].values():
            build(node)


@pytest.mark.parametrize(
    ("group", "choice"), [(group, path.stem) for group in PARTS for path in sorted((CONF / group).glob("*.yaml"))]
)
def test_every_choice_builds(group: str, choice: str) -> None:
    speech = group == "encoder" and choice in SPEECH_ENCODERS  # a decoder may have the same name
    config = compose(f"{group}={choice}", *(["data=spoken"] if speech else []))
    if "pretrained" in config.encoder:
        config.encoder.pretrained = False
    module = build_module(config, TOKENIZER, TOKENIZER)
    assert module.make_optimizer(module.model).param_groups


@pytest.mark.parametrize("choice", sorted({path.stem for path in (CONF / "callbacks").glob("*.yaml")} - {"default"}))
def test_every_callback_builds(choice: str) -> None:
    assert build(compose(f"callbacks=[{choice}]").callbacks[choice])


@pytest.mark.parametrize("experiment", ROOTS)
def test_every_part_fits_into_an_experiment(experiment: str) -> None:
    """What an experiment sets must be what all choices of a group take, or ``attention=dot`` fails on a foreign key."""
    base = compose(f"experiment={experiment}", "+data.root=nowhere")
    encoders = ("image_conv", "image_cnn")
    if "sample_rate" in base.data:
        encoders = SPEECH_ENCODERS
    elif "source_tokenizer" in base:
        encoders = ("text_lstm", "text_transformer")
    choices = [f"encoder={name}" for name in encoders]
    for group in ("attention", "tokenizer", "scheduler", "objective", "search"):
        choices += [f"{group}={path.stem}" for path in (CONF / group).glob("*.yaml")]
    for choice in choices:
        config = compose(f"experiment={experiment}", "+data.root=nowhere", choice)
        if "pretrained" in config.encoder:
            config.encoder.pretrained = False
        if "hidden_dim" in config.encoder:
            config.encoder.hidden_dim = 32  # a large model takes long to fill with numbers
        module = build_module(config, TOKENIZER, TOKENIZER)
        build(config.tokenizer)
        assert module.make_scheduler is not None
        module.make_scheduler(module.make_optimizer(module.model), total_steps=1000)


@pytest.mark.parametrize("choice", [path.stem for path in (CONF / "language_model").glob("*.yaml")])
def test_language_model_experiment_builds(choice: str, tmp_path: Path) -> None:
    config = compose("experiment=language_model", f"language_model={choice}", "data.train=a", "data.val=b")
    config.run_dir = str(tmp_path)
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    module = build_language_model(config, CharacterTokenizer().fit(["some text"]))
    assert module.make_optimizer(module.model).param_groups
    assert config.monitor.name == "val/perplexity"
    OmegaConf.update(config, "language_model.hiden_dim", 3, force_add=True)
    with pytest.raises(ValueError, match="hiden_dim"):
        build_language_model(config, CharacterTokenizer().fit(["some text"]))


def test_new_data_root_reaches_the_data_set() -> None:
    config = compose("experiment=listen_attend_spell_grid", "data.root=old")
    module = build_module(config, CharacterTokenizer().fit(["some text"]))
    saved = OmegaConf.create(module.config)
    saved.data.root = "new"
    assert saved.data.root == "new"


def test_unknown_choice_is_named() -> None:
    with pytest.raises(HydraException, match="attention/nothing"):
        compose("attention=nothing")


def test_unknown_key_is_named() -> None:
    with pytest.raises(HydraException, match="hiden_dim"):
        compose("decoder.hiden_dim=3")


def test_foreign_targets_are_refused() -> None:
    for target in (
        "os.system",
        "multimodal_attn.data.loading.features.Path.unlink",
        "multimodal_attn.data.loading.features.Path",
    ):
        node = OmegaConf.create({"inner": {"_target_": target}})
        with pytest.raises(ValueError, match=rf"'{target}' is not allowed"):
            build(node)


def test_attention_that_learns_through_an_objective_wants_it() -> None:
    reinforce, tokenizer = ("attention=hard", "attention.estimator=reinforce"), CharacterTokenizer().fit(["some text"])
    with pytest.raises(
        ValueError, match=r"objective: cross_entropy; .*expected objective=\[cross_entropy,hard_attention\]"
    ):
        build_module(compose(*reinforce), tokenizer)
    assert (
        "hard_attention"
        in build_module(compose(*reinforce, "objective=[cross_entropy,hard_attention]"), tokenizer).objectives
    )


def test_values_out_of_range_name_their_key() -> None:
    with pytest.raises(ValueError, match=r"decoder.attend: 'sometimes'"):
        build_module(compose("decoder.attend=sometimes"), CharacterTokenizer().fit(["some text"]))
