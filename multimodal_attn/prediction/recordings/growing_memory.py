"""The memory of a recording that is still going on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.types import Batch, Example, Memory


class GrowingMemory:
    """Encodes what has been heard so far, piece by piece: the memory is that of the whole at any time.

    Positions whose reach lies within what has been heard are done. For the others, the sound that they and their past
    need is encoded again, as if the recording ended here. An encoder that hears all of a recording in every position
    (``Encoder.reach`` is None) does everything again each time, so that whoever goes on for long has to begin anew
    where nothing is said.

    Args:
        predictor: of recordings.
        samples: the beginning of the recording, (L,).
    """

    def __init__(self, predictor: Predictor, samples: Tensor) -> None:
        self._predictor, self.samples = predictor, samples
        self._done: Tensor | None = None  # (S, D)
        self._carried: Any = None

    def hear(self, samples: Tensor) -> None:
        """Goes on by (L,) samples."""
        self.samples = torch.cat([self.samples, samples])

    @torch.no_grad()
    def memory(self) -> Memory:
        """Of what has been heard, of which there has to be something; the model is in evaluation mode."""
        reach = self._predictor.model.reach
        if reach is None:
            return self._predictor.model.encode(self._batch(0))
        number = 0 if self._done is None else len(self._done)
        begin = max(0, number * reach.step - reach.past) // reach.cell * reach.cell
        done = max(number, max(0, len(self.samples) - reach.future) // reach.cell * (reach.cell // reach.step))
        first, batch = number - begin // reach.step, self._batch(begin)
        found, self._carried = self._predictor.model.go_on(batch, first, done - number, self._carried)
        states = found.states[0] if self._done is None else torch.cat([self._done, found.states[0]])
        self._done = states[:done]
        return replace(found, states=states[None], mask=found.mask.new_ones(1, len(states)))

    def _batch(self, begin: int) -> Batch:
        return self._predictor.collate([Example("", self.samples[begin:])])
