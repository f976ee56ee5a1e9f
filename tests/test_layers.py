"""Holds the order of the rooms: who may import whom, read from the source without running it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = "multimodal_attn"
FOUNDATION = {"first_line", "optional_packages", "types", "masking", "acoustics", "onnx_session"}
# From the bottom up: a room may import itself and every room above it in this list, but data and models do not know
# each other. Lazy imports and those for type checking count as well.
ORDER = (
    "first_line",
    "optional_packages",
    "writing",
    "ranges",
    "parts",
    "types",
    "measure_rows",
    "measures",
    "masking",
    "acoustics",
    "onnx_session",
    "distributed",
    "machine",
    "processes",
    "command_lines",
    "data",
    "models",
    "search",
    "prediction",
    "runtime",
    "serving",
    "export",
    "evaluation",
    "inspection",
    "demo",
    "tracking",
    "training",
    "runs",
    "commands",
    "__main__",
    "__init__",  # the face of the house: what it offers is imported when it is asked for
)
MAY_IMPORT: dict[str, set[str]] = {room: set(ORDER[:number]) for number, room in enumerate(ORDER)}
MAY_IMPORT["models"] -= {"data"}
FRAMEWORKS = {"lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb", "matplotlib"}
TORCH_ONLY = FOUNDATION | {"models", "search"}


def room_of(parts: tuple[str, ...]) -> str | None:
    """The room of a module, given its path below the package: ``("data", "text")`` is in ``data``."""
    for length in (2, 1):
        room = "/".join(parts[:length])
        if len(parts) >= length and room in MAY_IMPORT:
            return room
    return None


def imported_modules(tree: ast.Module, package: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
    """The line and full dotted name of everything that a module imports; ``package`` resolves relative imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, tuple(alias.name.split("."))) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # `from package import room` names the room only in the alias.
            found += [(node.lineno, (*base, alias.name)) for alias in node.names]
    return sorted(set(found))


def offences(root: Path) -> list[str]:
    """``file:line: what is wrong`` for every import below ``root``/multimodal_attn that the table does not allow."""
    lines = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        room = room_of(parts)
        if room is None:
            lines.append(f"{name}:1: {parts[0]} is no room of the table in tests/test_layers.py")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=name)
        for line, module in imported_modules(tree, (PACKAGE, *parts[:-1])):
            if module[0] in FRAMEWORKS and room in TORCH_ONLY:
                lines.append(f"{name}:{line}: {room} may not import {module[0]}")
            if module[0] == PACKAGE and len(module) > 1:
                target = room_of(module[1:])
                if target is None:
                    lines.append(f"{name}:{line}: {'.'.join(module)} is in no room of the table")
                elif target not in MAY_IMPORT[room] | {room}:
                    lines.append(f"{name}:{line}: {room} may not import {target}")
    return list(dict.fromkeys(lines))  # one line may import several names of a room


def test_rooms_import_only_from_rooms_above_them(repository: Path) -> None:
    assert (repository / PACKAGE / "types.py").is_file()
    found = offences(repository)
    assert not found, "imports against the order of the rooms:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        (
            "models/a.py",
            "import torch\n\nfrom multimodal_attn.data.reading.text import x\n",
            ["3: models may not import data"],
        ),
        ("models/a.py", "import torch\nfrom torch import nn\nfrom multimodal_attn.types import Memory\n", []),
        ("data/a.py", "def f():\n    from multimodal_attn import models\n", ["2: data may not import models"]),
        ("data/datasets/a.py", "from ...search import beam\n", ["1: data may not import search"]),
        ("data/datasets/a.py", "from ..text import normalize_caption\nfrom . import shapes\n", []),
        ("models/a.py", "import matplotlib.pyplot as plt\n", ["1: models may not import matplotlib"]),
        ("search/a.py", "from pytorch_lightning import Trainer\n", ["1: search may not import pytorch_lightning"]),
        ("search/a.py", "import multimodal_attn.inspection.page.page\n", ["1: search may not import inspection"]),
        ("training/callbacks/a.py", "from multimodal_attn import inspection, tracking, evaluation\n", []),
        ("inspection/record.py", "from multimodal_attn.evaluation.attention.scores import x\n", []),
        (
            "inspection/page.py",
            "from multimodal_attn import tracking\n",
            ["1: inspection may not import tracking"],
        ),
        ("prediction/a.py", "from multimodal_attn import models, runs\n", ["1: prediction may not import runs"]),
        (
            "types.py",
            "from multimodal_attn.nowhere import x\n",
            ["1: multimodal_attn.nowhere.x is in no room of the table"],
        ),
        ("data/a.py", "from multimodal_attn.search import beam, greedy\n", ["1: data may not import search"]),
        ("helpers.py", "", ["1: helpers is no room of the table in tests/test_layers.py"]),
    ],
)
def test_an_offending_import_is_found_with_its_line(
    tmp_path: Path, path: str, source: str, expected: list[str]
) -> None:
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert offences(tmp_path) == [f"{PACKAGE}/{path}:{line}" for line in expected]
