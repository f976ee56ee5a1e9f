"""Every figure by name: what it is called, in what unit, which way is better, and what stands beside it.

Figures are plain numbers in a dictionary, in one scale everywhere: shares, error rates, BLEU, chrF and ROUGE-L are
fractions of 1 and CIDEr-D goes from 0 to 10, as the reference scorers of captions give them. ``shown`` makes texts of
them, in which shares are percent. A name that is not in the table is its own title, so that a score from elsewhere
needs no entry here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from multimodal_attn.measure_rows import BASELINES, HEADLINE, ROWS

Unit = Literal["share", "score", "number", "ms", "nats", "MB", "count"]
Better = Literal["higher", "lower"]
Group = Literal["texts", "live", "attention", "faithfulness", "other", "cost", "counts"]

GROUPS: dict[Group, str] = {
    "texts": "Texts",
    "live": "Live",
    "attention": "Attention",
    "faithfulness": "Faithfulness",
    "other": "Other figures",
    "cost": "Cost",
    "counts": "Counts",
}
"""Groups in the order in which they are shown, and their titles."""

NUM_HEADLINE = 8

BY_ALIGNER = "aligner_"
"""Begins the name of a figure whose true word times come from an aligner and not with the data."""


@dataclass(frozen=True)
class Measure:
    """What is known of a figure.

    Attributes:
        name: in metrics.json.
        title: for people.
        unit: a ``share`` is shown in percent, a ``score`` with three decimals, a ``count`` as an integer.
        better: which way; None where neither is.
        meaning: what it says, in a few words.
        group: where it stands.
        needs: what a run, its data or the command must have for it.
        baseline: name of the figure that it is read beside, or what chance gives.
        headline: its place among what a run is judged by, the lowest first; None if it is not one of these.
        detail: a baseline or a variant of another figure: left out where room is short.
    """

    name: str
    title: str
    unit: Unit = "score"
    better: Better | None = None
    meaning: str = ""
    group: Group = "texts"
    needs: str = ""
    baseline: str | float | None = None
    headline: int | None = None
    detail: bool = False


def measure(name: str, own: Iterable[Measure] = ()) -> Measure:
    """What is known of a figure; an unknown one has its name for a title.

    Args:
        name: of the figure.
        own: measures that a score from elsewhere declares; they go before the table.
    """
    if name.startswith(BY_ALIGNER):
        found = measure(name.removeprefix(BY_ALIGNER), own)
        baseline = BY_ALIGNER + found.baseline if isinstance(found.baseline, str) else found.baseline
        return replace(found, name=name, title=f"{found.title}, against an aligner", baseline=baseline)
    declared = {each.name: each for each in own}
    return declared.get(name) or MEASURES.get(name) or Measure(name, name, group="other")


def shown(name: str, value: float | None, own: Iterable[Measure] = ()) -> str:
    """A figure for people, with its unit; empty for None.

    >>> shown("wer", 0.0512), shown("num_examples", 5000.0), shown("cider_d", 0.4951), shown("onset_error_ms", 36.2)
    ('5.1 %', '5000', '0.495', '36 ms')
    """
    if value is None:
        return ""
    unit = measure(name, own).unit
    if not math.isfinite(value):
        return str(value)
    match unit:
        case "share":
            return f"{100 * value:.1f} %"
        case "count":
            return f"{value:.0f}"
        case "ms" | "MB":
            return f"{value:.{0 if abs(value) >= 10 else 1}f} {unit}"
        case "nats":
            return f"{value:.3f} nats"
        case "number":
            return f"{value:.2f}"
    return f"{value:.3f}"


def shown_interval(name: str, ends: tuple[float, float], own: Iterable[Measure] = ()) -> str:
    """The ends of an interval for people, the unit once.

    >>> shown_interval("wer", (0.0481, 0.0543)), shown_interval("onset_bias_ms", (-3.0, 12.0))
    ('4.8 to 5.4 %', '-3.0 to 12 ms')
    """
    low, high = (shown(name, end, own) for end in ends)
    unit = high.partition(" ")[1] + high.partition(" ")[2]
    return f"{low.removesuffix(unit) if unit else low} to {high}"


def shown_spread(name: str, mean: float, deviation: float, own: Iterable[Measure] = ()) -> str:
    """A mean and its standard deviation for people, the unit once.

    >>> shown_spread("wer", 0.0512, 0.0031)
    '5.1 ± 0.3 %'
    """
    low, high = shown(name, mean, own), shown(name, deviation, own)
    unit = high.partition(" ")[1] + high.partition(" ")[2]
    return f"{low.removesuffix(unit) if unit else low} ± {high}"


def headline(metrics: Mapping[str, float], own: Iterable[Measure] = ()) -> list[Measure]:
    """What a run is judged by, ``NUM_HEADLINE`` figures at most; baselines stand beside these, not among them."""
    own = list(own)
    known = [measure(name, own) for name in metrics]
    ranked = sorted((found.headline, place) for place, found in enumerate(known) if found.headline is not None)
    return [known[place] for _, place in ranked[:NUM_HEADLINE]]


def groups(metrics: Mapping[str, float], own: Iterable[Measure] = ()) -> dict[str, list[Measure]]:
    """Title of each group that has a figure -> its figures, in the order in which they are given."""
    own = list(own)
    known = [measure(name, own) for name in metrics]
    found = {title: [each for each in known if each.group == group] for group, title in GROUPS.items()}
    return {title: members for title, members in found.items() if members}


def beside(metrics: Mapping[str, float], found: Measure) -> float | None:
    """What a figure is read beside: its baseline, if it has one that was measured too."""
    return metrics.get(found.baseline) if isinstance(found.baseline, str) else found.baseline


def beats(metrics: Mapping[str, float], found: Measure) -> bool | None:
    """Whether a figure is better than its baseline; None where there is nothing to compare."""
    value, baseline = metrics[found.name], beside(metrics, found)
    if baseline is None or found.better is None:
        return None
    return value > baseline if found.better == "higher" else value < baseline


def markdown() -> str:
    """The whole table as docs/measures.md holds it, a part for each group."""
    lines: list[str] = []
    for title, members in groups(dict.fromkeys(MEASURES, 0.0)).items():
        lines += [f"### {title}", "", "| name | title | unit | better | baseline | what | needs |", "| --- " * 7 + "|"]
        for each in members:
            baseline = f"`{each.baseline}`" if isinstance(each.baseline, str) else each.baseline
            cells = (f"`{each.name}`", each.title, each.unit, each.better, baseline, each.meaning, each.needs)
            lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------- the table


def _rows() -> Iterator[Measure]:
    for (group, needs), rows in ROWS.items():
        for row in rows.strip().splitlines():
            cell, unit, better, title, meaning = (cell.strip() for cell in row.split("|"))
            name = cell.strip("()")
            yield Measure(
                name,
                title,
                cast(Unit, unit),
                None if better == "-" else cast(Better, better),
                meaning,
                cast(Group, group),
                needs,
                baseline=BASELINES.get(name),
                headline=HEADLINE.index(name) if name in HEADLINE else None,
                detail=cell.startswith("("),
            )


def _families(rows: Mapping[str, Measure]) -> Iterator[Measure]:
    """The figures of which there are many alike: by edge of a word and by how it was found, by method."""
    for edge in ("onset", "offset"):
        error = replace(rows[f"{edge}_error_ms"], headline=None)
        for form, how, also in (
            ("{}", "", ""),
            ("{}_peak", ", plain peaks", ""),
            ("ctc_{}", ", CTC", " and a CTC head"),
        ):
            name, detail, needs = form.format(edge), bool(how) or edge == "offset", error.needs + also
            if how:
                yield replace(error, name=f"{name}_error_ms", title=error.title + how, needs=needs, detail=True)
            title, meaning = f"Mean word {edge} error{how}", "mean distance from the true time"
            yield Measure(f"{name}_mean_error_ms", title, "ms", "lower", meaning, "attention", needs, detail=detail)
            title, meaning = f"Word {edge} bias{how}", "median with its sign: above 0 is late"
            yield Measure(f"{name}_bias_ms", title, "ms", None, meaning, "attention", needs, detail=detail)
            for limit in (20, 50, 100, 200):
                title, meaning = f"Word {edge} within {limit} ms{how}", "words that are at most so far off"
                found = Measure(f"{name}_within_{limit}_ms", title, "share", "higher", meaning, "attention", needs)
                yield replace(found, detail=detail or limit != 100)
    extracts = {
        "first": ("the first three sentences or turns", "of the source"),
        "longest": ("the longest sentence or turn", "of the source"),
        "oracle": ("the best three sentences or turns", "chosen by the first reference"),
    }
    for kind in ("rouge1", "rouge2", "rougel", "rougelsum"):
        for name, (what, meaning) in extracts.items():
            plain = replace(rows[kind], better=None, baseline=None, headline=None, detail=True)
            yield replace(plain, name=f"{kind}_{name}", title=f"{rows[kind].title}, {what}", meaning=meaning)
    for place in ("", "input_"):
        for kind in ("deletion", "insertion"):
            plain = replace(rows[f"faithfulness_{place}{kind}"], headline=None, detail=True)
            methods = ("rollout",) if place else ("gradient_attention", "integrated_gradients", "rollout")
            for method in methods:
                name, title = f"faithfulness_{place}{method}_{kind}", f"{plain.title}, {method.replace('_', ' ')}"
                yield replace(plain, name=name, title=title, meaning="the same in the order of this method")


def _table() -> dict[str, Measure]:
    rows = {row.name: row for row in _rows()}
    return rows | {each.name: each for each in _families(rows)}


MEASURES: Mapping[str, Measure] = _table()
"""Every figure that this package gives, by name."""
