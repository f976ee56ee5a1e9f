"""From the keys of the command line to a search: what is wrong is named by its key, and parts come from anywhere."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from multimodal_attn.search import BeamSearch, Search
from multimodal_attn.search.build import build_search
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.search.scorers.ctc import CTCScorer
from multimodal_attn.types import EOS
from tests.contracts.parts import CONF, choices
from tests.search.scripted import Numbers, TableDecoder, TableLanguageModel, memory, model_of, node_of, search_of, table

SEARCHES = choices("search")
MODEL = model_of(TableDecoder(table(8, t1={4: 0.5, 5: 0.3, 6: 0.2}, t4={7: 0.6, EOS: 0.4}, t5={7: 1.0})))


class Likes(Scorer):
    """Likes one token, or dislikes it."""

    name = "likes"

    def __init__(self, token: int, weight: float = 1.0) -> None:
        self.token, self.weight = token, weight

    def of_candidates(self, tokens: Tensor, step: Step) -> Tensor:
        return self.weight * (tokens == self.token)


def with_scorers(name: str = "beam", **scorers: dict[str, object]) -> dict[str, object]:
    """The node of a search with further scorers of this file."""
    own = {key: {"_target_": f"{__name__}.Likes"} | settings for key, settings in scorers.items()}
    return node_of(name) | {"scorers": node_of(name).get("scorers", {}) | own}


class EvenLength(Rule):
    """Ends texts after an even number of tokens."""

    def apply(self, scores: Tensor, step: Step) -> None:
        if step.number % 2:
            scores[..., EOS] = -torch.inf


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_length", 0),
        ("max_length", -3),
        ("max_length", None),
        ("max_length_ratio", 0.0),
        ("min_length", -1),
        ("min_length", 2.5),
        ("no_repeat_ngram", -1),
        ("eos_threshold", 0.0),
        ("eos_threshold", float("nan")),
        ("forbidden", [[]]),
        ("forbidden", "5"),
    ],
)
def test_settings_out_of_range_name_their_key(name: str, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"search\.{key}[:\[].*expected"):
        search_of(name, **{key: value})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("beam", "width", 0),
        ("beam", "length_penalty", -1.0),
        ("beam", "length_bonus", float("inf")),
        ("beam", "ctc_weight", 1.0),
        ("beam", "ctc_weight", -0.1),
        ("beam", "ctc_candidates", 1),
        ("beam", "language_model_weight", 0.3),
        ("beam", "coverage_threshold", 0.0),
        ("beam", "max_attention_jump", 0),
        ("diverse_beam", "diversity", -1.0),
        ("sampling", "num_samples", 0),
        ("sampling", "temperature", 0.0),
        ("sampling", "top_p", 1.5),
        ("sampling", "top_p", 0.0),
        ("sampling", "seed", "one"),
    ],
)
def test_settings_of_one_search_name_their_key(name: str, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"search\.{key}: .*expected"):
        search_of(name, **{key: value})


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("beam", "ctc_wieght", r"search\.ctc_wieght: .* did you mean search\.ctc_weight\?"),
        ("greedy", "max_lenght", r"search\.max_lenght: .* did you mean search\.max_length\?"),
        ("greedy", "width", r"search\.width: this search has no such setting; expected some of .*min_length"),
    ],
)
def test_unknown_settings_are_refused(name: str, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_of(name, **{key: 3})


def test_what_the_model_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"search\.ctc_weight: 0\.3; this model was trained without CTC: expected 0"):
        search_of("beam", ctc_weight=0.3)


def test_language_model_is_read_by_whoever_may() -> None:
    node = node_of("beam") | {"language_model": "outputs/words", "language_model_weight": 0.5}
    with pytest.raises(ValueError, match=r"search\.language_model: validation in training takes none"):
        build_search(node, MODEL, Numbers())  # type: ignore[arg-type]
    asked = []

    def load(folder: str) -> TableLanguageModel:
        asked.append(folder)
        return TableLanguageModel(table(8, t1={6: 1.0}, t6={EOS: 1.0}))

    search = build_search(node, MODEL, Numbers(), load_language_model=load)  # type: ignore[arg-type]
    assert asked == ["outputs/words"]
    assert search(MODEL, memory())[0][0].tokens == [6]


@pytest.mark.parametrize("name", SEARCHES)
def test_what_is_off_is_left_out(name: str) -> None:
    search = search_of(name)
    assert search.rules == []
    assert not getattr(search, "scorers", [])


def test_own_parts_from_a_folder_of_configurations(tmp_path: Path) -> None:
    """``search=careful`` with ``--config-dir`` or, for one scorer, ``+search.scorers.likes={_target_: ...}``."""
    (tmp_path / "search").mkdir()
    (tmp_path / "search/careful.yaml").write_text(
        f"""
