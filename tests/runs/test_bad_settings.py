"""Every setting of every yaml with values that make no sense: a sentence that names its key, and nothing is written."""

from __future__ import annotations

import logging
import math
import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import find, parameters
from multimodal_attn.runs import train as training
from multimodal_attn.runs.configuration import CONF, compose, leaves, plain, select, update
from tests.contracts.tiny import with_files

WRONG = (0, -1, math.nan, math.inf, "", "x", None, [], [1, "x"], True)
SPEECH = (
    "pyramid_lstm",
    "conv_lstm",
    "time_depth_separable",
    "conformer",
    "transformer",
    "hugging_face_speech",
    "ctranslate2",
)
TEXT = ("encoder=text_lstm", "tokenizer@source_tokenizer=word")


SENSIBLE = {
    "-1": """
        attention.initial_offset decoder.reported_layer objective.entropy.weight
        objective.hard_attention.entropy_weight search.length_bonus trainer.max_epochs trainer.max_steps
        trainer.num_sanity_val_steps
    """,
    "None": """
        callbacks.best_checkpoint.monitor callbacks.last_checkpoint.monitor data.batch_seconds init_from resume
        data.batch_tokens data.cache_dir data.columns data.entities data.max_seconds data.max_source_tokens
        data.min_seconds data.modality data.texts data.texts_per_source data.word_times
        decoder.embedding_dim encoder.chunk_steps encoder.dim encoder.window
        encoder.front_end.noise.recordings.folder encoder.front_end.reverberation.recordings.folder
        encoder.front_end.time_mask_frames encoder.front_end.time_masks_per_frame encoder.trainable_from
        encoder.grid encoder.lr_scale encoder.sha256 encoder.streams.what.dim
        encoder.streams.what.trainable_from encoder.streams.where.dim encoder.streams.where.trainable_from
        objective.word_patches.epochs
        encoder.weights objective.ctc.epochs objective.guided_attention.epochs
        objective.minimum_word_error.max_length_ratio search.eos_threshold search.language_model search.prefix
        search.max_attention_jump search.max_length_ratio tokenizer.max_size trainer.enable_model_summary
        trainer.gradient_clip_val trainer.limit_train_batches trainer.limit_val_batches
        trainer.log_every_n_steps trainer.max_epochs trainer.num_sanity_val_steps
    """,
    "0": """
        attention.dropout attention.expected_share attention.initial_offset attention.noise
        callbacks.attention_maps.num_examples callbacks.early_stopping.patience callbacks.ema.decay
        callbacks.progress.refresh_rate data.cache_bytes data.corrupted_share data.min_seconds
        data.num_workers
        data.quadratic_seconds data.seed data.short_first_epochs decoder.dropout decoder.reported_layer
        encoder.dropout encoder.left_chunks encoder.front_end.mel_mask_bins encoder.front_end.noise.probability
        encoder.front_end.num_mel_masks encoder.front_end.num_time_masks
        encoder.front_end.reverberation.probability encoder.front_end.time_mask_frames
        encoder.front_end.time_mask_share encoder.front_end.time_masks_per_frame encoder.variant
        encoder.distortion.noise.probability encoder.distortion.reverberation.probability encoder.lora_rank
        encoder.distortion.brightness encoder.distortion.contrast encoder.distortion.hue encoder.distortion.saturation
        encoder.streams.what.distortion.brightness encoder.streams.what.distortion.contrast
        encoder.streams.what.distortion.hue encoder.streams.what.distortion.saturation
        encoder.streams.where.distortion.brightness encoder.streams.where.distortion.contrast
        encoder.streams.where.distortion.hue encoder.streams.where.distortion.saturation
        encoder.lr_scale encoder.num_time_masks encoder.silence_seconds encoder.stream_dropout
        encoder.streams.what.dropout encoder.streams.what.variant encoder.streams.where.dropout
        encoder.streams.where.variant objective.word_patches.separation objective.word_patches.stream
        objective.word_patches.center objective.word_patches.weight
        language_model.dropout objective.box_supervision.weight objective.coverage.weight
        objective.cross_entropy.label_smoothing objective.cross_entropy.weight objective.ctc.weight
        objective.doubly_stochastic.weight objective.entropy.weight objective.guided_attention.weight
        objective.hard_attention.baseline_decay objective.hard_attention.entropy_weight
        objective.hard_attention.weight objective.minimum_word_error.weight objective.self_critical.weight
        optimizer.backbone_lr_scale optimizer.weight_decay scheduled_sampling.probability
        scheduler.final_share scheduler.hold_share scheduler.warmup_steps search.coverage_weight
        search.ctc_weight search.diversity search.language_model_weight search.length_bonus
        search.length_penalty search.min_length search.no_repeat_ngram search.seed seed
        trainer.gradient_clip_val trainer.limit_val_batches trainer.num_sanity_val_steps
    """,
    "True": """
        attention.agent callbacks.best_checkpoint.auto_insert_metric_name
        callbacks.best_checkpoint.enable_version_counter callbacks.early_stopping.strict
        callbacks.last_checkpoint.enable_version_counter data.mirror data.restval
        decoder.attention_on_attention decoder.deep_output decoder.gate decoder.second_look encoder.layer_norm
        encoder.mix encoder.pretrained encoder.streams.what.pretrained encoder.streams.where.pretrained
        optimizer.fused trainer.enable_model_summary
    """,
    "[]": """
        data.held_out encoder.distortion.speeds encoder.front_end.speeds encoder.keys encoder.layers encoder.values
        search.forbidden search.forced_words
    """,
    "'x'": """
        cache_dir
        callbacks.attention_maps.run_dir callbacks.best_checkpoint.dirpath
        callbacks.best_checkpoint.filename callbacks.interrupted.path callbacks.interrupted.run_dir
        callbacks.last_checkpoint.dirpath callbacks.last_checkpoint.filename callbacks.skipped_files.run_dir
        data.cache_dir data.captions data.entities data.images data.root data.source_language
        data.target_language data.test data.train data.val encoder.front_end.noise.recordings.folder
        encoder.front_end.reverberation.recordings.folder encoder.layer encoder.weights
        logger.files.save_dir logger.tensorboard.name logger.tensorboard.save_dir logger.wandb.name
        logger.wandb.project logger.wandb.save_dir name data.word_times search.prefix
    """,
    "[1, 'x']": """
        search.forbidden search.forced_words
    """,
}
"""The settings that each of ``WRONG``, as Python writes it, makes sense for."""


