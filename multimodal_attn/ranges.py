"""Ranges of settings, as annotations of constructors; ``parts.py`` checks every value of a yaml against them.

``hidden_dim: Count = 512`` says that ``decoder.hidden_dim=0`` is an error, and what was expected.
"""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Ge(1)]
"""A number of things of which there is at least one."""

WholeNumber = Annotated[int, Ge(0)]
"""A number of things of which there may be none: 0 turns something off."""

Share = Annotated[float, Ge(0), Le(1)]
"""A share or a probability."""

DropoutRate = Annotated[float, Ge(0), Lt(1)]
"""The share that dropout takes away; never all."""

Positive = Annotated[float, Gt(0), Lt(math.inf)]
"""A finite number above 0."""

NotNegative = Annotated[float, Ge(0), Lt(math.inf)]
"""A finite number of at least 0."""

Finite = Annotated[float, Gt(-math.inf), Lt(math.inf)]
"""Any number but infinity and "not a number"."""