defaults: [beam, _self_]
scorers:
  likes: {{_target_: {__name__}.Likes, token: 5}}
rules:
  even: {{_target_: {__name__}.EvenLength}}
"""
    )
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = [f"hydra.searchpath=[file://{tmp_path}]", "search=careful", "search.width=2", "run=x"]
        node = OmegaConf.to_container(hydra.compose("evaluate", overrides).search)
    node = {key: value for key, value in node.items() if value is not None} | {"max_length": 9}  # type: ignore
    package = __name__.partition(".")[0]
    best = build_search(node, MODEL, Numbers(), trust=[package])(MODEL, memory())[0][0]  # type: ignore[arg-type]
    assert best.tokens == [5, 7]
    assert best.scores["likes"] == pytest.approx(1 / 3**0.7)
    with pytest.raises(ValueError, match=rf"search\.scorers\.likes: .*is not of this package; say trust=\[{package}\]"):
        build_search(node, MODEL, Numbers())  # type: ignore[arg-type]


def test_own_parts_take_their_settings_beside_them_or_as_keys_of_the_search() -> None:
    def build(node: dict[str, object]) -> Search:
        return build_search(node, MODEL, Numbers(), trust=["tests"])  # type: ignore[arg-type]

    best = build(with_scorers(likes={"weight": 3.0}) | {"token": 6})(MODEL, memory())[0][0]
    assert best.tokens == [6]
    with pytest.raises(ValueError, match=r"search\.scorers\.likes\.token: 5; expected no value"):
        build(with_scorers(likes={"token": 5}) | {"token": 6})
    with pytest.raises(ValueError, match=r"search\.scorers\.likes\.token: missing"):
        build(with_scorers(likes={}))
    with pytest.raises(ValueError, match=r"search\.scorers\.likes\.wieght: Likes has no such setting; did you mean"):
        build(with_scorers(likes={"token": 5, "wieght": 3.0}))


def test_each_slot_takes_its_kind() -> None:
    def build(node: dict[str, object]) -> Search:
        return build_search(node, MODEL, Numbers(), trust=["tests"])  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"search\.scorers\.even: .*is not a class of the kind Scorer"):
        build(with_scorers(even={"_target_": f"{__name__}.EvenLength"}))
    with pytest.raises(ValueError, match=r"search\.scorers: expected none, as this search takes no scorers"):
        build(with_scorers("greedy", likes={"token": 5}))
    with pytest.raises(ValueError, match=r"search: .*is not a class of the kind Search"):
        build({"_target_": f"{__name__}.Likes"})


def test_scorers_have_names_of_their_own_and_leave_the_decoder_a_share() -> None:
    with pytest.raises(ValueError, match=r"search\.scorers: decoder, likes, likes; expected a name of its own"):
        BeamSearch(scorers=[Likes(5), Likes(6)])
    greedy_for_more = Likes(5)
    greedy_for_more.decoder_share = 0.8
    with pytest.raises(ValueError, match=r"search\.scorers: ctc, likes leave no share to the decoder"):
        BeamSearch(scorers=[CTCScorer(0.3), greedy_for_more])
