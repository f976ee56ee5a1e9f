"""Search: from a memory to the best texts, with the attention that belongs to their words."""

from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.search.greedy import GreedySearch
from multimodal_attn.search.sample import SampleSearch

__all__ = ["BeamSearch", "GreedySearch", "SampleSearch"]