class Accepted(Exception):
    """Raised in place of reading data."""


LEAST = {
    **{"attention": 730, "decoder": 270, "encoder": 1000, "metrics": 30, "optimizer": 60, "scheduler": 60},
    **{"search": 360, "tokenizer": 70, "data": 610, "objective": 350, "callbacks": 410, "logger": 90},
    **{"language_model": 100, "": 220},
}
"""How many values are tried of each group at least; no group: of train.yaml and the trainer.

An argument is tried once for each class that has it. The decoders of three papers are one class, so that their group
is smaller than the number of its yamls. ``run_dir`` is not tried: a command takes it from Hydra alone.
"""


def test_the_number_of_cases_is_what_the_page_says(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    found = re.search(r"`tests/runs/test_bad_settings.py` \| at least ([\d,]+) \|", page)
    assert found is not None
    assert int(found[1].replace(",", "")) <= sum(LEAST.values())


def configurations(group: str) -> Iterator[list[str]]:
    """Overrides of a configuration for each yaml of a group."""
    always = {"objective": "cross_entropy,", "callbacks": "", "logger": ""}
    if group == "":
        yield from ([], ["trainer=ddp"])
    elif group in always:
        for path in sorted((CONF / group).glob("*.yaml")):
            yield [f"{group}=[{path.stem if path.stem in always[group] else always[group] + path.stem}]"]
    elif group == "language_model":
        for path in sorted((CONF / group).glob("*.yaml")):
            yield ["experiment=language_model", f"language_model={path.stem}", "data.train=a", "data.val=b"]
    else:
        for path in sorted((CONF / group).glob("*.yaml")):
            overrides = [f"{group}={path.stem}"]
            if group == "encoder" and path.stem.startswith("text"):
                overrides += [TEXT[1], "data=dates"]
            elif group == "encoder" and path.stem.startswith(SPEECH):
                overrides.append("data=spoken")
            elif group == "data":
                lines = path.read_text().splitlines()
                overrides += [f"data.{line.partition(':')[0]}=nowhere" for line in lines if ": ???" in line]
                if "sample_rate:" in path.read_text() and "image_size" not in path.read_text():
                    overrides.append("encoder=pyramid_lstm")
                elif "image_size" not in path.read_text():
                    overrides += TEXT
            yield overrides


def settings(group: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each argument of each class once, or each key where classes share it: a configuration and the key."""
    seen = set()
    for overrides in configurations(group):
        config = plain(compose("train", [*overrides, "run_dir=a", "cache_dir=b"]))
        if "encoder" in config:
            config["encoder"] = with_files(config["encoder"])
            kind: Any = find("encoder", config["encoder"]["_target_"], Encoder)
            config["encoder"] = kind.without_download(config["encoder"])
        if group == "decoder":  # what others of the group have and this one leaves out, whatever its value
            kind = find("decoder", config["decoder"]["_target_"], Decoder)
            taken = {"_target_", *parameters(kind)}
            config["decoder"] = {key: value for key, value in config["decoder"].items() if key in taken}
        shared = ("monitor", "scheduled_sampling", "trainer", "seed", "name", "cache_dir", "resume", "init_from")
        for key, _ in leaves({group: config[group]} if group else {name: config[name] for name in shared}):
            parent = select(config, key.rpartition(".")[0]) if "." in key else {}
            owner = "" if group in ("search", "data") and not key.endswith("_target_") else parent.get("_target_")
            if (owner, key) not in seen:
                seen.add((owner, key))
                yield config, key


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def accept(*_: Any) -> None:
        raise Accepted

    monkeypatch.setattr(training, "_build", accept)
    for name in ("", "pytorch_lightning", "multimodal_attn"):
        caplog.set_level(logging.ERROR, name)


@pytest.mark.parametrize("group", list(LEAST))
def test_a_value_that_makes_no_sense_is_refused_by_its_key(group: str, tmp_path: Path) -> None:
    """Also the other way round: what makes sense is accepted."""
    folder, count = tmp_path / "run", 0
    for config, key in settings(group):
        for value in WRONG:
            count += 1
            case = deepcopy(config)
            update(case, key, value)
            if (value is None and key in ("decoder.embedding_dim", "encoder.dim")) or (
                value == -1 and key == "encoder.trainable_from"
            ):
                continue  # makes sense for some classes
            sensible = key in SENSIBLE.get(repr(value), "").split()
            with pytest.raises(Accepted if sensible else ValueError) as error:
                training.train(case, folder)
            message = str(error.value)
            assert sensible or key.removesuffix("._target_") in message, (key, value, message)
            assert sensible or "expected" in message or "Trainer" in message, (key, value, message)
            assert "\n" not in message, (key, value, message)
            assert sensible or not folder.exists(), (key, value)
            shutil.rmtree(folder, ignore_errors=True)
    assert count >= LEAST[group]


@pytest.mark.parametrize("name", ["plugins", "callbacks", "logger", "default_root_dir", "use_distributed_sampler"])
def test_what_a_training_gives_to_its_trainer_cannot_be_set(name: str, tmp_path: Path) -> None:
    config = plain(compose("train", ["run_dir=a", "cache_dir=b"]))
    update(config, f"trainer.{name}", ["x"])
    with pytest.raises(ValueError, match=rf"^trainer.{name}: \['x'\]; expected no value"):
        training.train(config, tmp_path / "run")
