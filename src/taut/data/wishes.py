"""What is said of columns that their values do not show, in words or in a file of columns.

age=count                                        a kind alone
age={kind = "count", missing = [-999]}           as a table of TOML

[age]                                            the same in a file such as columns.toml
kind = "count"
missing = [-999]
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from taut.data.kinds import ColumnKind, Wish
from taut.data.number_names import number_name
from taut.data.schema import Schema
from taut.errors import InputError, nearest, option

__all__ = ["check_wished", "columns_toml", "read_columns", "wish_texts", "wishes_of"]

_KINDS = get_args(ColumnKind)[:-1]
_LIKELIHOODS = ("gaussian", "student-t")
_TABLE = re.compile(r"^(.*?)=(\{.*\})$", re.DOTALL)
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def wishes_of(texts: Sequence[str], *, where: str) -> dict[str, Wish]:
    """Wishes by the names of their columns; later ones before earlier ones of the same column.

    Arguments:
        texts: `column=kind`, or `column={...}` with a table of TOML.
        where: for messages.

    Raises:
        InputError: another form, an unknown kind or key.
    """
    found = {}
    for text in texts:
        if (own := _TABLE.match(text)) is not None:
            name, content = own[1], _toml(f"wish = {own[2]}", where=where)["wish"]
        else:
            name, sign, kind = text.rpartition("=")
            if not sign:
                raise InputError("column=kind", f"'{text}'", "age=count", where=where)
            content = {"kind": kind}
        found[name] = _wish(content, name, where=where).after(found.get(name, Wish()))
    return found


def check_wished(wishes: Mapping[str, Wish], names: Sequence[str], where: str) -> None:
    """Refuse a wish for a column that is not there."""
    for name in wishes:
        if name not in names:
            raise InputError("a column of the data", f"'{name}'", nearest(name, names), where=where)


def wish_texts(kind: str | Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Wishes as `wishes_of` reads them, from a mapping of columns to kinds or to their keys."""
    if isinstance(kind, Mapping):
        tables = {n: v if isinstance(v, Mapping) else {"kind": v} for n, v in kind.items()}
        return tuple(f"{name}={_inline(own)}" for name, own in tables.items())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def read_columns(path: str) -> tuple[str, ...]:
    """The wishes of a file, as `wishes_of` reads them.

    Raises:
        InputError: no such file; no TOML; a column that is no table, an unknown kind or key.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        got = "no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
        raise InputError(
            "a file of columns", got,
            f"`taut show DATA` with {option('out', Path(path).name)}, which writes one", where=path,
        ) from None  # fmt: skip
    content = _toml(text, where=path)
    for name, own in content.items():
        _wish(own, name, where=path)
    return tuple(f"{name}={_inline(own)}" for name, own in content.items() if own)


def columns_toml(schema: Schema) -> str:
    """The columns of a table as `read_columns` reads them, with what each is in a comment."""
    assert schema.kinds is not None
    lines = []
    for name, column in zip(schema.columns or (), schema.kinds, strict=True):
        lines += ["", f"[{name if _BARE.match(name) else _quoted(name)}]  # {column.reason}"]
        if column.kind != "constant":
            lines.append(f"kind = {_quoted(column.kind)}")
        if column.kind == "ordinal":
            lines.append(f"levels = [{', '.join(map(_quoted, column.names))}]")
        if column.likelihood:
            lines.append(f"likelihood = {_quoted(column.likelihood)}")
        if column.missing:
            lines.append(f"missing = [{', '.join(map(_quoted, column.missing))}]")
    return "\n".join(lines[1:]) + "\n"


def _wish(content: Any, name: str, *, where: str) -> Wish:
    place = f"{where}, column '{name}'"
    if not isinstance(content, Mapping):
        raise InputError(
            "a table for each column", repr(content), f'[{name}] and kind = "count" below it',
            where=place,
        )  # fmt: skip
    known = tuple(item.name for item in fields(Wish))
    for key in content:
        if key not in known:
            raise InputError(
                f"one of {', '.join(known)}", f"'{key}'", nearest(key, known), where=place
            )
    _one_of(
        content.get("kind"), _KINDS, f"one of {', '.join(_KINDS)} for the column '{name}'", where
    )
    _one_of(content.get("likelihood"), _LIKELIHOODS, " or ".join(_LIKELIHOODS), place)
    bounds = content.get("bounds")
    if bounds is not None and not (
        isinstance(bounds, list)
        and [type(b) for b in bounds] == [int, int]
        and bounds[0] < bounds[1]
    ):
        raise InputError(
            "two whole numbers, the least and the greatest", repr(bounds), "bounds = [1, 5]",
            where=place,
        )  # fmt: skip
    return Wish(
        content.get("kind"),
        _texts(content, "levels", '["low", "middle", "high"]', place),
        None if bounds is None else (bounds[0], bounds[1]),
        content.get("likelihood"),
        _texts(content, "missing", '[-999, "unknown"]', place),
    )


def _one_of(value: Any, known: Sequence[str], expected: str, where: str) -> None:
    if value is not None and value not in known:
        raise InputError(expected, f"'{value}'", nearest(str(value), known), where=where)


def _texts(content: Mapping[str, Any], key: str, example: str, place: str) -> tuple[str, ...]:
    """A list of numbers or words, as the cells of a source spell them."""
    found = content.get(key, [])
    if not isinstance(found, list | tuple) or any(isinstance(v, bool | list | dict) for v in found):
        raise InputError(
            "a list of numbers or words", repr(found), f"{key} = {example}", where=place
        )
    return tuple(number_name(v) if isinstance(v, int | float) else str(v) for v in found)


def _toml(text: str, *, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InputError("TOML", str(error), "mending that line", where=where) from None


def _inline(content: Mapping[str, Any]) -> str:
    """A table of one line; a kind alone as a word."""
    if content.keys() == {"kind"}:
        return str(content["kind"])
    told = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    return f"{{{', '.join(told)}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
