"""The small language of the built-in speech: commands to a house, and numbers."""

from __future__ import annotations

from random import Random

DIGITS = "zero one two three four five six seven eight nine".split()
HOURS = "one two three four five six seven eight nine ten eleven".split()
TENS = "thirty forty fifty sixty seventy eighty ninety".split()
ROOMS = "kitchen bedroom bathroom garage hall office garden attic".split()
SWITCHED = "lights heater fan radio television".split()
MOVED = "window door blinds curtains".split()
MUSIC = "jazz rock opera piano".split()
CITIES = "london paris madrid berlin dublin vienna".split()
DAYS = "monday tuesday wednesday friday sunday".split()
PEOPLE = "anna peter maria david lucy robert".split()
WEATHERS = "cold warm windy sunny".split()
TASKS = ("water the plants", "feed the cat", "clean the windows", "buy some bread")


def sentence(random: Random) -> str:
    """One command of 4 to 9 words: lower case, no punctuation."""
    pick = random.choice
    room, hour = pick(ROOMS), pick(HOURS)
    when = pick([f"on {day}" for day in DAYS] + [f"at {hour}" for hour in HOURS])
    digits = " ".join(pick(DIGITS) for _ in range(random.randint(3, 6)))
    degrees = pick(["nineteen", "twenty", "twenty one", "twenty two", "twenty three", "twenty four"])
    # Each has several hundred sentences at least: as all are to be different, one with fewer would become rare.
    templates = (
        f"turn {pick(['on', 'off'])} the {room} {pick(SWITCHED)} at {hour}",
        f"turn {pick(['on', 'off'])} the {pick(SWITCHED)} in the {room} {when}",
        f"{pick(['open', 'close'])} the {room} {pick(MOVED)} {pick([when, 'now'])}".removesuffix(" now"),
        f"heat the {room} to {degrees} degrees {when}",
        f"dim the {room} lights to {pick(TENS)} percent {when}",
        f"play {pick(MUSIC)} in the {room} {when}",
        f"wake {pick(PEOPLE)} on {pick(DAYS)} at {hour} {pick(TENS[:3])}",
        f"tell {pick(PEOPLE)} to {pick(TASKS)} {when}",
        f"will it be {pick(WEATHERS)} in {pick(CITIES)} {when}",
        f"call {digits}",
        f"the code is {digits}",
    )
    return pick(templates)


def sentences(count: int, seed: int) -> list[str]:
    """``count`` sentences, all of them different."""
    random = Random(seed)
    found: dict[str, None] = {}
    for _ in range(100 * count + 1000):
        if len(found) == count:
            break
        found.setdefault(sentence(random))
    else:
        raise ValueError(f"no {count} different sentences could be made")
    return list(found)
