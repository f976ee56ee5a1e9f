"""Configurations: where they lie, what the command line may say in short, and how they become plain containers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue, OmegaConfBaseException

from multimodal_attn.first_line import first_line

_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"
"""Inside of the package where it was installed from a wheel, beside it in a checkout."""

PART_GROUPS = ("attention", "decoder", "encoder", "language_model", "metrics", "search", "tokenizer")
"""Groups whose part may be named by its class: ``attention=mypkg.att.CosineAttention``."""

_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_OF_OWN_DATA = {"picture": "captions", "recording": "transcripts", "text": "translation"}
"""The experiment for one's own data, by what is read."""
_MOST_NAMED = 5  # choices in an error


def in_full(arguments: Sequence[str], name: str = "train") -> list[str]:
    """A command line as Hydra takes it, from what people may write in short.

    ``attention=mypkg.att.CosineAttention`` chooses a class in place of a yaml, and so does an item of
    ``objective=[cross_entropy,mypkg.Sharpness]``. Names of files need no quotation marks.

    Args:
        arguments: of the command line.
        name: of the command; ``data`` and ``live`` of an ``evaluate``, and of a run that is resumed, take new keys
            without a plus: they are those of that run.
    """
    full: list[str] = []
    given = {argument.partition("=")[0] for argument in arguments}
    if name == "evaluate" and "search" in given and "search_rules" not in given:
        full.append("search_rules=search")
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and value == "null" and (CONF / key.partition("@")[0]).is_dir():
            full.append(f"~{key}")
        elif equals and key in PART_GROUPS and _CLASS.fullmatch(value):
            full += [f"~{key}", f"++{key}._target_={value}"]
        elif equals and key == "objective" and value.startswith("[") and value.endswith("]"):
            names = [name.strip() for name in value[1:-1].split(",")]
            classes = [name for name in names if _CLASS.fullmatch(name)]
            full.append(f"objective=[{','.join(name for name in names if name not in classes)}]")
            full += [f"++objective.{_snake(name.rpartition('.')[2])}._target_={name}" for name in classes]
        elif equals and (name == "evaluate" or "resume" in given) and key.startswith(("data.", "live.")):
            full.append(f"++{argument}")
        else:
            full.append(argument)
    return [_quoted(argument) for argument in full]


def _quoted(argument: str) -> str:
    """An override whose value Hydra's grammar takes: names of files may have letters and marks that it does not know.

    What has a meaning there (what stands in quotation marks, lists, a sweep's commas, interpolations) stays as it is.
    """
    key, equals, value = argument.partition("=")
    if not equals or key.startswith("-") or value.startswith(("'", '"')) or set(value) & set("[]{},"):
        return argument
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        mark = '"' if "'" in value else "'"
        return f"{key}={mark}{value}{mark}" if mark not in value else argument
    return argument


