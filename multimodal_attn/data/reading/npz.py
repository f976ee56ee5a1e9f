"""Numpy's archives of arrays, of unknown origin: the sizes that they claim are checked before anything is read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

_MOST_NUMBERS = 1 << 26  # of an array: 512 MB of doubles


class Npz:
    """The arrays of a file, each read when it is asked for.

    An archive of a megabyte may hold a terabyte of zeros, or say that it does.

    Args:
        path: of the file.

    Attributes:
        keys: of the arrays, in their order.

    Raises:
        ValueError: if it is no such archive.
    """

    def __init__(self, path: Path) -> None:
        try:
            if not zipfile.is_zipfile(path):  # numpy would take it for a single array, and begin to read it
                raise ValueError("is no archive, or is not there")
            self._arrays = np.load(path, allow_pickle=False)
        except Exception as error:  # whatever the libraries stumble over
            raise ValueError(f"'{path}' {error}; expected an npz of arrays by key") from None
        self.keys = tuple(self._arrays.files)

    def read(self, key: str) -> np.ndarray:
        """An array.

        Raises:
            ValueError: if there is none, or it is damaged, too large or none of numbers.
        """
        try:
            archive = self._arrays.zip
            with archive.open(key if key in archive.namelist() else f"{key}.npy") as file:
                first = np.lib.format.read_magic(file) == (1, 0)
                header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shape, _, kind = header(file)
            if kind.hasobject or math.prod(shape) > _MOST_NUMBERS:
                raise ValueError(f"{kind} of shape {shape}; expected at most {_MOST_NUMBERS:,} numbers")
            array: np.ndarray = self._arrays[key]
        except Exception as error:  # as above
            raise ValueError(f"no array of numbers ({error})") from None
        return array
