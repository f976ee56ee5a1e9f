from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio.functional

from multimodal_attn.data.reading.aligner import Aligner
from multimodal_attn.types import UnreadableError

pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


def test_words_are_found_where_a_synthesizer_says_them(aligner: Aligner) -> None:
    pytest.importorskip("espeakng_loader")
    from multimodal_attn.data.synthesis import espeak

    text = "turn on the kitchen lights at seven"
    (speech,) = espeak.speak("en-us", [espeak.Line(text, rate=150, pitch=50, range=50)])
    assert speech is not None
    samples = torch.from_numpy(speech.samples.astype(np.float32) / 2**15)
    waveform = torchaudio.functional.resample(samples, espeak.SAMPLE_RATE, aligner.sample_rate).numpy()
    spans = aligner(waveform, text, "a")
    late = [found.start - start for found, (start, _) in zip(spans, speech.spans, strict=True)]
    assert np.median(np.abs(late)) < 0.06
    aligner(waveform[::-1].copy(), "on", "b")
    assert aligner(waveform, text, "a") == spans  # whatever came between


def test_what_does_not_align_says_why(aligner: Aligner) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) / 10
    with pytest.raises(UnreadableError, match="dictionary lacks xqzt, 23"):
        aligner(noise, "go xqzt 23 xqzt", "a.wav")
    with pytest.raises(UnreadableError, match=r"a.wav: does not align"):
        aligner(noise[:800], "seven seven seven seven", "a.wav")
