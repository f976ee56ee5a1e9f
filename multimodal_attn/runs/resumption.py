"""Going on with a run: what comes from its checkpoint, and what from the user's own configuration."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from multimodal_attn.parts import EVERYTHING
from multimodal_attn.prediction.checkpoint import read_run
from multimodal_attn.runs.configuration import CONF, compose, in_full, leaves, plain, select, update
from multimodal_attn.runs.data import from_here

log = logging.getLogger(__name__)

RESUMABLE = ("trainer.", "data.", "search.", "callbacks.attention_maps.", "run_dir", "cache_dir", "hydra.")
"""What a resumed run may change: nothing that a checkpoint restores, such as the optimizer's state, nor the model."""

LOCAL = ("trainer", "callbacks", "logger", "resume", "run_dir", "cache_dir")
"""Sections that act on this machine: they come from the configuration folder and the command line of whoever resumes.
Of a checkpoint's own, which may be a stranger's, only numbers and truth values are taken over."""

_NAME = re.compile(r"\w+(/\w+)*")
_PATHS = ("dirpath", "run_dir", ".path", "save_dir")  # a run may have been moved
_HARMLESS = {
    "trainer.accelerator": ("cpu",),  # any machine has one
    "trainer.precision": ("16-mixed", "bf16-mixed", "32-true", "64-true", "bf16-true"),
}


def resumed_settings(given: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The checkpoint's settings with the command line's values on top.

    Args:
        given: composed from the command line, with ``resume``, as plain containers.
        overrides: of the command line, such as ``trainer.max_epochs=20`` or ``+data.root=/elsewhere``.

    Raises:
        ValueError: if an override would exchange a part of the model, or change what the checkpoint itself restores.
    """
    checkpoint = read_run(given["resume"], "last", "resume")
    saved = checkpoint.config
    changes = [override for override in overrides if override.partition("=")[0] != "resume"]
    for override in changes:
        key = override.partition("=")[0].lstrip("+")
        if not key.startswith(RESUMABLE) or isinstance(_value(saved, key), Mapping):
            raise ValueError(
                f"{override}: a resumed run keeps its parts; only single values below {', '.join(RESUMABLE)} can change"
            )
    composed = compose("train", [*_choices(saved), *_monitor(saved), f"run_dir={given['run_dir']}"])
    for key in OmegaConf.missing_keys(composed):
        if not key.startswith(LOCAL):
            OmegaConf.update(composed, key, None)  # such as data.root: the checkpoint's own is used
    own = plain(composed)
    own |= {key: given[key] for key in ("run_dir", "cache_dir")} | {"resume": str(checkpoint.path)}
    resumed = {**{key: value for key, value in saved.items() if key not in LOCAL}}
    resumed |= {key: own[key] for key in LOCAL if key in own}
    if _value(saved, "data.cache_dir") is not None:
        update(resumed, "data.cache_dir", own["cache_dir"])
    for section in ("trainer", "callbacks"):
        for key, value in leaves({section: saved.get(section, {})}):
            _take_over(resumed, key, value)
    for override in changes:
        key = override.partition("=")[0].lstrip("+")
        if not key.startswith("hydra."):
            update(resumed, key, from_here(resumed, key, select(given, key), EVERYTHING))
    return resumed


def _take_over(resumed: dict[str, Any], key: str, value: Any) -> None:
    """Takes over what only numbers and switches something off; says what else differs."""
    try:
        own = select(resumed, key)
    except KeyError:
        section, _, _ = key.rpartition(".")
        known = section == "trainer" or (section.startswith("callbacks.") and _value(resumed, section) is not None)
        if known and isinstance(value, int | float):
            update(resumed, key, value)
        return
    numbers = isinstance(value, bool | int | float) and (own == "auto" or isinstance(own, bool | int | float | None))
    if value is None or numbers or value in _HARMLESS.get(key, ()):
        update(resumed, key, value)
    elif own != value and not key.endswith(_PATHS):
        log.warning("resume: %s is %r here and %r in the checkpoint; the one here is used", key, own, value)


def _choices(saved: Mapping[str, Any]) -> list[str]:
    """The checkpoint's choices of groups, as far as the local configuration folder has them."""
    found = []
    for group, choice in (saved.get("choices") or {}).items():
        names = choice if isinstance(choice, list) else [choice]
        if not _NAME.fullmatch(str(group)) or not all(isinstance(n, str) and _NAME.fullmatch(n) for n in names):
            continue
        if all((CONF / str(group) / f"{name}.yaml").is_file() for name in names):
            found.append(f"{group}=[{','.join(names)}]" if isinstance(choice, list) else f"{group}={choice}")
    return in_full(found)


def _monitor(saved: Mapping[str, Any]) -> list[str]:
    """What the checkpoint's run was judged by."""
    name, mode = _value(saved, "monitor.name"), _value(saved, "monitor.mode")
    if not (isinstance(name, str) and re.fullmatch(r"val/\w+", name) and mode in ("min", "max")):
        return []
    return [f"monitor.name={name}", f"monitor.mode={mode}"]


def _value(config: Mapping[str, Any], key: str) -> Any:
    try:
        return select(config, key)
    except KeyError:
        return None
