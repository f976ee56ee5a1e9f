"""The tokens on which published caption scores are counted, without Java.

Caption scores are computed after the Penn Treebank tokenizer of Stanford CoreNLP 3.4.1 (options ``-preserveLines
-lowerCase``), from whose output a list of punctuation is taken away. This is that tokenizer's behavior written down
as a table of rules: at each position the rule that matches furthest wins, and the first of these among equals.
Left out are phone numbers, markup with attributes and the rarer smileys and symbols.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# What the reference scorer removes. The brackets are here in capitals although its tokens are lower case, so that
# "-lrb-" stays a word of the caption. This is kept: it is what published numbers contain.
PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)

_APOS = r"(?:['’\x92]|&apos;)"
_QUOTE = r"(?:['’\x92`‘‛\x91]|&apos;)"
# Python counts fractions and raised digits as letters, but not the marks that some scripts write vowels with.
_MARKS = "".join(chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code)).startswith("M"))
_LETTER = rf"(?:[^\W\d_¹²³¼½¾⁰-₉⅐-⅟]|[{_MARKS}\xad])"
_WORD = rf"{_LETTER}(?:{_LETTER}|\d)*(?:[.!?]{_LETTER}(?:{_LETTER}|\d)*)*"
_PART = rf"(?:[dDoOlL]{_QUOTE}(?:{_LETTER}|\d))?(?:{_LETTER}|\d)+"
_ABBREVIATIONS = """
    adj adm adv al ala alex apr ariz assn assoc asst atty attys aug ave bancorp bhd bldg blvd brig bros calif capt cf
    cie cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb fla fri ft ga
    gen gov govs hon inc ind insp intl invt jan jos jr jul jun kan kans ky lieut lt ltd maj mar md messrs mfg mich minn
    mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov oct okla penn pfc ph plc ppte ppty pres prof profs pte
    ptes pty ptys pvt rd rep reps rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt supts sys tel tenn thu
    thurs tue tues univ va vs vt wed wis wisc wm wyo""".split()
_CAPITAL_ABBREVIATIONS = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash".split()
_SENTENCE_STARTERS = """
    A About After An As At But He Her Here If In It Last Many More Now Once One Other Our She Since So Some Such That
    The Their Then There These They This We What When While Yet You""".split()
_FILE_TYPES = """
    3gp avi bat bmp c cgi class cpp dll doc docx exe flv gif gz h htm html jar java jpe?g mov mp[34g] pdf php pl png
    pptx? ps py sql tar txt wav wm[va] xlsx? xml zip""".split()
_SYMBOLS = {
    **dict.fromkeys(["“", "«", '"', "&quot;"], "``"),
    **dict.fromkeys(["”", "»"], "''"),
    **dict.fromkeys(["’", "›", "&apos;"], "'"),
    **dict.fromkeys(["‘", "‹", "‛"], "`"),
    **{"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"},
    **{"&amp;": "&", "&lt;": "<", "&gt;": ">", "&mdash;": "--", "&ndash;": "--", "–": "--", "—": "--", "―": "--"},
    **{"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "£": "#", "€": "$", "¢": "cents", "…": "..."},
}


def _plain(token: str) -> str:
    return token.replace("\xad", "").replace("&amp;", "&")


def _apostrophe(token: str) -> str:
    return re.sub(_APOS, "'", token).replace("‘", "`").replace("‛", "`")


def _symbol(token: str) -> str:
    return _SYMBOLS.get(token.lower(), token)


def _smiley(token: str) -> str:
    return token.replace("(", "-lrb-").replace(")", "-rrb-")


def _nothing(token: str) -> str:
    return ""


# A group marks the token where the rest of the match is only looked at: it counts toward the length that decides.
_RULES: list[tuple[str, Callable[[str], str]]] = [
    (r"(?i:(can)not|(gon|wan)na|(got)ta|(gim|lem)me)", _plain),
    (r"(?i:('t)(?:is|was))", _plain),
    (rf"(?i:([a-z]*[a-mo-z])n{_QUOTE}t)", _plain),
    (rf"(?i:n{_QUOTE}t[a-z]*)", _apostrophe),
    (rf"(?i:((?:{_WORD}|\d+)){_APOS}(?:[msd]|re|ve|ll))(?![A-Za-z])", _plain),
    (rf"(?i:{_APOS}(?:[msd]|re|ve|ll))(?![A-Za-z])", _apostrophe),
    (rf"(?i:{_APOS}(?:n{_APOS}|n(?![a-z])|em|till?|cause|[2-9]0s)|[ldj]{_APOS})|{_APOS}\d\d(?=[\s.,;:!?])", _plain),
    (rf"(?i:(y{_APOS})[a-z]|somethin{_APOS}|ol{_APOS}|c{_APOS}mon|ma{_APOS}am|[eo]{_APOS}er|ne{_APOS}er)", _plain),
    (rf"(?i:s{_APOS}mores|shi{_APOS}ites?|qu{_APOS}est)", _plain),
    (rf"(?i:([a-z]+){_APOS}n{_APOS}[a-z])", _plain),
    (_WORD, _plain),
    (rf"{_PART}(?:[-‐‑]{_PART})*", _plain),
    # An abbreviation, this tokenizer thinks, as no sentence ends before a comma.
    (rf"((?:{_WORD}|{_PART}(?:[-‐‑]{_PART})*)\.)[,;:、]", _plain),
    (r"[A-Za-z0-9][A-Za-z0-9.,]*(?:-(?:[A-Za-z0-9]+|[A-Za-z](?:\.[A-Za-z])+\.))+", _plain),
    (r"[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+|[cC](?:\+\+|#)|[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+", _plain),
    (r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}", _plain),
    (rf"(?i:(?:{'|'.join(_ABBREVIATIONS)})\.)|(?:{'|'.join(_CAPITAL_ABBREVIATIONS)})\.", _plain),
    (r"(?i:(?:no|nos|fig|figs|pp|prop|art|op|ca)\.)(?=\s*\d)", _plain),
    (rf"(?i:[a-z](?:\.[a-z])+\.|ph\.d\.)|[A-Za-z]\.(?!\s+(?:{'|'.join(_SENTENCE_STARTERS)})\s)", _plain),
    (r"[-+]?(?:\d*(?:[.:,]\d+)+|\d+)", _plain),
    (r"(?:\d{1,4}[- ])?\d{1,4}(?:\\?/|⁄)\d{1,4}", lambda token: token.replace(" ", "\xa0")),
    (r"\d{1,2}([-/])\d{1,2}\1\d{2,4}", _plain),
    (r"[⁺⁻]?[⁰¹²³⁴-⁹]+|[₊₋]?[₀-₉]+", _plain),
    (r"https?://[^\s<>\"|(){}.]+\.[^\s<>\"|(){}]*[^\s<>\"|(){}.!?,;:'-]", _plain),
    (
        r"(?i:www\.(?:[^\s<>\"|.!?(){},]+\.)+[a-z]{2,4}|(?:[^\s<>\"|.!?(){},'`$_-]+\.)+(?:com|net|org|edu))(?![a-z])",
        _plain,
    ),
    (r"<?[A-Za-z0-9][^\s\"<>|()]*@(?:[^\s\"<>|().]+\.)*[^\s\"<>|().]+>?|@[A-Za-z_][A-Za-z0-9_]*|#[A-Za-z_]+", _plain),
    (rf"(?i:[a-z0-9]+(?:\.[a-z0-9]+)*\.(?:{'|'.join(_FILE_TYPES)}))(?![A-Za-z0-9])", _plain),
    (r"[<>]?[:;=][-o*']?(?:[()DPdpO\\{@|\[\]](?![A-Za-z]))|[-^x=~<>']_[-^x=~<>']", _smiley),
    (r"</?[A-Za-z][A-Za-z0-9:.-]*\s*/?>", _plain),
    (r"&(?:[aeiouAEIOU](?:acute|grave|uml)|#\d+);", _plain),
    (r"[A-Z]*\$", _plain),
    (r"-+", lambda token: token if len(token) > 4 else "-" if len(token) == 1 else "--"),
    (r"\.{3,5}|(?:\. ){2,4}\.", lambda token: "..."),
    (r"[?!]+|\*+|_+|#+|@+|<<|>>", _plain),
    (r"''|``|[`'\"“”‘’‛«»‹›()\[\]{}–—―½¼¾⅓⅔£€¢…]|(?i:&(?:amp|lt|gt|quot|apos|mdash|ndash);)", _symbol),
    (r"&nbsp;|[\u2012\u200b-\u200f\ufe0f‐‑「」\U00010000-\U0010ffff]", _nothing),
    (r"\S", _plain),
]
_COMPILED = [(re.compile(pattern), spell) for pattern, spell in _RULES]
_ORDINARY = re.compile(r"[A-Za-z]+(?=\s)")
_SPLIT_WORDS = frozenset(["cannot", "gonna", "wanna", "gotta", "gimme", "lemme"])


def _tokens(text: str) -> list[str]:
    text = text.replace("\n", " ") + " "
    tokens, position = [], 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        # Nearly every word of a caption is letters alone: no rule reads more than these.
        ordinary = _ORDINARY.match(text, position)
        if ordinary and ordinary.group().lower() not in _SPLIT_WORDS:
            tokens.append(ordinary.group())
            position = ordinary.end()
            continue
        matches = ((rule.match(text, position), spell) for rule, spell in _COMPILED)
        match, spell = max(((m, s) for m, s in matches if m), key=lambda found: found[0].end())
        # A date's separator is a group too, but lies inside the match: only a group at its start is a token.
        start, end = next((span for span in match.regs[1:] if span[0] == position), match.span())
        tokens.append(spell(text[start:end]))
        position = end
    return tokens


def ptb_tokenize(text: str) -> str:
    """The words that the reference scorer counts, separated by single spaces.

    Lower case, ``don't`` as ``do n't``, punctuation removed. A line break counts as a space.
    """
    words = [token.lower() for token in _tokens(text)]
    return " ".join(word for word in words if word and word not in PUNCTUATION)
