"""Names of files and arguments in UTF-8, whatever the locale says."""

from __future__ import annotations

import os
import sys


def ensure_utf8() -> None:
    """Starts this program anew in Python's UTF-8 mode where names of files would be taken for another encoding.

    Python decides at its start. In an ASCII locale without its UTF-8 mode, a name in a list of recordings could not be
    opened that has a letter beyond ASCII. To be called by a script, before anything else.
    """
    if sys.getfilesystemencoding() != "utf-8" and sys.executable and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"  # of processes that this one starts
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
