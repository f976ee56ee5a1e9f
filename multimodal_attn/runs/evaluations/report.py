"""What an evaluation says in the terminal: the headline with intervals and baselines, then a line for each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multimodal_attn.measures import Measure, beats, beside, groups, headline, measure, shown, shown_interval


def print_report(
    metrics: Mapping[str, float],
    title: str,
    own: Sequence[Measure] = (),
    verbose: bool = False,
    console: Console | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Prints the figures of an evaluation.

    Args:
        metrics: name -> value.
        title: what was evaluated.
        own: measures that the run's text scores declare.
        verbose: every figure in a row of its own, baselines and variants too.
        console: to print to; standard output if None.
        intervals: the 95 % interval of each figure that has one.
    """
    console, ends = console or Console(), intervals or {}
    first = headline(metrics, own)
    console.print(Text(title, style="bold"), soft_wrap=True)  # a path, which no table's width may break
    if first:
        console.print(_table(first, metrics, None, own, ends))
    hidden = 0
    for group, members in groups(metrics, own).items():
        if verbose:
            console.print(_table(members, metrics, group, own, ends, by_name=True))
            continue
        others = [found for found in members if found not in first]
        plain = [found for found in others if not found.detail]
        hidden += len(others) - len(plain)
        if plain:
            line = Text(f"{group}: ", style="bold")
            texts = [f"{found.title} {shown(found.name, metrics[found.name], own)}" for found in plain]
            console.print(line.append(" · ".join(texts), style="not bold"))
    if hidden:
        console.print(f"{hidden} more in metrics.json, printed with verbose=true", style="dim", highlight=False)
    if ends:
        console.print("in gray, 95 % intervals from resampling the examples", style="dim", highlight=False)


def _table(
    members: Sequence[Measure],
    metrics: Mapping[str, float],
    title: str | None,
    own: Sequence[Measure],
    ends: Mapping[str, tuple[float, float]],
    by_name: bool = False,
) -> Table:
    table = Table(box=box.SIMPLE, show_header=False, title=title and Text(title, style="bold"))
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for found in members:
        name = found.name if by_name else found.title
        interval = shown_interval(found.name, ends[found.name], own) if found.name in ends else ""
        table.add_row(Text(name), shown(found.name, metrics[found.name], own), interval, _judged(metrics, found, own))
    return table


def _within(title: str) -> str:
    """A title within a sentence: ROUGE stays as it is."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def _judged(metrics: Mapping[str, float], found: Measure, own: Sequence[Measure]) -> Text:
    """Whether a figure is better than what it stands beside, in words and in color."""
    baseline, better = beside(metrics, found), beats(metrics, found)
    text = Text()
    if baseline is not None and better is not None:
        text.append("better" if better else "no better", style="green" if better else "red")
        if isinstance(found.baseline, str):
            text.append(f" than {shown(found.name, baseline, own)} ({_within(measure(found.baseline, own).title)})")
        else:
            text.append(f" than chance ({baseline:g})")
    return text
