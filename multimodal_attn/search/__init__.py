"""Search: from a memory to the best texts, with the attention that belongs to their words."""

from multimodal_attn.search.base import Search
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.search.greedy import GreedySearch
from multimodal_attn.search.sampling import NucleusSampling

__all__ = ["BeamSearch", "GreedySearch", "NucleusSampling", "Search"]
