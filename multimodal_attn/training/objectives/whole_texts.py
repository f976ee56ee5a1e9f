"""What objectives share that let the model write whole texts in training, and judge those."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.rules.base import forbid_specials
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import EOS, Memory


class WholeTextObjective(Objective):
    """Judges texts that the model writes, not its next token after the true ones: ``output`` is not read.

    Texts are written and their probability is taken with the decoder in evaluation mode. With dropout, the texts
    would come from another distribution than the one that learns from them; and what is judged is what will be used.
    Dropout of the encoder stays: both read the same memory.
    """

    needs_output = False

    def prepare(self, data: DataModule) -> None:
        self.tokenizer = data.tokenizer


def text_log_probs(decoder: Decoder, tokens: Tensor, mask: Tensor, memory: Memory, temperature: float = 1.0) -> Tensor:
    """Log probability of whole texts at a temperature, with gradient: one teacher-forced pass over them.

    Shapes:
        tokens, mask: (B, K, T) from <bos>. Returns (B, K); 0 for a row without a text.
    """
    output = decoder(tokens, mask, memory)
    # The searches forbid these tokens, so that the distribution that texts come from is the one without them.
    logits = forbid_specials(output.logits.float() / temperature)
    log_probs = logits.log_softmax(-1).gather(-1, output.labels[:, None])[:, 0]
    return log_probs.new_zeros(output.mask.shape).masked_scatter(output.mask, log_probs).sum(-1)


def ended(tokens: Tensor) -> Tensor:
    """Whether each text came to its <eos>.

    Shapes:
        tokens: (B, K, T). Returns (B, K).
    """
    return (tokens == EOS).any(-1)
