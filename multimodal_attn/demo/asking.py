"""How a model is asked on the page: the search that its sliders stand for, and the answer as it is shown."""

from __future__ import annotations

import html
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from multimodal_attn.inspection.show import html_of
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.search.base import Search
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.search.sampling import NucleusSampling
from multimodal_attn.serving.limits import Limits, TooLargeError
from multimodal_attn.types import UnreadableError

FRAME_PIXELS = 880


@dataclass(frozen=True)
class Asked:
    """What the sliders say.

    Attributes:
        width: of the beam, or how many texts are drawn.
        min_length: tokens of a text at least.
        max_length: tokens of a text at most.
        temperature: texts are drawn at this one; None for the beam, which has none.
    """

    width: int = 5
    min_length: int = 0
    max_length: int = 200
    temperature: float | None = None

    def search(self, predictor: Predictor) -> Search:
        """A search like this, ready for a predictor's model, with what the predictor's own says of length.

        Raises:
            ValueError: if no text is as long as asked for.
        """
        if self.min_length > self.max_length:
            raise ValueError(
                f"shortest text: {self.min_length} tokens; expected at most {self.max_length}, as the longest has"
            )
        rules: list[Rule] = [MinLength(self.min_length)]
        ratio = predictor.search.max_length_ratio
        search: Search
        if self.temperature is None:
            search = BeamSearch(self.width, max_length=self.max_length, max_length_ratio=ratio, rules=rules)
        else:
            search = NucleusSampling(
                self.width,
                self.temperature,
                seed=secrets.randbelow(2**32),
                max_length=self.max_length,
                max_length_ratio=ratio,
                rules=rules,
            )
        search.prepare(predictor.model, predictor.tokenizer)
        return search


def answer(predictor: Predictor, source: Path | str, asked: Asked, limits: Limits) -> str:
    """HTML of what a predictor writes for a source, in the inspection page; or why it cannot.

    Args:
        predictor: to ask.
        source: the path of a file, or a text.
        asked: how.
        limits: of the source.
    """
    try:
        content = source if isinstance(source, str) else source.read_bytes()
        limits.check(predictor.reader.modality, content)
        found = predictor.with_search(asked.search(predictor))(content)
    except UnreadableError as error:
        return _trouble(f"This cannot be read: {error.reason}.")
    except (TooLargeError, OSError, ValueError) as error:
        return _trouble(f"{error}.")
    name = "text" if isinstance(source, str) else source.name
    # A frame's page may not reach what is around it.
    return html_of([replace(found, key=name)], predictor.name, FRAME_PIXELS)


def _trouble(reason: str) -> str:
    return f'<p class="trouble" role="alert">{html.escape(reason)}</p>'
