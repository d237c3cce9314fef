"""TOML files: read with one line for what is wrong, written from nested tables."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from taut.core import InputError

__all__ = ["read_toml", "to_toml"]


def read_toml(path: Path | str) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file is missing, a folder, or not TOML.
    """
    path, text = Path(path), ""
    try:
        text = path.read_text()
        return tomllib.loads(text)
    except FileNotFoundError:
        raise InputError("a TOML file", "no such file", "the right path", where=str(path)) from None
    except IsADirectoryError:
        raise InputError(
            "a TOML file", "a folder", f"{path}/config.toml", where=str(path)
        ) from None
    except RecursionError:
        raise InputError(
            "TOML", "lists nested too deeply", "mending the file", where=str(path)
        ) from None
    except OSError as error:
        raise InputError(
            "a TOML file that can be read", str(error.strerror), "another path", where=str(path)
        ) from None
    except ValueError as error:  # of TOML, of its encoding, or of a number of thousands of digits
        what = str(error).replace(
            "at end of document", f"at the end, line {len(text.splitlines())}"
        )
        raise InputError("TOML", what, "mending that line", where=str(path)) from None


def to_toml(content: Mapping[str, Any]) -> str:
    """A nested table as TOML; None is left out."""
    return tomli_w.dumps(_present(content))


def _present(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {k: _present(v) for k, v in content.items() if v is not None}
    return content
