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

_HEADLINE = (
    *("wer", "cer", "cider_d", "bleu_4", "distinct_captions", "bleu", "chrf", "perplexity"),
    *("masked_accuracy", "pseudo_perplexity", "masked_perplexity"),
    *("rouge1", "rouge2", "rougel", "exact", "unknown_words", "names_written", "copy_accuracy"),
    *("onset_error_ms", "pointing_accuracy", "alignment_accuracy", "faithfulness_deletion"),
    *("attention_entropy", "attention_peak"),
)
_BASELINES: dict[str, str | float] = {
    "masked_accuracy": "masked_accuracy_frequent",
    "pointing_accuracy": "pointing_center",
    "box_mass_gain": 0.0,
    "box_iou": "box_iou_center",
    "onset_error_ms": "onset_even_ms",
    "offset_error_ms": "offset_even_ms",
    "rouge1": "rouge1_first",
    "rouge2": "rouge2_first",
    "rougel": "rougel_first",
    "rougelsum": "rougelsum_first",
    "live_wer": "live_wer_whole",
    "alignment_accuracy": "alignment_uniform",
    "alignment_mass_gain": 0.0,
    "confidence_error": "confidence_error_plain",
    "faithfulness_deletion": 0.0,
    "faithfulness_insertion": 0.0,
    "faithfulness_input_deletion": 0.0,
    "faithfulness_input_insertion": 0.0,
}
# Group and what the figures need -> name, unit, which way is better, title, meaning. A name in brackets is a detail.
_ROWS: dict[tuple[Group, str], str] = {
    ("texts", "transcripts"): """
        wer                      | share | lower  | Word error rate | wrong, missing and surplus words over true words
        cer                      | share | lower  | Character error rate | the same of characters, spaces included
        substitutions            | share | lower  | Wrong words | the part of the word error rate that is wrong words
        deletions                | share | lower  | Missing words | the part that is missing words
        insertions               | share | lower  | Surplus words | the part that is surplus words""",
    ("texts", "captions"): """
        cider_d                  | score | higher | CIDEr-D | likeness to the references, rare words count more; 0 to 10
        bleu_1                   | score | higher | BLEU-1 | words that a reference has too
        bleu_2                   | score | higher | BLEU-2 | the same of runs of up to two words
        bleu_3                   | score | higher | BLEU-3 | the same of runs of up to three words
        bleu_4                   | score | higher | BLEU-4 | the same of runs of up to four words
        rouge_l                  | score | higher | ROUGE-L | the longest common sequence of words
        distinct_captions        | share | higher | Different captions | different captions over all captions
        vocabulary_used          | count | higher | Different words | number of different words in the captions""",
    ("texts", "captions and their training set"): """
        training_captions        | share | -      | Captions from training | those that stand there word for word
        training_vocabulary_used | share | higher | Training words used | of that set's words, those written""",
    ("texts", "captions and Java"): """
        meteor                   | score | higher | METEOR | words that match by form, stem or meaning
        spice                    | score | higher | SPICE | things, properties and relations that match""",
    ("texts", "translations"): """
        bleu                     | score | higher | BLEU | runs of up to four words that match, by sacreBLEU
        chrf                     | score | higher | chrF | runs of up to six characters that match, by sacreBLEU
        length_ratio             | number | -     | Length ratio | words written over words of the references""",
    ("texts", "summaries"): """
        rouge1                   | score | higher | ROUGE-1 | words that match, by rouge-score with stemming
        rouge2                   | score | higher | ROUGE-2 | pairs of words that match, likewise
        rougel                   | score | higher | ROUGE-L, stemmed | the longest common sequence of words, likewise
        rougelsum                | score | higher | ROUGE-Lsum | the same sentence by sentence, likewise
        exact                    | share | higher | Exact texts | texts that equal a reference
        summary_ratio            | number | -     | Length against the references | words written over their words
        repeated_3grams          | share | lower  | Repeats | runs of three words that the text had before
        novel_1grams             | share | -      | New words | different words that the source lacks
        novel_2grams             | share | -      | New pairs of words | the same of pairs
        novel_3grams             | share | -      | New runs of three words | the same of runs of three
        (novel_1grams_references) | share | -     | New words, references | of the first reference
        (novel_2grams_references) | share | -     | New pairs of words, references | of the first reference
        (novel_3grams_references) | share | -     | New runs of three words, references | of the first reference""",
    ("texts", "a language model"): """
        perplexity               | number | lower | Perplexity | of each next token, the end of a text included""",
    ("texts", "a masked language model"): """
        masked_accuracy          | share | higher | Hidden words found | whole words, of those hidden in a text
        (masked_accuracy_frequent) | share | -    | Hidden words, most frequent | the most frequent word of training
        masked_perplexity        | number | lower | Masked perplexity | of each hidden token
        pseudo_perplexity        | number | lower | Pseudo-perplexity | of each token, each word hidden by itself""",
    ("texts", "words with probabilities"): """
        confidence_error         | share | lower  | Confidence error | distance from the share of right words
        (confidence_error_plain) | share | -      | Error of plain probabilities | the same before calibration
        (confidence_temperature) | number | -     | Temperature of confidence | above 1: probabilities were too sure""",
    ("live", "streaming=true"): """
        live_wer                 | share | lower  | Word error rate, live | of the words that became sure one by one
        (live_wer_whole)         | share | -      | Word error rate, whole | of the same recordings, heard to their end
        live_wer_added           | share | lower  | Words wrong by being live | the difference of the two
        live_changed             | share | lower  | Words that changed | that were shown before they were sure
        live_rtf                 | number | lower | Live work over time | seconds of work for a second of sound
        (live_look_ms)           | ms    | lower  | Time of a look | median, of reading what was heard so far
        (live_num_examples)      | count | -      | Recordings heard live | how many these figures are over""",
    ("live", "streaming=true, times of words"): """
        emission_delay_ms        | ms    | lower  | Emission delay | sound heard when a word was sure, after its end
        emission_delay_90_ms     | ms    | lower  | Emission delay, 90 of 100 | what nine words of ten do not exceed
        (emission_num_words)     | count | -      | Words with a delay | how many words these figures are over""",
    ("attention", "boxes of words"): """
        pointing_accuracy        | share | higher | Pointing accuracy | words whose peak cell points into a true box
        (pointing_uniform)       | share | -      | Pointing by a uniform map | what it reaches on the same words
        (pointing_center)        | share | -      | Always the center | what pointing at the center reaches
        box_mass_gain            | score | higher | Weight in the box | less what a uniform map has there
        (box_mass_uniform)       | score | -      | Weight in the box, uniform map | the share of right cells
        (box_mass_gain_center)   | score | -      | Weight in the box, always the center | the same of a central map
        box_iou                  | score | higher | Overlap with the box | right and bright cells over either
        (box_iou_uniform)        | score | -      | Overlap of a uniform map | what it reaches on the same words
        (box_iou_center)         | score | -      | Overlap of a central map | what it reaches on the same words
        (pointing_accuracy_next) | share | higher | Pointing accuracy, next token | by the map of the token after
        (box_mass_gain_next)     | score | higher | Weight in the box, next token | by the map of the token after
        (box_iou_next)           | score | higher | Overlap with the box, next token | by the map of the token after
        (pointing_num_words)     | count | -      | Words with boxes | how many words these figures are over""",
    ("attention", "times of words"): """
        onset_error_ms           | ms    | lower  | Word onset error | median distance from the true start of a word
        (onset_even_ms)          | ms    | -      | Words spread evenly | the onset error that this would have
        (offset_error_ms)        | ms    | lower  | Word offset error | median distance from the true end of a word
        (offset_even_ms)         | ms    | -      | Ends spread evenly | the offset error that this would have
        word_times_f1_50_ms      | share | higher | Words in time, F1 at 50 ms | the true word, start and end so near
        word_times_f1_100_ms     | share | higher | Words in time, F1 at 100 ms | the same
        word_times_f1_200_ms     | share | higher | Words in time, F1 at 200 ms | the same
        (onset_num_words)        | count | -      | Words with times | how many words these figures are over""",
    ("attention", "times of words and a CTC head"): """
        (ctc_word_times_f1_50_ms) | share | higher | Words in time, F1 at 50 ms, CTC | by CTC without attention
        (ctc_word_times_f1_100_ms) | share | higher | Words in time, F1 at 100 ms, CTC | the same
        (ctc_word_times_f1_200_ms) | share | higher | Words in time, F1 at 200 ms, CTC | the same""",
    ("attention", "source words of words"): """
        alignment_accuracy       | share | higher | Alignment accuracy | words whose peak is in the right source word
        (alignment_uniform)      | share | -      | Alignment by a uniform map | what it reaches on the same words
        alignment_mass_gain      | score | higher | Weight on the source word | less what a uniform map has there
        (alignment_num_words)    | count | -      | Words with source words | how many words these figures are over""",
    ("attention", "source texts"): """
        unknown_words            | share | higher | Unknown words written | that references and source have
        (unknown_num_words)      | count | -      | Unknown words | how many words this figure is over
        names_written            | share | higher | Names written | that references and source have
        (names_num_words)        | count | -      | Names | how many words this figure is over""",
    ("attention", "a decoder that copies"): """
        copy_accuracy            | share | higher | Copy accuracy | copied tokens whose peak holds this token
        copy_share               | share | -      | Copied | tokens with half of their probability or more from there
        (copy_num_tokens)        | count | -      | Copied tokens | how many tokens the copy accuracy is over""",
    ("attention", "a decoder that copies, source words of words"): """
        copy_place_accuracy      | share | higher | Copied from the right place | copied tokens whose peak is there
        copy_probability_true    | score | higher | Copying where it is right | the probability, at words of the source
        copy_probability_other   | score | lower  | Copying where it is not | the probability, at inferred words""",
    ("attention", ""): """
        attention_entropy        | score | -      | Attention entropy | 1 is uniform, 0 a single cell
        attention_peak           | score | -      | Attention peak | the largest weight of a map
        attention_effective_cells | number | -    | Effective cells | cells of equal weight with the same entropy
        attention_coverage       | share | -      | Cells attended | cells that ever have more than the uniform share
        attention_top_cell       | share | -      | Weight on the top cell | a text's most visited cell
        attention_sink           | share | -      | Weight on a sink | on cells that get it whatever the word
        (collapse_cell)          | share | lower  | Stuck on a cell | weight on one cell, over all validation texts
        (collapse_sink)          | share | lower  | Stuck on a sink | the same, over all validation texts
        (collapse_repeats)       | share | lower  | Texts in circles | texts that repeat themselves three times""",
    ("attention", "recordings"): """
        (collapse_quiet)         | share | lower  | Weight on silence | weight on steps with nothing to hear""",
    ("attention", "recordings or texts"): """
        attention_monotonicity   | share | -      | Steps forward | steps whose peak does not move back
        attention_diagonality    | score | -      | Diagonality | 1 moves evenly with the text, 0 not, -1 backwards
        attention_repeats        | share | -      | Cells come back to | of the attended cells
        attention_skips          | share | -      | Cells passed over | of those between the outer attended ones""",
    ("faithfulness", "faithfulness=true"): """
        faithfulness_deletion    | nats  | higher | Faithfulness, deletion | harm of losing its cells over random ones
        faithfulness_insertion   | nats  | higher | Faithfulness, insertion | help of its cells over random ones
        faithfulness_input_deletion | nats | higher | Faithfulness, deletion in the source | of the source's parts
        faithfulness_input_insertion | nats | higher | Faithfulness, insertion in the source | of the source's parts
        (faithfulness_num_words) | count | -      | Words followed | how many words these figures are over""",
    ("cost", ""): """
        num_parameters           | count | -      | Parameters | of the model
        step_ms                  | ms    | lower  | Training step | median time of a step
        peak_memory_mb           | MB    | lower  | Peak memory | the most that training held at a time
        loss                     | score | lower  | Loss | the weighted sum of the objectives""",
    ("counts", ""): """
        num_examples             | count | -      | Examples | sources that were evaluated
        num_skipped              | count | lower  | Skipped files | could not be read; skipped.txt lists them
        num_cut                  | count | lower  | Sources cut off | longer than data.max_source_tokens; cut.txt
        num_empty                | count | lower  | Empty texts | texts without a word
        num_looped               | count | lower  | Looped texts | texts that end in the same tokens four times in a row
        num_hit_max_length       | count | lower  | Texts cut off | texts that reached the greatest length""",
    ("counts", "word_times=ctc"): """
        num_without_ctc_path     | count | lower  | Texts without CTC times | more tokens than CTC finds room for""",
}


def _rows() -> Iterator[Measure]:
    for (group, needs), rows in _ROWS.items():
        for row in rows.strip().splitlines():
            cell, unit, better, title, meaning = (cell.strip() for cell in row.split("|"))
            name = cell.strip("()")
            yield Measure(
                name,
                title,
                cast(Unit, unit),
                None if better == "-" else cast(Better, better),
                meaning,
                group,
                needs,
                baseline=_BASELINES.get(name),
                headline=_HEADLINE.index(name) if name in _HEADLINE else None,
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
        "first": ("the first three sentences", "of the source, or turns"),
        "longest": ("the longest sentence", "of the source, or turn"),
        "oracle": ("the best three sentences", "chosen by the first reference"),
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
