"""Several models that write one text."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.encoders.pictures.image_conv import ImageConv
from multimodal_attn.models.ensemble import Ensemble
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search import BeamSearch
from multimodal_attn.types import BOS, Batch
from tests.contracts.parts import part, texts

VOCAB = 11


def member(seed: int, attention: str = "additive", **settings: object) -> Seq2Seq:
    torch.manual_seed(seed)
    encoder = ImageConv(image_size=32, channels=[4, 8], strides=[4, 2], dim=20)
    decoder = part("decoder", "show_attend_tell", attention=part("attention", attention), **settings)
    return Seq2Seq(encoder, decoder, VOCAB, ctc_head=True).eval()  # type: ignore[arg-type]


@pytest.fixture
def batch() -> Batch:
    tokens, mask = texts(batch=3, rows=2, vocab_size=VOCAB)
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    return Batch(["a", "b", "c"], pictures, torch.ones(3).long(), tokens, mask, [(), (), ()])


def test_probabilities_and_weights_are_means(batch: Batch) -> None:
    members = [member(0), member(1, "multihead"), member(2)]
    output, memory = Ensemble(members)(batch)
    alone = [one(batch)[0] for one in members]
    torch.testing.assert_close(output.logits.exp(), torch.stack([o.logits.softmax(-1) for o in alone]).mean(0))
    torch.testing.assert_close(output.weights, torch.stack([o.weights.mean(3, True) for o in alone]).mean(0))
    torch.testing.assert_close(output.labels, alone[0].labels)
    logits = Ensemble(members).ctc_logits(memory)
    own = [one.ctc_logits(one.encode(batch)).softmax(-1) for one in members]
    torch.testing.assert_close(logits.exp(), torch.stack(own).mean(0))


def test_steps_equal_the_teacher_forced_pass(batch: Batch) -> None:
    ensemble = Ensemble([member(0), member(1, "location")])
    output, memory = ensemble(batch)
    source = ensemble.decoder.prepare(memory)
    state = ensemble.decoder.start(source, 2)
    logits, weights = [], []
    for t in range(batch.tokens.shape[2] - 1):
        step, state, attended = ensemble.decoder.step(batch.tokens[..., t], state, source)
        logits.append(step)
        weights.append(attended.weights)
    torch.testing.assert_close(output.logits, torch.stack(logits, 2)[output.mask])
    torch.testing.assert_close(output.weights, torch.stack(weights, 2) * output.mask[..., None, None])


def test_the_same_model_twice_writes_what_it_writes_alone(batch: Batch) -> None:
    one, search = member(0), BeamSearch(3, max_length=6)
    memory = Ensemble([one, one]).encode(batch)
    together = search(Ensemble([one, one]), memory)
    for found, alone in zip(together, search(one, one.encode(batch)), strict=True):
        assert [h.tokens for h in found] == [h.tokens for h in alone]
        torch.testing.assert_close(found[0].log_probs, alone[0].log_probs)
        torch.testing.assert_close(found[0].weights, alone[0].weights)
        assert found[0].gate == pytest.approx(alone[0].gate)


def test_rows_that_a_beam_reorders_keep_their_own_state(batch: Batch) -> None:
    ensemble = Ensemble([member(0), member(1)])
    decoder, memory = ensemble.decoder, ensemble.encode(batch)
    source = decoder.prepare(memory)
    token = torch.tensor([[BOS, 5]]).expand(3, -1)
    _, state, _ = decoder.step(token, decoder.start(source, 2), source)
    straight, _, _ = decoder.step(token, state, source)
    swapped = state.select(torch.tensor([[1, 0]]).expand(3, -1))
    crossed, _, _ = decoder.step(token.flip(1), swapped, source)
    torch.testing.assert_close(crossed, straight.flip(1))


def test_a_chosen_source_is_chosen_in_every_member(batch: Batch) -> None:
    ensemble = Ensemble([member(0), member(1)])
    memory = ensemble.encode(batch).select(torch.tensor([2, 0]))
    for part_, one in zip(memory.parts, ensemble.members, strict=True):  # type: ignore[attr-defined]
        torch.testing.assert_close(part_.states, one.encode(batch).states[[2, 0]])  # type: ignore[operator]


def test_maps_of_other_cells_are_refused() -> None:
    other = member(1)
    other.encoder = ImageConv(image_size=32, channels=[4, 8], strides=[2, 2], dim=20)
    with pytest.raises(ValueError, match=r"ensemble: one run attends to Grid\(rows=4.*another to Grid\(rows=8"):
        Ensemble([member(0), other])
    with pytest.raises(ValueError, match="no member"):
        Ensemble([])
