"""A figure in memory, which a notebook shows and a script saves."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taut.core.files import write_atomically

__all__ = ["Picture"]

_SIZE = slice(16, 24)  # width and height in the header of a PNG


class Picture:
    """A figure as PNG.

    Attributes:
        png: its bytes.
    """

    def __init__(self, png: bytes):
        self.png = png

    @classmethod
    def of(cls, draw: Callable[[Path], Any]) -> "Picture":
        """What a function of a path draws there."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figure.png"
            draw(path)
            return cls(path.read_bytes())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.png[_SIZE][:4], self.png[_SIZE][4:]
        return int.from_bytes(width, "big"), int.from_bytes(height, "big")

    def save(self, path: Path | str) -> Path:
        """Write it to a file, at once or not at all.

        Raises:
            OSError: the folder is missing or cannot be written.
        """
        return write_atomically(path, lambda file: file.write(self.png))

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        width, height = self.size
        return f"Picture({width} x {height} pixels; .save(path) writes a PNG)"
