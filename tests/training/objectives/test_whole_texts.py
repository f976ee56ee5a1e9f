from __future__ import annotations

import itertools

import pytest
import torch

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.texts.cider import CiderD
from multimodal_attn.models.attention import AdditiveAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.search.training_samples import sample
from multimodal_attn.training.objectives.minimum_word_error import MinimumWordError
from multimodal_attn.training.objectives.self_critical import SelfCritical
from multimodal_attn.training.objectives.whole_texts import WholeTextObjective, text_log_probs
from multimodal_attn.training.rewards import CiderDReward, word_errors
from multimodal_attn.types import BOS, EOS, PAD, UNK, Batch, Memory, Target
from tests.contracts.parts import memory

TEXTS = [["red cat", "one red cat"], ["blue dog", "one blue dog"], ["green cow", "one green cow"]]
TOKENIZER = WordTokenizer().fit([text for texts in TEXTS for text in texts])
WORDS = range(UNK + 1, len(TOKENIZER))


class Data:
    """Stands for a run's data module."""

    tokenizer = TOKENIZER

    def documents(self) -> list[list[str]]:
        return TEXTS


class Model:
    def __init__(self, decoder: RecurrentDecoder) -> None:
        self.decoder = decoder


def make(dropout: float = 0.0, seed: int = 0) -> RecurrentDecoder:
    torch.manual_seed(seed)
    return RecurrentDecoder(
        AdditiveAttention, memory_dim=20, vocab_size=len(TOKENIZER), embedding_dim=16, hidden_dim=24, dropout=dropout
    )


def batch() -> Batch:
    empty = torch.zeros(3, 1, 2, dtype=torch.long)
    targets = [tuple(Target(text) for text in texts) for texts in TEXTS]
    return Batch(list("abc"), torch.zeros(3, 1), torch.ones(3), empty, empty.bool(), targets)


def prepared(objective: WholeTextObjective) -> WholeTextObjective:
    objective.prepare(Data())  # type: ignore[arg-type]
    return objective


# -------------------------------------------------------------------------------------------------- rewards


def test_reward_is_cider_d_with_the_end_as_a_word() -> None:
    references = [[f"{text} <eos>" for text in texts] for texts in TEXTS]
    written = ["red cat", "one blue dog dog", "green"]
    expected = CiderD(references)([f"{text} <eos>" for text in written])
    rewards = CiderDReward(TEXTS)([[(text, True), (text, False)] for text in written], TEXTS)
    torch.testing.assert_close(rewards[:, 0], torch.tensor(expected, dtype=torch.float32))
    cut = CiderD(references)(written)
    torch.testing.assert_close(rewards[:, 1], torch.tensor(cut, dtype=torch.float32))
    assert (rewards[:2, 0] > rewards[:2, 1]).all()


def test_reward_reads_frequencies_of_the_training_set_not_of_the_batch() -> None:
    whole = CiderDReward(TEXTS)([[("red cat", True)]], TEXTS[:1])
    assert float(CiderDReward(TEXTS[:1])([[("red cat", True)]], TEXTS[:1])) == 0
    assert float(whole) > 1


def test_word_errors_by_hand() -> None:
    texts = [["a b c", "a c", "x b c d"], ["", "a", "a b"]]
    assert word_errors(texts, ["a b c", "a"]).tolist() == [[0, 1, 2], [1, 0, 1]]


# -------------------------------------------------------------------------------------------- probabilities


def test_log_probabilities_of_texts_sum_to_one_over_all_texts() -> None:
    decoder, source = make().eval(), memory(batch=1)
    short = [[BOS, EOS, PAD]] + [[BOS, a, EOS] for a in WORDS]
    cut = [[BOS, a, b] for a, b in itertools.product(WORDS, WORDS)]
    tokens = torch.tensor([short + cut])
    log_probs = text_log_probs(decoder, tokens, tokens != PAD, source)
    assert float(log_probs.detach().exp().sum()) == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------------------------------------- self-critical


@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_gradient_is_that_of_the_expected_reward(baseline: str, temperature: float) -> None:
    """Against the exact gradient, over all texts of at most one word."""
    decoder, source = make(), memory(batch=3)
    tokens = torch.tensor([[[BOS, EOS]] + [[BOS, word] for word in WORDS]]).expand(3, -1, -1)
    objective = SelfCritical(num_samples=30_000, baseline=baseline, max_length=1, temperature=temperature)
    prepared(objective).train()
    rewards = objective._rewards(tokens, batch())
    log_probs = text_log_probs(decoder.eval(), tokens, tokens != PAD, source, temperature)
    exact = -(log_probs.exp() * rewards).sum(1).mean()
    exact.backward()
    bias = decoder.vocabulary.bias
    expected = bias.grad.clone()
    bias.grad = None
    value = objective(Model(decoder), batch(), source, None)
    value.backward()
    assert value.item() == pytest.approx(exact.item(), abs=0.05)
    torch.testing.assert_close(bias.grad, expected, atol=0.1 * float(expected.abs().max()), rtol=0)