def compose(name: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration that ``train.py`` or ``evaluate.py`` would have with these overrides.

    Only a command has a folder of its own to write into: elsewhere a run's is ``outputs/NAME``.

    Raises:
        ValueError: if Hydra refuses one.
    """
    outer = GlobalHydra.instance().hydra  # a command that composes a second configuration stays in its own
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
            config = hydra.compose(name, in_full(overrides, name))
            if name == "train" and OmegaConf.to_container(config)["run_dir"].startswith("${hydra:"):  # type: ignore[index, call-overload]
                config.run_dir = f"outputs/{config.name}"
            return config
    except (HydraException, OmegaConfBaseException) as error:
        raise refusal(error, name, overrides) from None
    finally:
        GlobalHydra.instance().hydra = outer


def choices(hydra: Any) -> dict[str, Any]:
    """The yaml that was chosen of each group, which a resumed run composes again.

    Args:
        hydra: Hydra's own settings of the command line (``HydraConfig.get()``).
    """
    found = {group: choice for group, choice in hydra.runtime.choices.items() if choice is not None}
    # Hydra does not write down what is chosen as a list, such as callbacks=[default,ema].
    for override in OverridesParser.create().parse_overrides(list(hydra.overrides.task)):
        value = None if override.is_sweep_override() or override.is_delete() else override.value()
        if isinstance(value, list) and (CONF / override.key_or_group).is_dir():
            found[override.key_or_group] = [str(name) for name in value]
    return {group: choice for group, choice in found.items() if not group.startswith("hydra/")}


def refusal(error: Exception, name: str, overrides: Sequence[str]) -> ValueError:
    """What Hydra has against a command line, in one sentence.

    Args:
        error: Hydra's, or OmegaConf's.
        name: of the configuration, such as "train".
        overrides: of the command line.
    """
    text = " ".join(str(error).partition("See https://")[0].split())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        there = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        near = difflib.get_close_matches(choice, there, 3, 0.5)
        wanted = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(there)}"
        return ValueError(f"{group}={choice}: there is no such choice; {wanted}")
    if found := re.match(r"Could not (?:override|delete|find|append) \D*'([^']+)'", text):
        key = found[1]
        others = [one for one in overrides if one.lstrip("+~").partition("=")[0] != key]
        known: Any = {}
        if len(others) < len(overrides):
            with suppress(ValueError):
                known = OmegaConf.to_container(compose(name, others))
        return ValueError(
            f"{key}: there is no such setting{_owners(key) or likely(key, known) or _adding(key, known, overrides)}"
        )
    if found := re.match(r"Error parsing override '(.*?)' (.*)", text):
        return ValueError(f"{found[1]}: is no override ({found[2].strip()}); expected KEY=VALUE")
    return ValueError(f"command line: {text}; expected KEY=VALUE, as --help shows")


def _owners(key: str) -> str:
    """Which choices of a group have a setting, as the end of a sentence."""
    group, _, setting = key.partition(".")
    texts = {path.stem: path.read_text() for path in sorted((CONF / group).glob("*.yaml"))} if setting else {}
    having = {name: re.search(rf"(?m)^{re.escape(setting)}: *(\?\?\?)?", text) for name, text in texts.items()}
    found = {name: line[1] for name, line in having.items() if line}
    owners = [name for name, missing in found.items() if missing] or list(found)  # those that ask for it first of all
    if not owners:
        return ""
    choosing = re.compile(rf"(?m)override /{group}: ({'|'.join(map(re.escape, owners))})\b")
    experiments = [
        path.stem for path in sorted((CONF / "experiment").glob("*.yaml")) if choosing.search(path.read_text())
    ]
    chosen = f", as in experiment={_some(experiments)}" if experiments else ""
    return f"; expected with {group}={_some(owners)}{chosen}"


def _adding(key: str, known: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """How to give a class an argument that its yaml does not list, as the end of a sentence."""
    section, mine = key.rpartition(".")[0], [one for one in overrides if one.partition("=")[0] == key]
    if not mine or not section or section not in {path.rpartition(".")[0] for path, _ in leaves(known)}:
        return ""
    return f"; an argument of its class that the yaml does not list takes a plus: +{mine[0]}"


def _some(names: Sequence[str]) -> str:
    shown = [*names[:_MOST_NAMED], *(["..."] if len(names) > _MOST_NAMED else [])]
    return ", ".join(shown)


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain containers, without references.

    Raises:
        ValueError: names a key that has no value, or refers to one that does not exist.
    """
    try:
        return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as error:
        key = str(getattr(error, "full_key", "") or "")
        raise ValueError(f"{key}: missing; expected a value, such as {key}=...") from None
    except InterpolationKeyError as error:
        reason = first_line(error)
        if "'data." in reason:
            raise ValueError(
                f"encoder: {reason}: these data are of another kind than the encoder reads; expected another encoder=,"
                f" or experiment={' or '.join(_OF_OWN_DATA.values())}"
            ) from None
        raise ValueError(f"{error.full_key}: {reason}; expected a value, or a key that exists") from None
    except OmegaConfBaseException as error:
        raise ValueError(f"config: {' '.join(str(error).split())}") from None


def wrong_kind(given: str, taken: str) -> ValueError:
    """Says that the data are of another modality than the encoder reads."""
    return ValueError(
        f"encoder: the data are {given}s, but the encoder takes {taken}s; expected experiment={_OF_OWN_DATA[given]}, or"
        " another encoder="
    )


def refuse_unknown(config: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuses sections that nothing reads, such as ``lr`` where ``optimizer.lr`` was meant.

    Raises:
        ValueError: names the likely key.
    """
    for key in config:
        if key not in known:
            raise ValueError(f"{key}: there is no such setting{likely(key, config, known)}")


def require(config: Mapping[str, Any], keys: Collection[str]) -> None:
    """Refuses a configuration without these; a group that was switched off with ``null`` is not there.

    Raises:
        ValueError: names the key and what it may be.
    """
    for key in keys:
        try:
            found = select(config, key)
        except KeyError:
            found = None
        if found is None:
            names = sorted(path.stem for path in (CONF / key).glob("*.yaml"))
            wanted = f"{key}=NAME, one of {', '.join(names)}" if names else "a value"
            raise ValueError(f"{key}: none given; expected {wanted}")


def likely(key: str, config: Mapping[str, Any], known: Collection[str] = ()) -> str:
    """What a key that does not exist was probably meant to be, as the end of a sentence."""
    name = key.rpartition(".")[2]
    keys = [path for path, _ in leaves(config) if path != key]
    same = [path for path in keys if path.rpartition(".")[2] == name]
    near = difflib.get_close_matches(key, [*keys, *known], 1, 0.75)
    meant = same or near
    return f"; did you mean {meant[0]}?" if meant else ""


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below a node of plain containers, with its dotted key."""
    if isinstance(node, Mapping) and node:
        for name, value in node.items():
            yield from leaves(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, node


def select(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key.

    Raises:
        KeyError: if there is none.
    """
    node: Any = config
    for name in key.split("."):
        if not isinstance(node, Mapping):
            raise KeyError(key)
        node = node[name]
    return node


def update(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value of a dotted key, in place."""
    *path, last = key.split(".")
    node = config
    for name in path:
        node = node.setdefault(name, {})
    node[last] = value


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
