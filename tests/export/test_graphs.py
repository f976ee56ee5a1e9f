"""What every part of conf/ writes as a graph: log probabilities to 1e-4 and weights to 1e-5 of torch's."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from multimodal_attn.export.graphs import decoder_graphs, encoder_graph, exporting, graphs
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import BOS
from tests.contracts.parts import choices, decoder_of, encoder_of, memory, sources

VOCAB = 11
REFUSED = {
    "decoder": {"copy_net", "pointer_generator"},
    "encoder": {"ctranslate2_whisper", "hugging_face_speech", "onnx"},
}
PAIRS = [
    *((decoder, "additive") for decoder in choices("decoder") if decoder not in REFUSED["decoder"]),
    *(("listen_attend_spell", attention) for attention in choices("attention")),
]
SETTINGS = [
    ("additive", {"normalizer": "sparsemax"}),
    ("additive", {"normalizer": "entmax15"}),
    ("local", {"center": "previous", "window": 2}),
]


def run(graph: bytes, given: dict[str, Tensor]) -> dict[str, Tensor]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    wanted = {one.name: given[one.name].numpy() for one in session.get_inputs()}
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(names, wanted)), strict=True))


def states(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the next step reads of what a graph gave."""
    kept = {name.replace("next.", "state."): tensor for name, tensor in found.items()}
    return {name: tensor for name, tensor in kept.items() if name.startswith(("source.", "state."))}


@torch.no_grad()
def check_decoder(decoder: Decoder, graphs: dict[str, bytes]) -> None:
    for batch, positions, rows in ((1, 13, 1), (4, 8, 5)):
        source = memory(batch, positions)
        prepared = decoder.prepare(source)
        state = decoder.start(prepared, rows)
        tokens = torch.full((batch, rows), BOS)
        given = {"states": source.states, "mask": source.mask, "tokens": tokens}
        kept = run(graphs["begin"], given)
        for step in range(4):
            logits, state, attended = decoder.step(tokens, state, prepared)
            found = run(graphs["step"], given | kept | {"tokens": tokens})
            torch.testing.assert_close(
                found["logits"].log_softmax(-1), logits.log_softmax(-1), rtol=0, atol=1e-4, msg=f"step {step}"
            )
            torch.testing.assert_close(found["weights"], attended.weights, rtol=0, atol=1e-5)
            if attended.gate is not None:
                torch.testing.assert_close(found["gate"], attended.gate, rtol=0, atol=1e-5)
            kept |= states(found)
            order = torch.randint(rows, (batch, rows))  # as a beam reorders its rows
            tokens, state = torch.randint(4, VOCAB, (batch, rows)), state.select(order)
            pick = torch.arange(batch)[:, None]
            kept = {name: one[pick, order] if name.startswith("state.") else one for name, one in kept.items()}


def make(decoder: str, attention: str, **settings: object) -> Decoder:
    made = decoder_of(decoder, attention, VOCAB, **settings).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in REFUSED for name in sorted(REFUSED[kind])])
def test_what_is_no_graph_is_refused_with_its_reason(kind: str, name: str) -> None:
    refused = encoder_of(name) if kind == "encoder" else encoder_of("text_lstm")
    model = Seq2Seq(refused, lambda **widths: make(name if kind == "decoder" else "transformer", "additive"), VOCAB)
    source = sources(model.encoder, 2)
    reason = {"encoder": model.encoder, "decoder": model.decoder}[kind].no_graph
    with pytest.raises(ValueError, match=f"export: [A-Za-z0-9]+ {reason}; expected a run with another part"):
        graphs(model, source, source)
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    assert f"`{kind}={name}`" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "attention", "settings"),
    [(*pair, {}) for pair in PAIRS] + [("listen_attend_spell", *each) for each in SETTINGS],
)
def test_every_decoder_and_attention_is_its_graphs(decoder: str, attention: str, settings: dict[str, object]) -> None:
    made = make(decoder, attention, **settings)
    with exporting(made):
        found = decoder_graphs(made, memory(3, 7), memory(4, 9))
    check_decoder(made, found)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "settings"),
    [(name, {}) for name in choices("encoder") if name not in REFUSED["encoder"]]
    + [("text_transformer", {"positions": "relative", "window": 3}), ("conformer", {"window": 3})]
    + [("conv_lstm", {"chunk_steps": 3}), ("pyramid_lstm", {"chunk_steps": 3})],
)
def test_every_encoder_is_its_graph(name: str, settings: dict[str, object]) -> None:
    made = encoder_of(name, **settings).eval()
    with exporting(made):
        graph = encoder_graph(made, sources(made, 2), sources(made, 3))
    for batch in (1, 4):
        source, lengths = sources(made, batch)
        expected, found = made(source, lengths), run(graph, {"source": source, "lengths": lengths})
        assert torch.equal(found["mask"], expected.mask)
        assert (found["states"] - expected.states)[expected.mask].abs().max() < 1e-4
