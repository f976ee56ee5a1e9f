"""A trained model that reads sources and writes texts: what a checkpoint rebuilds, and what everything else uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.prediction import Prediction, View
from multimodal_attn.prediction.sources import example_of
from multimodal_attn.prediction.times.word_times import WordTimes, word_times
from multimodal_attn.search import Search
from multimodal_attn.types import Batch, Example, Hypothesis, Memory, Timeline

if TYPE_CHECKING:
    from multimodal_attn.prediction.recordings.live import Heard, LiveSettings


@dataclass
class Predictor:
    """Reads a picture, a recording or a text, and writes what it was trained to write.

    Attributes:
        model: encoder, decoder and their attention.
        tokenizer: between the model's tokens and text.
        search: from a memory to texts.
        reader: of the sources, with the settings that the model was trained with.
        source_tokenizer: of sources that are texts.
        name: of the run.
        max_seconds: of the recordings that it was trained on; None for no limit.
        suffixes: of the files in a folder that it can be asked about.
        view: what predictions are shown with.
        temperature: of the confidence of its words; None for a run that was not evaluated yet.
    """

    model: Seq2Seq
    tokenizer: Tokenizer
    search: Search
    reader: Reader
    source_tokenizer: Tokenizer | None = None
    name: str = ""
    max_seconds: float | None = None
    suffixes: tuple[str, ...] = ()
    view: View | None = None
    temperature: float | None = None

    @overload
    def __call__(self, source: list[Any], sample_rate: int | None = None) -> list[Prediction]: ...

    @overload
    def __call__(self, source: Any, sample_rate: int | None = None) -> Prediction: ...

    def __call__(self, source: Any, sample_rate: int | None = None) -> Prediction | list[Prediction]:
        """What the model writes for a source.

        Args:
            source: the path of a file, its bytes, a PIL image, an array or a tensor; for a model of texts, the text
                itself. A list of sources gives a list of predictions.
            sample_rate: in Hz, of a waveform that comes as an array or a tensor; None for the model's own.

        Shapes:
            A picture is (height, width, 3) or (height, width) as an array, (3, height, width) as a tensor, of bytes or
            of floats in [0, 1]. A waveform is (L,) or (channels, L).

        Raises:
            UnreadableError: if a source cannot be read as what the model was trained on.
        """
        if not isinstance(source, list):
            return self.predict([example_of(self.reader, source, sample_rate)])[0]
        found: list[Prediction] = []
        remaining = iter(source)
        while some := list(islice(remaining, self.reader.at_once)):
            found += self.predict([example_of(self.reader, one, sample_rate) for one in some])
        return found

    def live(
        self, chunks: Iterable[Any], sample_rate: int | None = None, settings: LiveSettings | None = None
    ) -> Iterator[Heard]:
        """What is heard in sound that is still going on, word by word; see ``Live``.

        Args:
            chunks: (L,) or (channels, L) each, arrays or tensors of floats in [-1, 1] or of 16-bit integers.
            sample_rate: in Hz; None for the model's own.
            settings: when a word is sure.

        Raises:
            ValueError: if the model was not trained on recordings.
        """
        from multimodal_attn.prediction.recordings.live import Live  # which is made of predictors

        return Live(self, settings)(chunks, sample_rate)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> Predictor:
        """Moves the model; returns this predictor."""
        self.model.to(device)
        return self

    def with_search(self, search: Search) -> Predictor:
        """The same model with another search."""
        return replace(self, search=search)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """A batch of examples with their sources as they are, on the model's device."""
        return Collate(self.tokenizer, self.source_tokenizer)(list(examples)).to(self.device)

    def decode(self, memory: Memory, keys: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """Hypotheses of every source, best first.

        Args:
            memory: of B sources.
            keys: of the sources; what a search draws depends on them.
        """
        found = self.search(self.model, memory, keys)
        for index, hypotheses in enumerate(found):
            source = memory.select(slice(index, index + 1))
            for hypothesis in hypotheses:
                tokens = torch.tensor(hypothesis.tokens, dtype=torch.long, device=memory.mask.device)
                looked = self.model.decoder.second_look(tokens[None, None], source)
                if looked is not None:
                    hypothesis.weights = looked[0, 0].to(hypothesis.weights)
        return found

    @torch.no_grad()
    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """What the model writes for each example, with the others that the search found.

        Args:
            examples: pictures, waveforms or texts as they are, not cached features; one batch.
        """
        if not examples:
            return []
        with evaluating(self.model):  # maps of a model with dropout would be noise
            batch = self.collate(examples)
            memory = self.model.encode(batch)
            hypotheses = self.decode(memory, batch.keys)
        return [
            self.prediction(example, found, memory, index)
            for index, (example, found) in enumerate(zip(examples, hypotheses, strict=True))
        ]

    def prediction(
        self,
        example: Example,
        hypotheses: Sequence[Hypothesis],
        memory: Memory,
        index: int,
        time_source: str = "attention",
    ) -> Prediction:
        """What was found for an example: the best text, with the others.

        Args:
            example: with its picture, waveform or text, not cached features.
            hypotheses: of the example, best first.
            memory: that they were decoded from, and
            index: the example's place in it.
            time_source: where the times of words come from, "attention" or "ctc".
        """
        positions = int(memory.mask[index].sum())
        read, pause = example.source_to_read, example.pause_seconds
        waveform = read if isinstance(read, Tensor) and read.ndim == 1 else None
        tokenizer = self.tokenizer.of_source(example.source if isinstance(example.source, str) else "")
        layout = memory.layout.shifted(pause) if isinstance(memory.layout, Timeline) else memory.layout
        best, *others = [
            Prediction.from_hypothesis(
                example,
                found,
                tokenizer,
                layout,
                positions,
                self.reader.sample_rate,
                self.source_tokenizer,
                self.word_times(memory, index, found, time_source if number == 0 else "attention", waveform).shifted(
                    pause
                ),
                self.view,
                self.temperature,
            )
            for number, found in enumerate(hypotheses)
        ]
        best.others = others
        if memory.shares is not None:
            shares = memory.shares[index, :positions].float().cpu().numpy()
            for found in (best, *others):
                drawn = found.weights.mean(axis=1) @ shares
                found.streams = dict(zip(self.model.encoder.stream_names, drawn.T, strict=True))
        return best

    def word_times(
        self, memory: Memory, index: int, hypothesis: Hypothesis, source: str, waveform: Tensor | None = None
    ) -> WordTimes:
        """When the words of a hypothesis are heard; see ``word_times.word_times``."""
        samples: np.ndarray | None = None if waveform is None else waveform.float().cpu().numpy()
        rate = self.reader.sample_rate
        return word_times(self.model, self.tokenizer, memory, index, hypothesis, source, samples, rate)
