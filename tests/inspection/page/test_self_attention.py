"""What the page holds of self-attention: codes that give the weights back, few enough bytes, and no more."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from multimodal_attn.inspection.page import page
from multimodal_attn.inspection.page.page import LEAST_LAYERS, MOST_LAYERS, render_page
from multimodal_attn.inspection.page.self_attention import LEVELS, pack_self_attention
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Grid
from tests.inspection.records import photo_record, speech_record, text_record, with_layers


def unpacked(part: dict) -> np.ndarray:
    """As the page's script reads them; all heads in a row."""
    size = part["extra"] + part["shape"][0] * part["shape"][1]
    codes = np.frombuffer(zlib.decompress(base64.b64decode(part["data"])), dtype=np.uint8)
    return ((codes / part["levels"]) ** 2).reshape(sum(part["heads"]), size, size)


def test_weights_come_back_but_for_their_last_digits() -> None:
    record = with_layers(text_record())
    assert record.self_attention is not None
    packed = pack_self_attention(record.self_attention, 100_000)
    encoder, decoder = packed["parts"]
    assert (encoder["part"], encoder["shape"], encoder["factor"], encoder["heads"]) == ("encoder", (1, 4), 1, [2, 2])
    assert decoder["shape"] == (1, 3)
    whole = np.concatenate(record.self_attention.reads[0].weights)
    # A step of the code is a step of the root.
    assert np.abs(np.sqrt(unpacked(encoder)) - np.sqrt(whole)).max() <= 0.5 / LEVELS + 1e-6
    names, values = packed["figures"], encoder["measured"][0][0]
    assert (values[names.index("positional")], values[-1]) == (0.75, 1)


def test_cells_are_pooled_until_they_fit() -> None:
    record = with_layers(speech_record(seconds=2.56), layers=3, heads=4)
    assert record.self_attention is not None
    wide, narrow = (pack_self_attention(record.self_attention, room)["parts"][0] for room in (1_000_000, 20_000))
    assert (wide["shape"], wide["factor"]) == ((1, 64), 1)
    assert len(narrow["data"]) <= 10_000 < len(wide["data"])
    assert narrow["factor"] * narrow["shape"][1] >= 64 > narrow["shape"][1]
    np.testing.assert_allclose(unpacked(narrow).sum(-1), 1, atol=0.35)


def test_a_page_without_layers_has_no_panel_and_one_with_them_a_block_for_each_example() -> None:
    blocks = re.findall(r'id="(layers-\d+)"', render_page([photo_record(), with_layers(text_record())], "x"))
    assert blocks == ["layers-1"]
    text = render_page([photo_record(), with_layers(text_record())], "x")
    overview = json.loads(re.findall(r'id="overview">(.*?)</script>', text)[0])
    assert [example["layers"] for example in overview["examples"]] == [
        None,
        [["encoder", [2, 2]], ["decoder", [2, 2]]],
    ]


def photo_of_a_vit() -> Prediction:
    """A photo with details, and 12 x 12 heads over 7 x 7 patches."""
    record = photo_record()
    generator = np.random.default_rng(1)
    record.layout = Grid(7, 7)
    record.weights = generator.dirichlet(np.full(49, 0.05), (3, 8)).astype(np.float32)
    blocks = generator.integers(0, 255, (28, 38, 3), dtype=np.uint8)
    record.source = blocks.repeat(12, axis=0).repeat(12, axis=1)
    return with_layers(record, layers=12, heads=12, extra=1, decoder=False)


def long_recording() -> Prediction:
    """Six layers of four heads over a recording that fills its share of the page by itself."""
    return with_layers(speech_record(seconds=4.0), layers=6, heads=4)


@pytest.mark.parametrize("make", [photo_of_a_vit, long_recording])
def test_fifty_examples_stay_below_five_megabytes(make: Callable[[], Prediction]) -> None:
    """A tenth of the page: all of its parts are shares of what is left."""
    tenth = [make()] * 5
    own = len(render_page([], "x"))
    assert own < 110_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "PAGE_BYTES", page.PAGE_BYTES // 10)
        text = render_page(tenth, "x")
    assert text.count('id="layers-') == 5
    assert 10 * (len(text) - own) + own < 5_000_000
    assert len(render_page(tenth[:1], "x")) < own + 110_000 + MOST_LAYERS


def test_where_photos_leave_no_room_the_last_examples_have_no_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    record = with_layers(text_record())
    bare = sum(map(len, re.findall(r"<script type=.*?</script>", render_page([text_record()] * 4, "x"))))
    monkeypatch.setattr(page, "PAGE_BYTES", bare + 2 * LEAST_LAYERS + 1000)
    assert render_page([record] * 4, "x").count('id="layers-') == 2
