"""The commands that README and docs show are commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import yaml

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


@pytest.mark.parametrize("command", [c for c in commands() if ".py" in c])
def test_hydra_commands_compose(command: str) -> None:
    _, script, *arguments = shlex.split(command)
    # The first choice of a sweep; commas in brackets belong to a list.
    overrides = [re.split(r",(?![^\[]*\])", a)[0] if "-m" in arguments else a for a in arguments if a != "-m"]
    # A mechanism that docs/extending.md lets the reader add is not there yet.
    overrides = [a.replace("attention=cosine", "attention=dot").replace("glob(*)", "dot") for a in overrides]
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        hydra.compose(Path(script).stem, overrides)


@pytest.mark.parametrize("subcommand", sorted({shlex.split(c)[3] for c in commands() if " -m multimodal_attn" in c}))
def test_package_commands_exist(subcommand: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "multimodal_attn", subcommand, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "run" in shown
    options = {"predict": "--page", "transcribe": "--format", "compare": "--split", "shards": "--verify"}
    assert options[subcommand] in shown


def test_attention_of_the_docs_is_one_file_and_one_yaml(tmp_path: Path) -> None:
    """Runs the example of docs/extending.md as its reader would."""
    text = (ROOT / "docs/extending.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.S)
    config = re.search(r"```yaml\n(.*?)```", text, re.S)
    assert code
    assert config
    namespace: dict[str, object] = {"__name__": "cosine"}
    exec(compile(code[1], "cosine.py", "exec"), namespace)  # the reader's own file
    name = yaml.safe_load(config[1])["_target_"].rsplit(".", 1)[1]

    import torch

    from multimodal_attn.models.decoders import RecurrentDecoder
    from multimodal_attn.search import BeamSearch
    from tests.contracts.parts import memory, texts

    decoder = RecurrentDecoder(namespace[name], memory_dim=20, vocab_size=11, embedding_dim=8, hidden_dim=16).eval()  # type: ignore[arg-type]
    tokens, mask = texts()
    weights = decoder(tokens, mask, memory()).weights[mask[..., 1:]]
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert BeamSearch(2, max_length=5)(decoder, memory())[0]


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
