"""Parts by name: from a node of a configuration to an object of the kind that its slot wants.

A node is a plain dictionary: ``_target_`` names a class, everything else is an argument of its constructor. A slot
wants one kind of part: where ``encoder`` stands, only subclasses of ``Encoder`` are built, and never a function. Names
outside of this package are refused unless the caller trusts their package: what the user's own command line or
configuration folder names is trusted, what a checkpoint names is not.

Constructors say the types and ranges of their arguments in annotations (``ranges.py``); every value is checked against
them before anything is built.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import math
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

import pydantic

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")

Place = tuple[int | str, ...]  # indices and names that lead into a value

EVERYTHING: tuple[str, ...] = ("",)
"""Trusts every package: of what the user's own command line or configuration folder names."""
OWN_PACKAGE = "multimodal_attn"

_NEAR = 0.8  # likeness from which an unknown setting is taken for a misspelled one


@dataclass(frozen=True)
class Part(Generic[Kind]):
    """A class with its settings, checked, that waits for what only its user knows, such as the width of a memory.

    Attributes:
        key: of the node in the configuration; names it in errors.
        make: the class.
        settings: arguments of its constructor.
    """

    key: str
    make: Callable[..., Kind]
    settings: Mapping[str, Any]

    def takes(self, name: str) -> bool:
        """Whether the constructor has an argument of this name."""
        return name in parameters(self.make)

    def with_settings(self, **settings: Any) -> Part[Kind]:
        """The same part with further arguments."""
        return replace(self, settings={**self.settings, **settings})

    def __call__(self, **given: Any) -> Kind:
        """Builds it.

        Raises:
            ValueError: if an argument is missing, or the constructor refuses a value.
        """
        required = (name for name, p in parameters(self.make).items() if p.default is inspect.Parameter.empty)
        if missing := [name for name in required if name not in self.settings and name not in given]:
            raise ValueError(f"{self.key}.{missing[0]}: missing; {_name(self.make)} needs a value for it")
        return self.make(**{**self.settings, **given})


def part(
    key: str,
    node: Any,
    kind: type[Kind] | Callable[..., Kind],
    trust: Collection[str] = (),
    given: Collection[str] = (),
    ranges: Mapping[type, Mapping[str, Any]] | None = None,
) -> Part[Kind]:
    """The part that a node describes, with every value checked.

    Args:
        key: of the node in the configuration.
        node: plain containers.
        kind: base class of what the slot takes. A function instead of a class admits the functions of its module.
        trust: packages whose classes are allowed beside this one's; ``EVERYTHING`` for all.
        given: arguments that its user passes later; a node may not set them.
        ranges: annotations in place of a class's own, by the name of the argument.

    Raises:
        ValueError: names the key and what was expected.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise ValueError(f"{key}: {_shown(node)}; expected settings with a _target_, the name of a class")
    make = find(key, node["_target_"], kind, trust)
    known = parameters(make)
    # A class from elsewhere may hand what it does not know to another: W&B's logger to wandb.init.
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(make).parameters.values())
    stricter = (ranges or {}).get(typing.cast(type, make), {})
    settings: dict[str, Any] = {}
    for name, value in node.items():
        if name == "_target_":
            continue
        if name in given:
            raise ValueError(f"{key}.{name}: {_shown(value)}; expected no value, as it follows from other parts")
        if name in known:
            settings[str(name)] = checked(f"{key}.{name}", value, stricter.get(name, known[name].annotation), trust)
        elif not takes_any and (near := difflib.get_close_matches(str(name), known, 1, _NEAR)):
            raise ValueError(f"{key}.{name}: {_name(make)} has no such setting; did you mean {key}.{near[0]}?")
        elif takes_any:
            settings[str(name)] = value
        else:
            log.warning("%s.%s: %s has no such setting, so it is left out", key, name, _name(make))
    return Part(key, make, settings)


def find(key: str, target: Any, kind: Any, trust: Collection[str] = ()) -> Callable[..., Any]:
    """The class that a node names.

    Raises:
        ValueError: if it does not exist, is of another kind, or its package is not trusted.
    """
    if not isinstance(target, str):
        raise ValueError(f"{key}: {_shown(target)} for a _target_; expected the name of {_wanted(kind)}")
    module_name, _, name = target.rpartition(".")
    if not _trusted(module_name, trust):
        raise ValueError(
            f"{key}: {target!r} is not of this package; say trust=[{target.partition('.')[0]}] if you know where it"
            " comes from, as it can do whatever you can"
        )
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name and not f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f"{key}: {target!r} needs {error.name}, which is not installed") from None
        raise ValueError(f"{key}: {target!r} does not exist; expected the name of {_wanted(kind)}") from None
    except (AttributeError, ImportError, ValueError, TypeError) as error:
        raise ValueError(f"{key}: {target!r} does not exist ({error}); expected {_wanted(kind)}") from None
    # By where it is defined, not by a name that some module happens to import.
    right_kind = (
        isinstance(found, type) and issubclass(found, kind)
        if isinstance(kind, type)
        else (inspect.isfunction(found) and inspect.isfunction(kind) and found.__module__ == kind.__module__)
    )
    if not right_kind or inspect.isabstract(found) or not _trusted(found.__module__, trust):
        raise ValueError(f"{key}: {target!r} is not {_wanted(kind)}")
    return typing.cast(Callable[..., Any], found)


@contextmanager
def within(key: str) -> Iterator[None]:
    """Errors name the whole key of a part that stands in another one; by itself, a part knows no more than its slot."""
    try:
        yield
    except ValueError as error:
        slot, message = key.partition(".")[0], str(error)
        if not message.startswith(f"{slot}.") or message.startswith(f"{key}."):
            raise
        raise ValueError(f"{key}{message.removeprefix(slot)}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings, such as of settings left out: they are told where a run is trained, and once."""
    package = logging.getLogger(OWN_PACKAGE)
    level = package.level
    package.setLevel(logging.ERROR)
    try:
        yield
    finally:
        package.setLevel(level)


