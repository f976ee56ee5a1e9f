"""A forced aligner for English from a package: when the words of a known text are said."""

from __future__ import annotations

from importlib.metadata import version
from string import punctuation

import numpy as np

from multimodal_attn.optional_packages import require_packages
from multimodal_attn.types import Span, UnreadableError

FRAME_SECONDS = 0.01
_MARGIN_SECONDS, _NOISE = 0.2, 1e-4  # around and under a recording: speech at its very edge often fails to align


class Aligner:
    """PocketSphinx with its English acoustic model and pronouncing dictionary (Huggins-Daines et al. 2006).

    Each recording is aligned as if it were the first: what it gives does not depend on those before it. The
    probability of a silence between words is raised from the decoder's 0.005 to one half, as a transcript says nothing
    of pauses. Digital silence, which no microphone gives, gets a faint noise.

    Attributes:
        name: of the aligner and its version, for figures.
        sample_rate: of the recordings that it reads, in Hz.

    Raises:
        ValueError: if the package is not installed.
    """

    sample_rate = 16_000

    def __init__(self) -> None:
        require_packages("align", "align", "pocketsphinx")
        from pocketsphinx import Decoder

        self.name = f"pocketsphinx {version('pocketsphinx')}"
        self._decoder = Decoder(samprate=self.sample_rate, silprob=0.5, loglevel="FATAL")

    def __call__(self, waveform: np.ndarray, text: str, name: str) -> tuple[Span, ...]:
        """When each word of a text is said, to 10 ms.

        Args:
            waveform: at the aligner's rate, in [-1, 1].
            text: words between spaces; their case and marks around them are not looked at.
            name: of the recording, for errors.

        Shapes:
            waveform: (L,).

        Raises:
            UnreadableError: if the dictionary lacks a word, or no path through the recording has all words.
        """
        words = [self._known(word.lower()) for word in text.split()]
        if missing := [word for word in dict.fromkeys(words) if self._decoder.lookup_word(word) is None]:
            raise UnreadableError(name, f"does not align: the dictionary lacks {', '.join(missing)}")
        try:
            self._decoder.reinit_feat()  # forgets the recordings before
            self._decoder.set_align_text(" ".join(words))
            self._decoder.start_utt()
            self._decoder.process_raw(_samples(waveform), full_utt=True)
            self._decoder.end_utt()
        except RuntimeError as error:  # of the package, for a recording without a frame
            raise UnreadableError(name, f"does not align: {error}") from None
        found = [
            (part.word.partition("(")[0], part.start_frame * FRAME_SECONDS, (part.end_frame + 1) * FRAME_SECONDS)
            for part in self._decoder.seg() or ()
            if not part.word.startswith(("<", "["))  # silence and noise; "(2)" is a further pronunciation
        ]
        if [word for word, *_ in found] != words:
            raise UnreadableError(name, f"does not align: no path has all of its {len(words)} words")
        edges = np.array([edges for _, *edges in found]) - _MARGIN_SECONDS
        edges = edges.clip(0, len(waveform) / self.sample_rate).round(3)
        return tuple(Span(*span) for span in edges.tolist())

    def _known(self, word: str) -> str:
        """A word as the dictionary has it: without marks around it, unless they are its own, as in 'cause."""
        bare = word.strip(punctuation)
        return word if not bare or self._decoder.lookup_word(word) is not None else bare


def _samples(waveform: np.ndarray) -> bytes:
    """A recording (L,) as 16-bit integers, with margins and noise, the same for every recording of a length."""
    padded = np.pad(np.nan_to_num(waveform), round(_MARGIN_SECONDS * Aligner.sample_rate))
    padded = padded + _NOISE * np.random.default_rng(0).standard_normal(len(padded))
    return np.rint(padded.clip(-1, 1) * 32767).astype("<i2").tobytes()
