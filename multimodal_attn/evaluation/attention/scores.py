"""How far attention can be trusted: one accumulator for grounding, timing and shape."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.attention.grounding import center_prior, ground, hit_cells
from multimodal_attn.evaluation.attention.shape import effective_cells, relative_entropy, text_shape
from multimodal_attn.prediction.timing import onset_times
from multimodal_attn.prediction.word_alignment import align_words
from multimodal_attn.types import Grid, Layout, Span, Target, Timeline

WITHIN_MS = (20, 50, 100, 200)


class AttentionScores:
    """Collects examples, then computes what their attention is worth. Heads are averaged everywhere.

    ``compute`` gives, where any example had the truth for it (docs/measures.md has the formulas):

    - grounding, over words with known boxes: ``pointing_accuracy``, ``box_mass_gain``, ``box_iou``; each again with
      ``_next``, of the map of the token after the word, and with ``_uniform`` and ``_center``, which need no model;
      and ``pointing_num_words``.
    - timing, over the correctly recognised words, ``onset_num_words``: ``onset_error_ms`` (median), ``onset_bias_ms``
      (median with its sign, positive = late), ``onset_within_20_ms`` and so on, the same of ``offset``, and each again
      as ``onset_peak_...`` from the plain peak in place of the monotonic path, and as ``ctc_onset_...`` from CTC
      without attention; ``onset_even_ms`` is the error if the words were spread evenly over the recording.
    - alignment, over words whose source words are known: ``alignment_accuracy``, ``alignment_mass_gain``,
      ``alignment_uniform`` and ``alignment_num_words``.
    - shape: ``attention_entropy`` and ``attention_peak``, means over the tokens that were compared with the truth,
      or over the written ones where there is no truth; the other ``attention_...`` over the written texts.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all examples."""
        # (3, words) of each text: the measures of Grounding.
        self._grounded: dict[str, list[np.ndarray]] = {"": [], "_next": [], "_uniform": [], "_center": []}
        self._aligned: list[np.ndarray] = []  # (3, words) of each text: hit, mass, and the mass of a uniform map
        self._late: dict[str, list[float]] = {}  # milliseconds of each word: onset, offset, onset_peak, ..., ctc_onset
        self._compared: list[np.ndarray] = []  # (2,) relative entropy and largest weight of each token
        self._written: list[np.ndarray] = []
        self._effective: list[float] = []
        self._shapes: dict[str, list[float]] = {}

    def merge(self, other: AttentionScores) -> None:
        """Adds the examples of another accumulator, such as another process has."""
        for name, found in other._grounded.items():
            self._grounded[name] += found
        for mine, theirs in ((self._late, other._late), (self._shapes, other._shapes)):
            for name, values in theirs.items():
                mine.setdefault(name, []).extend(values)
        self._aligned += other._aligned
        self._compared += other._compared
        self._written += other._written
        self._effective += other._effective

    def update_boxes(
        self,
        weights: np.ndarray,
        spans: list[tuple[int, int]],
        target: Target,
        grid: Grid,
        ending: np.ndarray | None = None,
    ) -> None:
        """Adds one reference caption.

        Args:
            weights: of the caption's tokens, teacher-forced.
            spans: token range of each of its words, in the order of ``target.text``.
            target: with the boxes of its words.
            grid: where the positions lie.
            ending: of <eos>, the token after the last word.

        Shapes:
            weights: (T, N, S), S unpadded. ending: (N, S).
        """
        tokens = _mean_head(weights)
        self._compared.extend(_sharpness(tokens))
        following = tokens if ending is None else np.concatenate([tokens, _mean_head(ending[None])])
        words = [(*spans[word], boxes) for word, boxes in target.boxes.items() if boxes and word < len(spans)]
        if not words:  # or a caption that was cut off lacks the last ones
            return
        cells = np.stack([hit_cells(grid, boxes) for *_, boxes in words])
        own = np.stack([tokens[first:stop].mean(0) for first, stop, _ in words])
        followed = [index for index, (_, stop, _) in enumerate(words) if stop < len(following)]
        uniform = np.full(cells.shape[1], 1 / cells.shape[1])
        for kind, maps, right in (
            ("", own, cells),
            ("_uniform", uniform, cells),
            ("_center", center_prior(grid), cells),
            ("_next", following[[words[index][1] for index in followed]], cells[followed]),
        ):
            self._grounded[kind].append(np.stack(ground(maps, right)))

    def update_times(
        self,
        weights: np.ndarray,
        spans: list[tuple[int, int]],
        words: list[str],
        target: Target,
        timeline: Timeline,
        by_ctc: list[Span] | None = None,
    ) -> None:
        """Adds one transcribed recording.

        Args:
            weights: of the hypothesis' tokens.
            spans: token range of each of its words.
            words: of the hypothesis.
            target: with the times of its words.
            timeline: where the positions lie.
            by_ctc: when CTC hears each word, where it was asked.

        Shapes:
            weights: (T, N, S), S unpadded.
        """
        tokens = _mean_head(weights)
        self._compared.extend(_sharpness(tokens))
        if not len(tokens) or not target.times:
            return
        reference = target.text.split()
        step = timeline.step_seconds * tokens.shape[1] / max(1, len(words))
        even = [timeline.offset_seconds + step * index for index in range(len(words))]
        heard = {
            "{}": onset_times(tokens, timeline, spans),
            "{}_peak": onset_times(tokens, timeline, spans, method="peak"),
            "{}_even": [Span(start, start + step) for start in even],
        }
        if by_ctc is not None:
            heard["ctc_{}"] = by_ctc
        for index, true in align_words(words, reference):
            if index is None or true is None or words[index] != reference[true]:
                continue
            truth = target.times[true]
            for name, found in heard.items():
                self._note_late(name.format("onset"), found[index].start - truth.start)
                self._note_late(name.format("offset"), found[index].end - truth.end)

    def _note_late(self, name: str, seconds: float) -> None:
        self._late.setdefault(name, []).append(1000 * seconds)

    def update_alignment(
        self,
        weights: np.ndarray,
        spans: list[tuple[int, int]],
        target: Target,
        source_spans: list[tuple[int, int]],
    ) -> None:
        """Adds one reference translation.

        Args:
            weights: of the translation's tokens, teacher-forced.
            spans: token range of each of its words, in the order of ``target.text``.
            target: with the source words that its words come from.
            source_spans: range of memory positions of each word of the source.

        Shapes:
            weights: (T, N, S), S unpadded.
        """
        tokens = _mean_head(weights)
        self._compared.extend(_sharpness(tokens))
        words = [(*spans[word], places) for word, places in target.read_from.items() if places and word < len(spans)]
        if not words:
            return
        maps = np.stack([tokens[first:stop].mean(0) for first, stop, _ in words])
        right = np.zeros(maps.shape, dtype=bool)
        for row, (_, _, places) in enumerate(words):
            for place in places:
                right[row, slice(*source_spans[place])] = True
        found = ground(maps, right)
        self._aligned.append(np.stack([found.hit, found.mass, right.mean(1)]))

    def update_shape(self, weights: np.ndarray, layout: Layout) -> None:
        """Adds the text that the model wrote for one example.

        Args:
            weights: of the hypothesis' tokens.
            layout: of the memory.

        Shapes:
            weights: (T, N, S), S unpadded.
        """
        if not weights.size:
            return
        tokens = _mean_head(weights)
        self._written.extend(_sharpness(tokens))
        self._effective.extend(effective_cells(tokens))
        for name, value in text_shape(tokens, ordered=not isinstance(layout, Grid)).items():
            self._shapes.setdefault(name, []).append(value)

    def compute(self) -> dict[str, float]:
        """The measures named above, as a flat dictionary; empty before the first example."""
        scores: dict[str, float] = {}
        if self._grounded[""]:
            joined = {kind: np.concatenate(found, axis=1) for kind, found in self._grounded.items()}
            means: dict[str, list[float]] = {k: words.mean(1).tolist() for k, words in joined.items() if words.size}
            for kind, (hit, mass, iou) in means.items():
                # The first of these had its name before there were others.
                scores[f"pointing{kind}" if kind in ("_uniform", "_center") else f"pointing_accuracy{kind}"] = hit
                if kind == "_uniform":
                    scores["box_mass_uniform"] = mass
                else:
                    scores[f"box_mass_gain{kind}"] = mass - means["_uniform"][1]
                scores[f"box_iou{kind}"] = iou
            scores["pointing_num_words"] = float(joined[""].shape[1])
        if self._aligned:
            aligned = np.concatenate(self._aligned, axis=1)
            hit, mass, uniform = aligned.mean(1).tolist()
            scores |= {
                "alignment_accuracy": hit,
                "alignment_mass_gain": mass - uniform,
                "alignment_uniform": uniform,
                "alignment_num_words": float(aligned.shape[1]),
            }
        for name, values in self._late.items():
            late = np.array(values)
            if name.endswith("_even"):
                scores[f"{name}_ms"] = float(np.median(np.abs(late)))
                continue
            scores[f"{name}_error_ms"] = float(np.median(np.abs(late)))
            scores[f"{name}_bias_ms"] = float(np.median(late))
            for limit in WITHIN_MS:
                scores[f"{name}_within_{limit}_ms"] = float((np.abs(late) <= limit).mean())
        if self._late:
            scores["onset_num_words"] = float(len(self._late["onset"]))
        if sharpness := self._compared or self._written:
            entropy, peak = np.mean(sharpness, axis=0).tolist()
            scores |= {"attention_entropy": entropy, "attention_peak": peak}
        if self._effective:
            scores["attention_effective_cells"] = float(np.mean(self._effective))
        return scores | {f"attention_{name}": float(np.mean(values)) for name, values in self._shapes.items()}


def _mean_head(weights: np.ndarray) -> np.ndarray:
    """The mean over heads.

    Shapes:
        weights: (T, N, S). Returns (T, S).
    """
    return weights.mean(axis=1, dtype=np.float64)


def _sharpness(tokens: np.ndarray) -> np.ndarray:
    """Relative entropy and largest weight of each token.

    Shapes:
        tokens: (T, S). Returns (T, 2).
    """
    if not len(tokens):
        return np.zeros((0, 2))
    return np.stack([relative_entropy(tokens), np.nan_to_num(tokens).max(-1)], axis=1)
