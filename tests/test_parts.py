"""Parts by name: what a slot takes, what it refuses, and how a wrong value is told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from torch import nn

from multimodal_attn.models.attention.base import Attention
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.parts import EVERYTHING, checked, part
from multimodal_attn.ranges import Count, DropoutRate, Finite, NotNegative, Positive, Share, WholeNumber
from multimodal_attn.training.optimizers import adamw

ADDITIVE = {"_target_": "multimodal_attn.models.attention.additive.AdditiveAttention"}
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, Count, 3),
        (1e3, Count, 1000),
        (None, Count | None, None),
        (0, WholeNumber, 0),
        (1, Share, 1.0),
        (-2.5, Finite, -2.5),
        ([1, 2], tuple[Count, Count], (1, 2)),
        ([0.1, 2], list[Positive], [0.1, 2.0]),
        ({"train": 3}, dict[str, Count], {"train": 3}),
        ("mean", Literal["mean", "zeros"], "mean"),
        ("a/b", str | Path, "a/b"),
        (False, bool, False),
    ],
)
def test_a_value_in_its_range_passes(value: Any, annotation: Any, expected: Any) -> None:
    found = checked("key", value, annotation)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        *[(value, Count) for value in (0, -1, 2.5, NAN, INFINITY, "3", "many", True, None, [3], {})],
        *[(value, Share) for value in (-0.1, 1.1, NAN, INFINITY, "0.5", True, None)],
        *[(value, DropoutRate) for value in (1, 1.0, -0.1, NAN)],
        *[(value, Positive) for value in (0, -1, NAN, INFINITY, "1")],
        *[(value, NotNegative) for value in (-1e-9, NAN, INFINITY)],
        *[(value, Finite) for value in (NAN, INFINITY, -INFINITY, "x", None)],
        *[(value, tuple[Count, Count]) for value in ([1], [1, 2, 3], [1, 0], 1, None, "12")],
        *[(value, Literal["mean", "zeros"]) for value in ("means", 1, None, ["mean"])],
        *[(value, bool) for value in (1, 0, "true", None)],
        *[(value, str) for value in (1, None, ["a"], True)],
        *[(value, dict[str, Count]) for value in ({"train": 0}, {"train": "x"}, [3], 3)],
    ],
)
def test_a_wrong_value_is_named_with_its_key(value: Any, annotation: Any) -> None:
    with pytest.raises(ValueError, match=r"^decoder\.width[^ ]*: .*; expected .") as error:
        checked("decoder.width", value, annotation)
    assert "\n" not in str(error.value)


def test_the_place_in_a_list_or_mapping_is_named() -> None:
    with pytest.raises(ValueError, match=r"^speeds\[1\]: 0; expected more than 0"):
        checked("speeds", [0.9, 0], list[Positive])
    with pytest.raises(ValueError, match=r"^num_examples\.val: -3; expected"):
        checked("num_examples", {"train": 1, "val": -3}, dict[str, Annotated[int, Ge(0)]])


def test_a_part_waits_for_its_widths() -> None:
    found = part("attention", {**ADDITIVE, "attention_dim": 8}, Attention)
    assert found.takes("query_dim")
    attention = found(query_dim=4, memory_dim=6)
    assert isinstance(attention, Attention)
    assert sum(p.numel() for p in attention.parameters()) == 6 * 8 + 8 + 4 * 8 + 8


def test_what_a_part_does_not_take_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        part("attention", {**ADDITIVE, "bandwidth": 3}, Attention)(query_dim=4, memory_dim=6)
    assert caplog.messages == ["attention.bandwidth: AdditiveAttention has no such setting, so it is left out"]


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValueError, match=r"attention\.atention_dim: .* did you mean attention\.attention_dim\?"):
        part("attention", {**ADDITIVE, "atention_dim": 3}, Attention)


def test_what_follows_from_other_parts_cannot_be_set() -> None:
    with pytest.raises(ValueError, match=r"attention\.query_dim: 3; expected no value"):
        part("attention", {**ADDITIVE, "query_dim": 3}, Attention, given=("query_dim",))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "pathlib.Path",
        "torch.nn.Linear",
        "multimodal_attn.data.loading.features.Path",
        "multimodal_attn.data.loading.features.Path.unlink",
        "multimodal_attn.parts.importlib",
        "multimodal_attn.parts.find",
        "multimodal_attn.models.encoders.base.Encoder",
        "multimodal_attn.models.attention.additive",
        "multimodal_attn.models.attention.additive.Nowhere",
        "multimodal_attn.nowhere.Nothing",
        "multimodal_attn.tracking.files.FileLogger",
        "multimodal_attnevil.Part",
        "multimodal_attn..models",
        "",
        ".",
        "Additive",
    ],
)
def test_only_classes_of_the_kind_that_a_slot_takes_are_built(target: str) -> None:
    with pytest.raises(ValueError, match=r"^attention: "):
        part("attention", {"_target_": target}, Attention)


@pytest.mark.parametrize(
    "node", [None, 3, "additive", [], {}, {"attention_dim": 3}, {"_target_": 3}, {"_target_": None}]
)
def test_a_node_names_a_class(node: Any) -> None:
    with pytest.raises(ValueError, match=r"attention: .*expected settings with a _target_"):
        part("attention", node, Attention)


def test_a_part_of_another_package_wants_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere_parts.py").write_text(
        "from multimodal_attn.models.attention.additive import AdditiveAttention\n"
        "class Own(AdditiveAttention):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "elsewhere_parts.Own"}
    with pytest.raises(ValueError, match=r"say trust=\[elsewhere_parts\]"):
        part("attention", node, Attention)
    for trust in (("elsewhere_parts",), EVERYTHING):
        assert part("attention", node, Attention, trust)(query_dim=2, memory_dim=2).key.in_features == 2
    with pytest.raises(ValueError, match=r"encoder: 'elsewhere_parts.Own' is not a class of the kind Encoder"):
        part("encoder", node, Encoder, EVERYTHING)


def test_trust_is_by_whole_names() -> None:
    with pytest.raises(ValueError, match="trust="):
        part("attention", {"_target_": "osmium.Thing"}, Attention, trust=("os",))


class Holder(nn.Module):
    """Takes parts as arguments."""

    def __init__(self, attention: Attention | None = None, many: list[Attention] | None = None) -> None:
        super().__init__()
        self.attention = attention


def test_a_nested_part_is_of_the_kind_that_the_argument_says() -> None:
    holder = {"_target_": f"{__name__}.Holder"}
    for settings in (
        {"attention": {"_target_": "multimodal_attn.tracking.files.FileLogger", "save_dir": "x"}},
        {"many": [{"_target_": "multimodal_attn.tracking.files.FileLogger", "save_dir": "x"}]},
    ):
        with pytest.raises(ValueError, match="is not a class of the kind Attention"):
            part("holder", {**holder, **settings}, Holder, (__name__,))
    with pytest.raises(ValueError, match="expected a plain value, not a part"):
        part("attention", {**ADDITIVE, "attention_dim": {"_target_": "os.system"}}, Attention)


def test_functions_are_taken_from_one_module_only() -> None:
    home = "multimodal_attn.training.optimizers"
    assert part("optimizer", {"_target_": f"{home}.adamw", "lr": 0.1}, adamw, given=("model",)).takes("lr")
    for target in (f"{home}.math", f"{home}.torch", "multimodal_attn.parts.find", "multimodal_attn.__main__.main"):
        with pytest.raises(ValueError, match=r"optimizer: .* is not a function of"):
            part("optimizer", {"_target_": target}, adamw)