def test_dropout_is_off_for_samples_and_their_gradient_and_on_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder, modes = make(dropout=0.5).train(), []
    for name in ("step", "forward"):
        original = getattr(RecurrentDecoder, name)

        def watched(self, *arguments, original=original, **named):
            modes.append((self.training, self.dropout.training))
            return original(self, *arguments, **named)

        monkeypatch.setattr(RecurrentDecoder, name, watched)
    prepared(SelfCritical(max_length=3)).train()(Model(decoder), batch(), memory(3), None)
    assert len(modes) > 1
    assert set(modes) == {(False, False)}
    assert decoder.training
    assert decoder.dropout.training


def test_in_validation_the_greedy_text_is_scored() -> None:
    decoder, source = make().eval(), memory(batch=3)
    objective = prepared(SelfCritical(max_length=5)).eval()
    greedy = sample(Model(decoder), source, 1, max_length=5, greedy_row=True).tokens[:, :1]
    expected = -float(objective._rewards(greedy, batch()).mean())
    assert float(objective(Model(decoder), batch(), source, None)) == pytest.approx(expected)


@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_reward_rises(baseline: str) -> None:
    decoder, source = make(), memory(batch=3)
    objective = prepared(SelfCritical(num_samples=10, baseline=baseline, max_length=4))
    before = -float(objective.eval()(Model(decoder), batch(), source, None))
    objective.train()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        objective(Model(decoder), batch(), source, None).backward()
        optimizer.step()
    after = -float(objective.eval()(Model(decoder), batch(), source, None))
    assert before < 1
    assert after > 2.5


@pytest.mark.parametrize("objective", [SelfCritical(max_length=4), MinimumWordError(num_best=3, max_length=4)])
def test_gradient_passes_mixed_precision(objective: WholeTextObjective) -> None:
    decoder, source = make(), memory(batch=3)
    source.states.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = prepared(objective).train()(Model(decoder), batch(), source, None)
    value.backward()
    silent = [n for n, p in decoder.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert not silent
    assert source.states.grad is not None


# --------------------------------------------------------------------------------------- minimum word error


def test_minimum_word_error_by_hand() -> None:
    decoder, source = make().eval(), memory(batch=3)
    objective = prepared(MinimumWordError(num_best=3, max_length=4, max_length_ratio=None))
    value = float(objective(Model(decoder), batch(), source, None))
    expected = 0.0
    for index, found in enumerate(objective.beam(Model(decoder), source)):
        sums = []
        for hypothesis in found:
            tokens = torch.tensor([[[BOS, *hypothesis.tokens] + [EOS] * (not hypothesis.hit_max_length)]])
            alone = source.select(slice(index, index + 1))
            sums.append(text_log_probs(decoder, tokens, torch.ones_like(tokens, dtype=torch.bool), alone)[0, 0])
        shares = torch.stack(sums).softmax(0)
        texts = [TOKENIZER.decode(hypothesis.tokens) for hypothesis in found]
        expected += float((shares * word_errors([texts], [TEXTS[index][0]])[0]).sum())
    assert value == pytest.approx(expected / 6, rel=1e-4)


def test_minimum_word_error_falls() -> None:
    decoder, source = make(), memory(batch=3)
    objective = prepared(MinimumWordError(num_best=8, max_length=3, max_length_ratio=None)).train()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.003)
    values = []
    for _ in range(31):
        optimizer.zero_grad()
        value = objective(Model(decoder), batch(), source, None)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_padding_of_a_memory_changes_no_probability() -> None:
    decoder, source = make().eval(), memory(batch=2)
    tokens = torch.tensor([[[BOS, 5, EOS]], [[BOS, 6, EOS]]])
    wider = Memory(
        torch.cat([source.states, torch.full((2, 3, 20), 7.0)], 1),
        torch.nn.functional.pad(source.mask, (0, 3)),
        source.layout,
    )
    expected = text_log_probs(decoder, tokens, tokens != PAD, source)
    torch.testing.assert_close(text_log_probs(decoder, tokens, tokens != PAD, wider), expected)
