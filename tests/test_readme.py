"""The commands that README and docs show are commands that exist."""

from __future__ import annotations

import importlib
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import pytest
import torch
import yaml
from PIL import Image

from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.runs.configuration import compose, in_full
from multimodal_attn.types import DecoderOutput, Grid
from tests.commands.process import forked
from tests.contracts.parts import memory, texts

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
    *(f"conf/experiment/{page.name}" for page in sorted((ROOT / "conf/experiment").glob("*"))),
]


def commands() -> list[str]:
    """Every ``python ...`` line of the pages, without its comment."""
    found = []
    for page in PAGES:
        for line in (ROOT / page).read_text().splitlines():
            if match := re.match(
                r"(?:# )?(python (?:train|evaluate)\.py .*|python -m multimodal_attn .*)", line.strip()
            ):
                found.append(re.split(r"\s+#|, or python| --help| --cfg", match[1])[0].strip().rstrip(","))
    return sorted(set(found))


def test_there_are_commands() -> None:
    assert len(commands()) > 8


@pytest.mark.parametrize("command", [c for c in commands() if ".py" in c and "mine/" not in c])
def test_hydra_commands_compose(command: str) -> None:
    _, script, *arguments = shlex.split(command)
    # The first choice of a sweep; commas in brackets belong to a list.
    overrides = [re.split(r",(?![^\[]*\])", a)[0] if "-m" in arguments else a for a in arguments if a != "-m"]
    overrides = [a.replace("glob(*)", "dot") for a in overrides]
    compose(Path(script).stem, in_full(overrides, Path(script).stem))


def test_parts_of_a_folder_of_ones_own_compose(mine: Path) -> None:
    """Every command with ``--config-dir mine/conf``, as Hydra adds that folder."""
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    found = re.findall(r"^python train\.py --config-dir mine/conf (.*)$", text, re.M)
    assert len(found) == 5
    for overrides in found:
        with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            hydra.compose("train", [f"hydra.searchpath=[file://{mine / 'conf'}]", *overrides.split()])


def package_commands() -> dict[str, set[str]]:
    """What documents call of ``python -m multimodal_attn``, with the options that they give it."""
    found: dict[str, set[str]] = {}
    for _, _, _, name, *arguments in (shlex.split(c) for c in commands() if " -m multimodal_attn" in c):
        found.setdefault(name, set()).update(a.partition("=")[0] for a in arguments if a.startswith("--"))
    return found


@pytest.mark.parametrize("subcommand", sorted(package_commands()))
def test_package_commands_exist(subcommand: str) -> None:
    shown = forked(subcommand, "--help")
    assert shown.returncode == 0, shown.stderr
    assert {option for option in package_commands()[subcommand] if option not in shown.stdout} == set()


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder ``mine`` of docs/extending.md: every block that has a line with a file's name above it."""
    folder = tmp_path_factory.mktemp("extending")
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"^`(mine/\S+)`\n\n```\w+\n(.*?)^```$", text, re.M | re.S):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder / "mine"


