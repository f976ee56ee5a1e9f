"""Search: from a memory to the best texts, with the attention that belongs to their words."""

from collections.abc import Callable

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.search.diverse_beam import DiverseBeamSearch
from multimodal_attn.search.greedy import GreedySearch
from multimodal_attn.search.sampling import NucleusSampling
from multimodal_attn.types import Hypothesis, Memory

Search = Callable[[Decoder, Memory], list[list[Hypothesis]]]
"""For every source its hypotheses, best first and at least one; the decoder is in evaluation mode."""

__all__ = ["BeamSearch", "DiverseBeamSearch", "GreedySearch", "NucleusSampling", "Search"]
