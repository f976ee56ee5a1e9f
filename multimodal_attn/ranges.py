"""Ranges of settings, as annotations of constructors; ``parts.py`` checks every value of a yaml against them.

``hidden_dim: Count = 512`` says that ``decoder.hidden_dim=0`` is an error, and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import AfterValidator


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number")
    return value


def _some(values: Sequence[int]) -> Sequence[int]:
    if not values:
        raise ValueError("one or more numbers")
    return values


Seed = Annotated[int, Ge(0), Lt(2**32)]
"""Of random draws."""

_MOST = 10**8

Count = Annotated[int, Ge(1), Le(_MOST)]
"""A number of things of which there is at least one."""

Devices = Annotated[int, Ge(1), Le(4096)]
"""Processes or devices at work together."""

Workers = Annotated[int, Ge(0), Le(1024)]
"""Processes that help; 0: none."""

BeamWidth = Annotated[int, Ge(1), Le(1000)]
"""Texts that are written of a source side by side."""

Layers = Annotated[int, Ge(1), Le(1000)]
"""How often a model repeats something: each takes time to build, however small."""

MelBins = Annotated[int, Ge(1), Le(512)]
"""Of a spectrogram."""

ImageSize = Annotated[int, Ge(8), Le(4096)]
"""The side of a picture in pixels."""

SampleRate = Annotated[int, Ge(1000), Le(384_000)]
"""Of recordings, in Hz."""

OddCount = Annotated[int, Ge(1), AfterValidator(_odd)]
"""The width of a kernel that has a center."""

Counts = Annotated[Sequence[Count], MaxLen(1000), AfterValidator(_some)]
"""One count for each of one or more layers."""

TextLength = Annotated[int, Ge(1), Le(100_000)]
"""Tokens of a text. The limit is beyond any text that is written at once: without one, a search might never end."""

LayerCounts = Annotated[Sequence[Layers], AfterValidator(_some)]
"""How often each of one or more layers is repeated."""

WholeNumber = Annotated[int, Ge(0), Le(10**12)]
"""A number of things of which there may be none: 0 turns something off."""

Speed = Annotated[float, Ge(0.1), Le(10)]
"""How much faster a recording is heard than it was spoken."""

Share = Annotated[float, Ge(0), Le(1)]
"""A share or a probability."""

PositiveShare = Annotated[float, Gt(0), Le(1)]
"""A share that is not 0."""

DropoutRate = Annotated[float, Ge(0), Lt(1)]
"""The share that dropout takes away; never all."""

Positive = Annotated[float, Gt(0), Lt(math.inf)]
"""A finite number above 0."""

NotNegative = Annotated[float, Ge(0), Lt(math.inf)]
"""A finite number of at least 0."""

Finite = Annotated[float, Gt(-math.inf), Lt(math.inf)]
"""Any number but infinity and "not a number"."""