def node_of(mine: Path, group: str, name: str) -> dict[str, Any]:
    return yaml.safe_load((mine / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8"))


def class_of(node: dict[str, Any]) -> Any:
    """What a yaml of the page names, from the page's file."""
    module, _, name = node["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_every_file_of_the_page_is_a_class_and_a_yaml(mine: Path) -> None:
    assert len(list(mine.glob("*.py"))) == 6
    assert len(list(mine.glob("conf/*/*.yaml"))) == 5  # a chart has none


def test_the_attention_of_the_docs_reads_real_positions_step_by_step(mine: Path) -> None:
    node = node_of(mine, "attention", "cosine")
    attention = partial(class_of(node), sharpness=node["sharpness"])
    decoder = RecurrentDecoder(attention, memory_dim=20, vocab_size=11, embedding_dim=8, hidden_dim=16).eval()
    (tokens, mask), read = texts(), memory()
    weights = decoder(tokens, mask, read).weights
    torch.testing.assert_close(weights.sum(-1)[mask[..., 1:]], torch.ones(int(mask[..., 1:].sum()), 1))
    assert not weights.masked_select(~read.mask[:, None, None, None]).any()
    source = decoder.prepare(read)
    _, _, step = decoder.step(tokens[..., 0], decoder.start(source, tokens.shape[1]), source)
    real = mask[..., 1]
    torch.testing.assert_close(step.weights[real], weights[:, :, 0][real])


def test_the_encoder_of_the_docs_fills_its_grid(mine: Path) -> None:
    make = class_of(node_of(mine, "encoder", "patches"))
    encoder = make(image_size=32, patch=8, dim=20)
    found = encoder(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8), torch.ones(2, dtype=torch.long))
    assert found.states.shape == (2, 16, 20)
    assert found.mask.all()
    assert found.layout == Grid(4, 4)
    with pytest.raises(ValueError, match=r"encoder\.patch: 7; expected a divisor"):
        make(image_size=32, patch=7)


def test_the_data_set_of_the_docs_lists_what_it_cannot_use(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (9, 5), "red").save(tmp_path / "photos/a.png")
    lines = ("a.png\tA red field.", "a.png\tRed!", "gone.png\tNothing.")
    (tmp_path / "train.tsv").write_text("\n".join(lines), encoding="utf-8")
    dataset = class_of(node_of(mine, "data", "tab_captions"))("train", tmp_path, image_size=8)
    assert len(dataset) == 1
    assert dataset[0].source.shape == (3, 8, 8)
    assert dataset.texts() == ["a red field", "red"]
    assert "gone.png" in str(dataset.skipped[0])


def test_the_objective_of_the_docs_is_small_for_sharp_weights(mine: Path) -> None:
    node = node_of(mine, "objective", "sharpness")["sharpness"]
    objective = class_of(node)(weight=node["weight"])
    mask = torch.tensor([[[True, True, False]]])
    for share, expected in ((1.0, 0.0), (0.5, 0.5)):
        weights = torch.tensor([share, 1 - share]).expand(1, 1, 3, 1, 2)
        output = DecoderOutput(torch.zeros(2, 5), torch.zeros(2, dtype=torch.long), weights, mask)
        torch.testing.assert_close(objective(None, None, memory(), output), torch.tensor(expected))


def test_the_score_of_the_docs_compares_with_the_nearest_reference(mine: Path) -> None:
    config = node_of(mine, "metrics", "length_score")
    scores = class_of(config["metrics"])()
    assert scores(["a b c", "a"], [["a b", "a b c d e"], ["a"]]) == {"length_error": 0.5}
    assert config["monitor"] == {"name": f"val/{scores.monitor}", "mode": "min"}
    assert [(found.name, found.better) for found in scores.measures] == [(scores.monitor, "lower")]


def test_the_chart_of_the_docs_has_a_bar_for_each_token(mine: Path) -> None:
    chart = importlib.import_module("mine.confidence").confidence
    found = chart(SimpleNamespace(log_probs=[0.0, math.log(0.5)]))
    assert (found.script, found.data) == ("bars", [1.0, 0.5])
    assert chart(SimpleNamespace(log_probs=[])) is None


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks", "docs"])
def test_prose_has_short_lines(page: str) -> None:
    """Lines to 120 characters; rows of a table are as wide as they must be."""
    pages = sorted((ROOT / page).glob("*.md")) if (ROOT / page).is_dir() else [ROOT / page]
    lines = [(file.name, line) for file in pages for line in file.read_text(encoding="utf-8").splitlines()]
    assert not [(name, line) for name, line in lines if len(line) > 120 and not line.startswith("|")]


def test_help_is_quick_to_import_and_lists_the_groups() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "train.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    for group in ("attention", "data", "decoder", "encoder", "experiment", "objective", "search", "tokenizer"):
        assert re.search(rf"^{group}: ", shown.stdout, re.M), group
    assert "torch" not in {line.rsplit("|", 1)[1].strip() for line in shown.stderr.splitlines() if "|" in line}
