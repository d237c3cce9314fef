"""Files of a run folder as they are read: what taut wrote, or one line that names the damaged file.

JSON and arrays hold the SHA-256 of the rest of their file; files of an earlier taut have none.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from taut.core import InputError, option, write_json
from taut.runs.packed import unpacked

__all__ = [
    "DAMAGE",
    "FORMAT",
    "SEALED",
    "read_arrays",
    "read_json",
    "reading",
    "reason",
    "write_sealed_json",
]

FORMAT = 3  # of model.json, and of the files beside it
SEALED = 3  # the format from which on they hold checksums
_SEAL = "sha256"
# What content of another form raises where it is taken apart.
DAMAGE = (
    ArithmeticError, AttributeError, LookupError, OSError, RecursionError, SafetensorError, TypeError,
    ValueError,
)  # fmt: skip


@contextlib.contextmanager
def reading(path: Path | str, *, remedy: str | None = None) -> Iterator[Path]:
    """What fails within is told as damage of the file that is read there.

    Arguments:
        path: of the file.
        remedy: what to try; a backup or fitting again by default.

    Raises:
        InputError: the file is not there, cannot be read, or is not what taut wrote.
    """
    path = Path(path)
    remedy = remedy or f"a backup of the file, or fitting again with {option('force', True)}"
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a folder" if path.is_dir() else "no file that holds anything")
        yield path
    except FileNotFoundError:
        raise InputError(
            "a finished run", f"no {path.name}", remedy, where=str(path.parent)
        ) from None
    except InputError:
        raise  # whoever raised it knows more
    except DAMAGE as error:
        raise InputError(
            f"the {path.name} that taut wrote", f"another or a damaged one: {reason(error)}",
            remedy, where=str(path),
        ) from error  # fmt: skip


def read_json(
    path: Path | str,
    *,
    newest: int | None = None,
    remedy: str | None = None,
) -> dict[str, Any]:
    """The object that a JSON file holds, without its seal.

    Arguments:
        path: of the file.
        newest: the newest format that can be read; None for files that say none.
        remedy: as of `reading`.

    Raises:
        InputError: as `reading`, or a newer format, or a checksum that does not hold.
    """
    with reading(path, remedy=remedy) as file:
        content = json.loads(file.read_bytes(), parse_constant=_refuse_constant)
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} instead of an object")
        if newest is not None and content["format"] > newest:
            raise InputError(
                f"format {newest} or older", f"format {content['format']}", "`pip install -U taut`",
                where=str(path),
            )  # fmt: skip
        seal = content.pop(_SEAL, None)
        if seal is None and content.get("format", 0) >= SEALED:
            raise ValueError("it has no checksum")
        if seal is not None and seal != _digest(content):
            raise ValueError("its checksum does not hold")
    return content


def write_sealed_json(path: Path | str, content: Mapping[str, Any]) -> Path:
    """Write a JSON object in one step, with the checksum that `read_json` holds it against."""
    plain = json.loads(json.dumps(content))  # as it will be read
    return write_json(path, {**plain, _SEAL: _digest(plain)})


def read_arrays(
    path: Path | str, *, sealed: bool = False, remedy: str | None = None
) -> dict[str, np.ndarray]:
    """The arrays that a file holds.

    Arguments:
        path: of the file.
        sealed: refuse a file without a checksum.
        remedy: as of `reading`.

    Raises:
        InputError: as `reading`, or a checksum that does not hold.
    """
    with reading(path, remedy=remedy) as file:
        found = unpacked(file.read_bytes())
        if sealed and _SEAL not in found.header:
            raise ValueError("it has no checksum")
    return found.arrays


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word}, which is no JSON")


def reason(error: Exception) -> str:
    """What is wrong with a file, in a few words, by what reading it has raised."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = (str(error).splitlines() or [""])[0].rstrip(".")
    if isinstance(error, KeyError):
        return f"no {text}"
    if isinstance(error, json.JSONDecodeError) and error.doc == "":
        return "an empty file"
    return text if len(text) <= 120 else f"{text[:117]}..."
