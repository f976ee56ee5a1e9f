from __future__ import annotations

import json
import re

import pytest

from multimodal_attn.prediction.recordings.transcript import FORMATS, TimedWord, Transcript, lines, render


def spoken(text: str, start: float) -> list[TimedWord]:
    return [TimedWord(word, start + 0.4 * i, start + 0.4 * i + 0.3) for i, word in enumerate(text.split())]


LATE = Transcript([*spoken("one two", 3599.5), *spoken("three", 3601.0)], 3602.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("txt", "00:59:59.500\t01:00:00.200\tone two\n01:00:01.000\t01:00:01.300\tthree\n"),
        (
            "srt",
            "1\n00:59:59,500 --> 01:00:00,200\none two\n\n2\n01:00:01,000 --> 01:00:01,300\nthree\n\n",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:59:59.500 --> 01:00:00.200\none two\n\n01:00:01.000 --> 01:00:01.300\nthree\n",
        ),
        ("ctm", "my_talk 1 3599.500 0.300 one\nmy_talk 1 3599.900 0.300 two\nmy_talk 1 3601.000 0.300 three\n"),
    ],
)
def test_formats(kind: str, expected: str) -> None:
    assert render(LATE, "folder/my talk.wav", kind) == expected


def test_json() -> None:
    content = json.loads(render(LATE, "a.wav", "json"))
    assert (content["file"], content["text"]) == ("a.wav", "one two three")
    assert content["words"][1] == {"word": "two", "start": 3599.9, "end": 3600.2}


def test_confidence_is_in_json_and_ctm() -> None:
    sure = Transcript([TimedWord("one", 0.5, 0.75, 0.98765)], 1.0)
    assert json.loads(render(sure, "a.wav", "json"))["words"][0]["confidence"] == 0.9877
    assert render(sure, "a.wav", "ctm") == "a 1 0.500 0.250 one 0.9877\n"


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"format: 'doc'; expected one of txt, json, srt, vtt, ctm, textgrid"):
        render(LATE, "a.wav", "doc")


def test_lines_break_at_pauses_and_at_twelve_words() -> None:
    assert [[word.text for word in line] for line in lines(LATE.words)] == [["one", "two"], ["three"]]
    assert [len(line) for line in lines(spoken(" ".join(map(str, range(30))), 0.0))] == [12, 12, 6]


def test_lines_last_and_do_not_overlap() -> None:
    # One that lasts no time, one that begins before the one before ends, and one that does both.
    words = [
        TimedWord("one", 1.0, 1.0),
        *spoken("a b c d e f g h i j k l", 2.0),
        TimedWord("next", 6.5, 7.5),
        TimedWord("now", 9.0, 9.0),
        TimedWord("end", 9.9, 9.9),
    ]
    text = render(Transcript(words, 10.0), "a.wav", "srt")
    times = [
        (3600 * int(h) + 60 * int(m) + float(s.replace(",", ".")))
        for h, m, s in re.findall(r"(\d\d):(\d\d):(\d\d,\d{3})", text)
    ]
    cues = list(zip(times[::2], times[1::2], strict=True))
    assert cues == [(1.0, 1.1), (2.0, 6.5), (6.5, 7.5), (9.0, 9.1), (9.9, 10.0)]
    same = [TimedWord(str(number), 1.0, 1.0) for number in range(36)]
    text = render(Transcript(same, 2.0), "a.wav", "vtt")
    assert re.findall(r"00:00:(\S+) --> 00:00:(\S+)", text) == [
        ("01.000", "01.100"),
        ("01.100", "01.200"),
        ("01.200", "01.300"),
    ]


def test_an_arrow_is_no_time() -> None:
    assert render(Transcript(spoken("a --> b", 0.0), 2.0), "a.wav", "srt").count("-->") == 1


def test_nothing_heard() -> None:
    empty = {kind: render(Transcript([], 1.5), "a.wav", kind) for kind in FORMATS}
    assert (empty["txt"], empty["srt"], empty["ctm"], empty["vtt"]) == ("", "", "", "WEBVTT\n")
    assert intervals(empty["textgrid"]) == [(0, 1.5, "")]


def test_what_subtitles_take_for_markup_is_escaped() -> None:
    assert "a &lt;b&gt; &amp; c" in render(Transcript(spoken("a <b> & c", 0.0), 2.0), "a.wav", "vtt")


def intervals(textgrid: str) -> list[tuple[float, float, str]]:
    """Those of the only tier, after a look at the head and the count."""
    assert textgrid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = ')
    found = re.findall(r'intervals \[(\d+)\]:\n +xmin = (\S+)\n +xmax = (\S+)\n +text = "(.*)"\n', textgrid)
    assert [int(number) for number, *_ in found] == list(range(1, len(found) + 1))
    assert f"intervals: size = {len(found)}\n" in textgrid
    return [(float(start), float(end), text) for _, start, end, text in found]


def test_intervals_of_praat_tile_the_recording() -> None:
    # The second word overlaps the first, the third lasts no time, the last reaches over the end.
    words = [
        TimedWord("one", 0.5, 1.0),
        TimedWord('t"wo', 0.9, 1.4),
        TimedWord("three", 1.4, 1.4),
        TimedWord("four", 1.8, 2.1),
    ]
    text = render(Transcript(words, 2.0), "a.wav", "textgrid")
    assert intervals(text) == [
        (0.0, 0.5, ""),
        (0.5, 1.0, "one"),
        (1.0, 1.4, 't""wo'),
        (1.4, 1.401, "three"),
        (1.401, 1.8, ""),
        (1.8, 2.1, "four"),
    ]
    assert text.count("xmax = 2.1\n") == 3  # of the file, the tier and the last interval
