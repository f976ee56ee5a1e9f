"""What every decoder of conf/decoder keeps, with every attention of conf/attention."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multimodal_attn.search import BeamSearch, GreedySearch
from multimodal_attn.types import BOS, EOS, PAD, UNK
from tests.contracts.parts import choices, decoder_of, memory, pad_memory, part, takes, texts
from tests.search.scripted import model_of

VOCAB = 11
PAIRS = [
    (decoder, attention)
    for decoder in choices("decoder")
    for attention in (["additive"] if part("decoder", decoder).make.own_attention else choices("attention"))
]


def make(decoder: str, attention: str, **settings: object):
    torch.manual_seed(1)
    made = decoder_of(decoder, attention, VOCAB, **settings)
    with torch.no_grad():  # larger weights, or every distribution would be nearly uniform and every test nearly blind
        for name, parameter in made.named_parameters():
            if not isinstance(made.get_submodule(name.rpartition(".")[0]), torch.nn.LayerNorm):
                parameter.mul_(3)
    return made.eval()


SETTINGS = [(decoder, attention, {}) for decoder, attention in PAIRS] + [
    (decoder, attention, settings)
    for decoder in choices("decoder")
    for attention, settings in (
        ("additive", {"normalizer": "sparsemax"}),
        ("location", {"temperature": 0.3}),
        ("local", {"center": "previous", "window": 2}),
        ("monotonic", {"initial_offset": 0.2}),
        ("mocha", {"initial_offset": 0.2}),
    )
]


@pytest.mark.parametrize(("decoder", "attention", "settings"), SETTINGS)
def test_forward_equals_steps(decoder: str, attention: str, settings: dict[str, object]) -> None:
    # In double precision: the logarithm of a small share multiplies what single precision leaves of it.
    model, source = make(decoder, attention, **settings).double(), memory()
    source = replace(source, states=source.states.double())
    tokens, mask = texts(vocab_size=VOCAB)
    output = model(tokens, mask, source)
    prepared = model.prepare(source)
    state = model.start(prepared, tokens.shape[1])
    logits, weights = [], []
    for t in range(tokens.shape[2] - 1):
        step_logits, state, attended = model.step(tokens[..., t], state, prepared)
        logits.append(step_logits)
        weights.append(attended.weights)
    real = mask[..., 1:]
    torch.testing.assert_close(output.mask, real)
    torch.testing.assert_close(output.labels, tokens[..., 1:][real])
    torch.testing.assert_close(output.logits, torch.stack(logits, 2)[real])
    torch.testing.assert_close(output.weights, torch.stack(weights, 2) * real[..., None, None])


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_longer_batch_mate_changes_nothing(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention), memory()
    tokens, mask = texts(vocab_size=VOCAB)
    output = model(tokens, mask, source)
    longer = torch.nn.functional.pad(tokens, (0, 3), value=PAD)
    padded = model(longer, torch.nn.functional.pad(mask, (0, 3)), pad_memory(source, 4))
    torch.testing.assert_close(padded.logits, output.logits)
    torch.testing.assert_close(padded.weights[:, :, : output.weights.shape[2], :, :9], output.weights)
    assert padded.weights[:, :, output.weights.shape[2] :].abs().sum() == 0


@torch.no_grad()
@pytest.mark.parametrize("positions", ["rotary", "relative"])
@pytest.mark.parametrize("decoder", [name for name in choices("decoder") if takes("decoder", name, "positions")])
def test_positions_are_the_same_in_a_text_and_in_its_steps(decoder: str, positions: str) -> None:
    torch.manual_seed(1)
    model, source = part("decoder", decoder, positions=positions)(memory_dim=20, vocab_size=VOCAB).eval(), memory()
    for parameter in model.parameters():  # a bias for distances begins with zeros
        parameter.add_(0.1 * torch.randn_like(parameter))
    tokens, mask = texts(vocab_size=VOCAB)
    tokens[0, 0, 1:3] = torch.tensor([4, 5])
    output = model(tokens, mask, source)
    prepared = model.prepare(source)
    state, logits = model.start(prepared, tokens.shape[1]), []
    for t in range(tokens.shape[2] - 1):
        step, state, _ = model.step(tokens[..., t], state, prepared)
        logits.append(step)
    torch.testing.assert_close(torch.stack(logits, 2)[mask[..., 1:]], output.logits)
    last = model.layer_weights(tokens[..., :-1], source)[-1].memory
    reported = (last / last.sum(-1, keepdim=True)).transpose(2, 3) * mask[..., 1:, None, None]
    torch.testing.assert_close(reported, output.weights)
    turned = tokens.clone()
    turned[0, 0, 1:3] = torch.tensor([5, 4])
    assert not torch.allclose(model(turned, mask, source).logits[6], output.logits[6])  # their order counts


@torch.no_grad()
@pytest.mark.parametrize("decoder", choices("decoder"))
def test_weights_of_layers_are_those_of_the_forward_pass(decoder: str) -> None:
    model, source = make(decoder, "additive"), memory()
    tokens, mask = texts(vocab_size=VOCAB)
    layers = model.layer_weights(tokens[..., :-1], source)
    assert bool(layers) == (decoder in ("transformer", "prefix_transformer"))
    for weights in layers:
        heads, length = weights.tokens.shape[2:4]
        rows = torch.ones(*tokens.shape[:2], heads, length)
        torch.testing.assert_close(weights.among_tokens.sum(-1), rows)
        assert weights.tokens.triu(1).abs().sum() == 0
        own, read = weights.tokens.sum(-1), weights.memory.sum(-1)
        torch.testing.assert_close(read if weights.prefix is None else own + read, rows)
        torch.testing.assert_close(own if weights.prefix is None else own + read, rows)
        if weights.prefix is not None:
            torch.testing.assert_close(weights.prefix.sum(-1), torch.ones(len(tokens), heads, 9))
            assert (weights.prefix * ~source.mask[:, None, None]).sum() == 0
    if layers:  # the last layer's attention depends on all before it
        last = layers[-1].memory / layers[-1].memory.sum(-1, keepdim=True)
        reported = last.transpose(2, 3) * mask[..., 1:, None, None]
        torch.testing.assert_close(reported, model(tokens, mask, source).weights)


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_gradient_reaches_every_parameter(decoder: str, attention: str) -> None:
    model = make(decoder, attention).train()  # dropout is 0; what decides hard in evaluation has no gradient there
    tokens, mask = texts(vocab_size=VOCAB)
    output = model(tokens, mask, memory())
    torch.nn.functional.cross_entropy(output.logits, output.labels).backward()
    # Equal weights make a mechanism's scores irrelevant only in the control that has none.
    silent = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert not silent


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_beam_of_one_is_greedy(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention), memory()
    beam_of_one = BeamSearch(1, max_length=12, length_penalty=1.0)
    for greedy, beam in zip(
        GreedySearch(12)(model_of(model), source), beam_of_one(model_of(model), source), strict=True
    ):
        assert len(greedy) == len(beam) == 1
        assert greedy[0].tokens == beam[0].tokens
        assert greedy[0].hit_max_length == beam[0].hit_max_length
        assert greedy[0].score == pytest.approx(beam[0].score, abs=1e-5)
        torch.testing.assert_close(greedy[0].weights, beam[0].weights)


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_weights_and_probabilities_belong_to_the_words_returned(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention), memory()
    for index, found in enumerate(BeamSearch(4, max_length=12)(model_of(model), source)):
        assert found
        for hypothesis in found:
            length = len(hypothesis.tokens)
            tokens = torch.tensor([[[BOS, *hypothesis.tokens, EOS]]])
            output = model(tokens, torch.ones_like(tokens, dtype=torch.bool), source.select(slice(index, index + 1)))
            torch.testing.assert_close(hypothesis.weights, output.weights[0, 0, :length])
            output.logits[:, [PAD, BOS, UNK]] = -torch.inf
            expected = output.logits.log_softmax(-1)[range(length), hypothesis.tokens]
            torch.testing.assert_close(hypothesis.log_probs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("decoder", "attention"), PAIRS)
def test_search_does_not_depend_on_the_batch(decoder: str, attention: str) -> None:
    model, source = make(decoder, attention), memory()
    together = BeamSearch(3, max_length=12)(model_of(model), source)
    for index, found in enumerate(together):
        positions = int(source.mask[index].sum())
        alone = source.select(slice(index, index + 1))
        alone.states, alone.mask = alone.states[:, :positions], alone.mask[:, :positions]
        alone.copies = alone.copies[:, :positions]
        assert [h.tokens for h in BeamSearch(3, max_length=12)(model_of(model), alone)[0]] == [h.tokens for h in found]


@pytest.mark.parametrize("decoder", choices("decoder"))
def test_scheduled_sampling_reads_the_models_own_tokens(decoder: str) -> None:
    model, source = make(decoder, "additive"), memory()
    tokens, mask = texts(vocab_size=VOCAB)
    forced, sampled = model(tokens, mask, source), model(tokens, mask, source, sampling_probability=1.0)
    first = torch.zeros_like(mask[..., 1:])
    first[..., 0] = True
    at_first = first[mask[..., 1:]]
    torch.testing.assert_close(sampled.logits[at_first], forced.logits[at_first])
    assert not torch.allclose(sampled.logits[~at_first], forced.logits[~at_first])


@pytest.mark.parametrize("decoder", choices("decoder"))
def test_state_dict_round_trip(decoder: str) -> None:
    first, second = make(decoder, "additive"), make(decoder, "additive")
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1.0)
    tokens, mask = texts(vocab_size=VOCAB)
    source = memory()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(tokens, mask, source).logits, first(tokens, mask, source).logits)


@pytest.mark.parametrize("decoder", choices("decoder"))
def test_gates_belong_to_the_words_returned(decoder: str) -> None:
    model, source = make(decoder, "additive"), memory()
    for search in (GreedySearch(12), BeamSearch(4, max_length=12), BeamSearch(4, num_groups=2, max_length=12)):
        for index, hypothesis in enumerate(found[-1] for found in search(model_of(model), source)):
            if not model.gate_name:
                assert (hypothesis.gate, hypothesis.gate_name) == (None, "")
                continue
            prepared = model.prepare(source.select(slice(index, index + 1)))
            state, expected = model.start(prepared, 1), []
            for token in [BOS, *hypothesis.tokens][: len(hypothesis.tokens)]:
                _, state, attended = model.step(torch.tensor([[token]]), state, prepared)
                expected.append(attended.gate.item())
            assert hypothesis.gate == pytest.approx(expected, abs=1e-5)
            assert hypothesis.gate_name == model.gate_name
            assert all(0 <= share <= 1 for share in hypothesis.gate)