def checked(key: str, value: Any, annotation: Any, trust: Collection[str] = ()) -> Any:
    """A value as an argument's annotation wants it: numbers in their range, nodes with a ``_target_`` as parts.

    Raises:
        ValueError: names the key, the value and what was expected.
    """
    kinds = _classes_in(annotation)
    if isinstance(value, Mapping) and "_target_" in value:
        if not kinds:
            raise ValueError(f"{key}: expected a plain value, not a part of its own")
        with within(key):
            return part(key, value, kinds[0], trust)()
    if isinstance(value, Mapping) and kinds:
        return {name: checked(f"{key}.{name}", item, kinds[0], trust) for name, item in value.items() if item}
    if isinstance(value, list) and kinds and any(isinstance(item, Mapping) for item in value):
        return [checked(f"{key}[{number}]", item, kinds[0], trust) for number, item in enumerate(value)]
    if annotation is inspect.Parameter.empty:
        return value
    try:
        result = _adapter(annotation).validate_python(value)
    except pydantic.ValidationError as error:
        # Of the errors of a union, those that lie deepest: they are of the kind that the value was meant to be.
        places = [_place(problem["loc"], value) for problem in error.errors()]
        deepest = max(places, key=len)
        problems = [each for each, place in zip(error.errors(), places, strict=True) if place == deepest]
        reasons = " or ".join(dict.fromkeys(_reason(each) for each in problems))
        raise ValueError(f"{key}{_dotted(deepest)}: {_shown(problems[0]['input'])}; expected {reasons}") from None
    if (mistaken := _mistaken(value, result)) is not None:
        place, wrong, expected = mistaken
        raise ValueError(f"{key}{_dotted(place)}: {_shown(wrong)}; expected {expected}")
    return result


def parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The named arguments of a constructor or function, with their annotations evaluated."""
    return dict(_parameters(make))


@cache
def _parameters(make: Callable[..., Any]) -> tuple[tuple[str, inspect.Parameter], ...]:
    function = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # a class from elsewhere may name types that exist for a type checker only
        hints = {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(
        (name, parameter.replace(annotation=hints.get(name, inspect.Parameter.empty)))
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.kind in named
    )


@cache
def _adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(annotation, config=pydantic.ConfigDict(arbitrary_types_allowed=True))


def _classes_in(annotation: Any) -> list[type]:
    """Classes of parts that an annotation names, also inside of containers, ``| None`` and ``Callable[..., X]``."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        builtin = annotation.__module__ in ("builtins", "pathlib", "collections", "collections.abc", "typing")
        return [] if builtin else [annotation]
    return [found for argument in typing.get_args(annotation) for found in _classes_in(argument)]


def _trusted(module_name: str, trust: Collection[str]) -> bool:
    return any(not package or f"{module_name}.".startswith(f"{package}.") for package in (OWN_PACKAGE, *trust))


def _mistaken(value: Any, result: Any, place: Place = ()) -> tuple[Place, Any, str] | None:
    """Where a text became a number, or a truth value a count, or a text is empty: pydantic would let these pass.

    Returns the place, what stands there and what was expected; None if all is well.
    """
    if isinstance(value, list | tuple) and isinstance(result, list | tuple):
        pairs = [(index, *pair) for index, pair in enumerate(zip(value, result, strict=True))]
    elif isinstance(value, Mapping) and isinstance(result, Mapping):
        pairs = [(name, item, result[name]) for name, item in value.items() if name in result]
    else:
        pairs = []
    for step, one, other in pairs:
        if (found := _mistaken(one, other, (*place, step))) is not None:
            return found
    if isinstance(result, bool) != isinstance(value, bool) or (isinstance(value, str) and type(result) in _SCALARS):
        return place, value, _SCALARS.get(type(result), "another value")
    return (place, value, "a text that is not empty") if isinstance(value, str) and not value.strip() else None


def _place(steps: Sequence[int | str], value: Any) -> Place:
    """Those steps of pydantic's that lead into a value; the others name a member of a union."""
    place: list[int | str] = []
    for step in steps:
        inside = isinstance(value, Mapping) and step in value
        if inside or (isinstance(step, int) and isinstance(value, list | tuple) and step < len(value)):
            value = value[step]
            place.append(step)
    return tuple(place)


def _dotted(place: Place) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


def _name(make: Any) -> str:
    return getattr(make, "__name__", str(make))


def _wanted(kind: Any) -> str:
    return f"a class of the kind {kind.__name__}" if isinstance(kind, type) else f"a function of {kind.__module__}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_SCALARS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}
_REASONS = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "path": "a path",
    "list": "a list",
    "tuple": "a list",
    "sequence": "a list",
    "dict": "values with names",
    "mapping": "values with names",
    "none_required": "null",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} at most",
    "missing": "a value more",
    "literal_error": "{expected}",
    "value_error": "{error}",
}
"""pydantic's types of errors, or how their names begin, as the end of "expected ..."."""


def _reason(problem: Any) -> str:
    kind, limits = problem["type"], problem.get("ctx", {})
    if math.inf in (abs(limits.get(name, 0.0)) for name in ("gt", "lt")):
        return "a finite number"
    template = _REASONS.get(kind) or _REASONS.get(kind.partition("_")[0])
    return template.format(**limits) if template else problem["msg"].removeprefix("Input should be ")
