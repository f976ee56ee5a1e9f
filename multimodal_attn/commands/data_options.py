"""Options of the commands that are about data and evaluated runs, not about a model at work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Commands = Any
"""What ``add_subparsers`` gives; argparse's own type of it is private."""


def listed(text: str) -> list[str]:
    """The items of a list with commas between them."""
    return text.split(",")


def add_compare(commands: Commands) -> None:
    """The options of ``multimodal-attn compare``."""
    command = commands.add_parser("compare", help="put evaluated runs side by side")
    command.add_argument("runs", nargs="+", type=Path, help="folders of evaluated runs, or folders that hold some")
    command.add_argument("--split", default="val", help="whose evaluations (default: val)")
    command.add_argument(
        "--metrics",
        type=listed,
        help="figures to show, such as cider_d,pointing_accuracy (default: the headline)",
    )
    command.add_argument(
        "--output", type=Path, default=Path("comparison"), help="folder to write (default: comparison)"
    )


def add_align(commands: Commands) -> None:
    """The options of ``multimodal-attn align``."""
    command = commands.add_parser(
        "align",
        help="find when the words of English recordings are said, by a forced aligner",
        epilog="Evaluate against these times with: multimodal-attn evaluate run=RUN data.word_times=FILE",
    )
    command.add_argument("overrides", nargs="*", help="as for train: data=ljspeech data.root=/path/to/LJSpeech-1.1")
    command.add_argument("--splits", type=listed, default="val", help="which, such as val,test (default: val)")
    command.add_argument("--output", type=Path, help="file to write (default: word_times.jsonl beside the data)")


def add_measure(commands: Commands) -> None:
    """The options of ``multimodal-attn measure``."""
    command = commands.add_parser("measure", help="score maps or word times that another model made")
    command.add_argument("maps", type=Path, help="npz of an array for each key, or a ctm of word times")
    command.add_argument("truth", type=Path, help="jsonl with one source per line: its text and boxes or times")
    command.add_argument("--output", type=Path, default=Path("measured"), help="folder to write (default: measured)")


def add_cache(commands: Commands) -> None:
    """The options of ``multimodal-attn cache``."""
    command = commands.add_parser("cache", help="show what is kept between runs, or delete it")
    command.add_argument("--folder", type=Path, help="of the cache (default: ~/.cache/multimodal_attn)")
    command.add_argument("--empty", action="store_true", help="delete it; a run that needs it makes it again")
    command.add_argument(
        "--older-than",
        dest="older_than_days",
        type=float,
        metavar="DAYS",
        help="with --empty: not used for so long",
    )


def add_shards(commands: Commands) -> None:
    """The options of ``multimodal-attn shards``."""
    command = commands.add_parser(
        "shards",
        help="write a data set into tar files",
        epilog="A run trains from the folder with: multimodal-attn train data=shards data.root=FOLDER",
    )
    command.add_argument("overrides", nargs="*", help="as for train: data=flickr8k data.root=/path/to/flickr8k")
    folder = command.add_mutually_exclusive_group(required=True)
    folder.add_argument("--output", type=Path, help="folder to write, new or empty")
    folder.add_argument("--verify", type=Path, metavar="FOLDER", help="compare a folder's files with their checksums")
    command.add_argument("--splits", type=listed, default="train,val,test", help="which (default: train,val,test)")
    command.add_argument("--shard-megabytes", type=float, default=256, help="about the size of a tar (default: 256)")
