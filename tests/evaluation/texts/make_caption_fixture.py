"""Writes caption_fixture.json: made-up captions with the numbers that the reference scorer gives them.

Needs Java and pycocoevalcap, which nothing else here does:

    pip install pycocoevalcap==1.2
    python tests/evaluation/texts/make_caption_fixture.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

COLORS = "red green blue yellow purple striped grey".split()
THINGS = "kite tractor teapot penguin ladder violin lighthouse octopus bicycle umbrella cactus robot".split()
PEOPLE = ["a baker", "two pilots", "the twins", "a man", "an old woman", "somebody", "three dancers", "Mr. Moss"]
ACTIONS = "carries paints repairs watches hides sells drops polishes juggles".split()
PLACES = ["in the harbour", "on a roof", "behind the barn", "near a canal", "at 5 p.m.", "under the bridge", ""]
# Every kind of text that has broken a scorer: nothing, one word, no match, only punctuation, repetition, scripts,
# contractions, abbreviations, numbers, quotes, brackets and entities.
ODD = [
    "", "kite", "zorb quux frell blivet", "...", "?!", "!!! ???", "a a a a a a a a", "kite kite kite a kite kite",
    "the the the", "un café à Zürich", "赤い 凧 が 空 に ある", "красный змей над крышей", "a kite 🪁 flies",
    "the man's kite isn't here; it can't fly", "they've lost the dancers' ladder", "don't won't shan't ain't",
    "a (very) red kite", "[a] {red} kite", '"red" kite', "“red” kite – ‘blue’ kite — …", "rock'n'roll in the '80s",
    "gonna paint, wanna sell, cannot hide", "3.5 kites cost $5.00 or €4 at 10:30", "1/2 a kite, 3 1/2 or ½ teapot",
    "a well-known black-and-white T-shirt", "AT&T R&B salt &amp; pepper", "no. 5 and no. seven", "the U.S. flag, D.C.",
    "St. Moss and Dr. Fig meet Mrs. Pine Jr. etc.", "a kite , a ladder .", "a\tkite\n in   the  wind", "#kite @robot",
    "teapot--ladder-teapot", "word." * 3, "kite/robot w/o wings", "e-mail kite@robot.com or www.kite.org",
    "'tis the 'red' kite", "ma'am, it's five o'clock", "A KITE ON A ROOF", "a_b c* d+ e=f ~ ^ | \\",
]  # fmt: skip


def sentence(draw: random.Random) -> str:
    thing = f"{draw.choice(['a', 'the', 'one', 'some'])} {draw.choice(COLORS)} {draw.choice(THINGS)}"
    text = f"{draw.choice(PEOPLE)} {draw.choice(ACTIONS)} {thing} {draw.choice(PLACES)}".strip()
    if draw.random() < 0.3:
        text += f" and {draw.choice(ACTIONS)} {draw.choice(['it', 'them', 'a ' + draw.choice(THINGS)])}"
    if draw.random() < 0.5:
        text = text[0].upper() + text[1:] + draw.choice([".", " .", "!", ""])
    return text


def mutated(draw: random.Random, text: str) -> str:
    words = text.split()
    for _ in range(draw.randint(0, 4)):
        place = draw.randrange(len(words)) if words else 0
        match draw.randrange(6):
            case 0:
                del words[place : place + 1]
            case 1:
                words.insert(place, draw.choice(COLORS + THINGS))
            case 2 if words:
                words[place] = draw.choice(THINGS + ["unknown"])
            case 3 if words:
                words.insert(place, words[place])
            case 4:
                draw.shuffle(words)
            case 5 if words:
                words[place] += draw.choice([",", "'s", ";", "."])
    return " ".join(words)


def make_sets() -> dict[str, list[tuple[str, list[str]]]]:
    """Name -> (hypothesis, references) of each source."""
    draw = random.Random(7)
    mixed = []
    for _ in range(460):
        first = sentence(draw)
        references = [first] + [mutated(draw, first) or "kite" for _ in range(draw.choice([0, 0, 1, 2, 4]))]
        mixed.append((mutated(draw, draw.choice(references)), references))
    for text in ODD:
        mixed.append((text, [sentence(draw)]))
        mixed.append((sentence(draw), [text, sentence(draw)]))
        mixed.append((text, [text, mutated(draw, text)]))
    plain = [(sentence(draw), [sentence(draw) for _ in range(2)]) for _ in range(12)]
    return {
        "mixed": mixed,
        "empty": [("", references) for _, references in plain],
        "exact": [(references[0], references) for _, references in plain],
        "one source": plain[:1],
    }


def score(pairs: list[tuple[str, list[str]]], tokens: dict[str, str]) -> dict[str, list[float]]:
    """Measure -> the score of the set, followed by that of each caption."""
    truth = {index: [tokens[text] for text in references] for index, (_, references) in enumerate(pairs)}
    written = {index: [tokens[hypothesis]] for index, (hypothesis, _) in enumerate(pairs)}
    bleu, each_bleu = Bleu(4).compute_score(truth, written, verbose=0)
    rouge, each_rouge = Rouge().compute_score(truth, written)
    cider, each_cider = Cider().compute_score(truth, written)
    scores = {f"bleu_{order + 1}": [bleu[order], *each_bleu[order]] for order in range(4)}
    scores |= {"rouge_l": [rouge, *each_rouge], "cider_d": [cider, *each_cider]}
    return {name: [float(f"{value:.9g}") for value in values] for name, values in scores.items()}


def main() -> None:
    sets = make_sets()
    texts = list(dict.fromkeys(text for pairs in sets.values() for h, rs in pairs for text in (h, *rs)))
    # A last line that is not empty: the reference tokenizer loses empty lines at the end.
    captions = {index: [{"caption": text}] for index, text in enumerate([*texts, "end"])}
    tokenized = PTBTokenizer().tokenize(captions)
    tokens = {text: tokenized[index][0] for index, text in enumerate(texts)}
    fixture = {
        "tokens": {text: words for text, words in tokens.items() if text != words},
        "sets": {
            name: {"pairs": [[h, *rs] for h, rs in pairs], "scores": score(pairs, tokens)}
            for name, pairs in sets.items()
        },
    }
    path = Path(__file__).with_name("caption_fixture.json")
    path.write_text(json.dumps(fixture, ensure_ascii=False, separators=(",", ":")).replace("],", "],\n") + "\n")
    print(f"{path}: {sum(map(len, sets.values()))} captions, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
