"""Where an evaluation lies: a folder for each choice of search, so that none takes the place of another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from multimodal_attn.runs.configuration import CONF

LIMITS = ("max_length", "max_length_ratio")
RULES = ("min_length", "forbidden", "no_repeat_ngram", "eos_threshold", "prefix", "forced_words", "max_attention_jump")
"""Settings of the search that are the run's where the command line says nothing; a rule that says nothing is off."""

_LONGEST = 100  # characters that tell searches apart; of longer ones a checksum does
_PARTS = ("scorers", "rules", "defaults")


def check_tag(tag: str) -> str:
    """A tag as it is, if it can be a part of a folder's name.

    Raises:
        ValueError: says what was expected.
    """
    if not re.fullmatch(r"[\w+=.-]*", tag):
        raise ValueError("letters, digits and any of _ + = . -")
    return tag


def inherited(rules: str) -> tuple[str, ...]:
    """Settings of the search that are the run's where an evaluation leaves them open (null).

    Args:
        rules: ``search_rules`` of the evaluation.
    """
    return (*LIMITS, *RULES) if rules == "run" else LIMITS


def folder_name(settings: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> str:
    """The name below ``<run>/evaluation/``: the split, and behind it what is not as ``evaluate.py`` does by itself.

    ``val``, ``val_greedy``, ``val_beam_width=10``, ``val_ensemble_last``; with ``tag=mine`` it is ``val_mine``.

    Args:
        settings: of ``conf/evaluate.yaml``.
        own: search of the run; what says the same as that is as usual.
    """
    if settings["tag"]:
        return f"{settings['split']}_{settings['tag']}"
    named = ["ensemble"] if settings["ensemble"] else []
    named += ["last"] if settings["checkpoint"] == "last" else []
    return "_".join([settings["split"], *named, *_of_search(settings["search"], settings["search_rules"], own or {})])


def _of_search(node: Mapping[str, Any], rules: str, own: Mapping[str, Any]) -> list[str]:
    """The yaml that a search is nearest to, and the values that differ from it or from the run's; nothing for the usual
    beam."""
    usual = {key: own.get(key) for key in inherited(rules)}
    node = {key: value for key, value in node.items() if key not in usual or (value or None) != (usual[key] or None)}
    searches = {path.stem: _defaults(path.stem) | usual for path in sorted((CONF / "search").glob("*.yaml"))}
    alike = {name: values for name, values in searches.items() if values["_target_"] == node.get("_target_")}
    name = str(node.get("_target_")).rpartition(".")[2]
    differing = {key: value for key, value in node.items() if key not in ("_target_", *_PARTS) and value is not None}
    if alike:
        found = [
            (len(changed), number, each, changed)
            for number, (each, values) in enumerate(alike.items())
            for changed in [{key: value for key, value in differing.items() if value != values.get(key)}]
        ]
        _, _, name, differing = min(found, key=lambda item: item[:2])
    words = [f"{key}={_short(value)}" for key, value in differing.items()]
    if not words and name == "beam" and rules == "run":
        return []
    text = "_".join([name, *words])
    return [text if len(text) <= _LONGEST else f"{text[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"]


def _defaults(name: str) -> dict[str, Any]:
    """The values of a yaml of ``conf/search``, those of its scorers and rules among them."""
    content = yaml.safe_load((CONF / "search" / f"{name}.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for item in content.pop("defaults", []):
        if isinstance(item, Mapping):
            for kind, parts in item.items():
                for part in parts:
                    found |= yaml.safe_load((CONF / "search" / kind / f"{part}.yaml").read_text(encoding="utf-8"))
        elif item != "_self_":
            found |= _defaults(item)
    return {key: value for key, value in (found | content).items() if key not in _PARTS}


def _short(value: Any) -> str:
    text = "+".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    return re.sub(r"[^\w+.-]", "-", text.rstrip("/").rpartition("/")[2])
