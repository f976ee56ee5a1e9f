"""A search from its node of the configuration."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.parts import Part, checked, parameters, part
from multimodal_attn.search.base import Search
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.scorers.base import Scorer

SLOTS: dict[str, type[Scorer] | type[Rule]] = {"scorers": Scorer, "rules": Rule}
"""Where the node names the parts of a search: ``search.scorers.ctc``, for example."""


def build_search(
    node: Mapping[str, Any],
    model: Seq2Seq,
    tokenizer: Tokenizer,
    trust: Collection[str] = (),
    load_language_model: Callable[[str], LanguageModel] | None = None,
) -> Search:
    """A search that is ready for a model.

    Args:
        node: see ``make_search``.
        model: that it will decode with.
        tokenizer: of the model.
        trust: packages whose classes are allowed beside this one's.
        load_language_model: see ``make_search``.

    Raises:
        ValueError: names the key and what was expected.
    """
    search = make_search(node, trust, load_language_model)
    search.prepare(model, tokenizer)
    return search


def make_search(
    node: Mapping[str, Any],
    trust: Collection[str] = (),
    load_language_model: Callable[[str], LanguageModel] | None = None,
) -> Search:
    """A search that knows no model yet.

    The settings of its scorers and rules stand beside its own: each goes to every part whose constructor has an
    argument of that name.

    Args:
        node: of ``conf/search``, plain containers.
        trust: packages whose classes are allowed beside this one's.
        load_language_model: takes what ``search.language_model`` names; None where no other run may be read.

    Raises:
        ValueError: names the key and what was expected.
    """
    settings = {key: value for key, value in node.items() if key not in ("_target_", *SLOTS)}
    if settings.get("language_model") is not None:
        if load_language_model is None:
            # A checkpoint would otherwise need the folder of another run to be read.
            raise ValueError("search.language_model: validation in training takes none; expected null, see evaluate.py")
        settings["language_model"] = load_language_model(settings["language_model"])
    search = part("search", {"_target_": node.get("_target_")}, Search, trust)
    parts = {
        slot: [
            part(f"search.{slot}.{name}", entry, kind, trust, given=settings)
            for name, entry in (node.get(slot) or {}).items()
            if entry
        ]
        for slot, kind in SLOTS.items()
    }
    for slot, found in parts.items():
        if found and not search.takes(slot):
            raise ValueError(f"search.{slot}: expected none, as this search takes no {slot}; or search=beam")
    _refuse_unknown(settings, [search, *parts["scorers"], *parts["rules"]])

    def made(which: Part[Any], **others: Any) -> Any:
        arguments = parameters(which.make)
        own = {
            key: checked(f"search.{key}", value, arguments[key].annotation, trust)
            for key, value in settings.items()
            if key in arguments
        }
        return which(**own, **others)

    return made(search, **{slot: [made(which) for which in found] for slot, found in parts.items() if found})


def _refuse_unknown(settings: Collection[str], parts: Collection[Part[Any]]) -> None:
    known = sorted(
        {name for which in parts for name in parameters(which.make) if name not in which.settings} - set(SLOTS)
    )
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean search.{near[0]}?" if near else f"expected some of {', '.join(known)}"
            raise ValueError(f"search.{key}: this search has no such setting; {hint}")
