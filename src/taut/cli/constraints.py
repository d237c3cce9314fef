"""Constraints on answers as they are typed.

--immutable sex --increase-only age --range age=18:90 --causal "age>education>income"
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from taut.errors import InputError, nearest, option

if TYPE_CHECKING:
    from taut.counterfactuals import Constraints
    from taut.data import Schema

__all__ = ["asked_constraints"]


def asked_constraints(
    schema: "Schema",
    *,
    immutable: Sequence[str],
    increase_only: Sequence[str],
    decrease_only: Sequence[str],
    ranges: Sequence[str],
    causal: Sequence[str],
) -> "Constraints | None":
    """Constraints of a table by its columns.

    Arguments:
        schema: of the run.
        immutable, increase_only, decrease_only: names of columns, several with commas between them.
        ranges: COLUMN=LOW:HIGH, either end of which may be left out.
        causal: CAUSE>EFFECT, columns with > between them.

    Returns:
        the constraints, or None where there are none.

    Raises:
        InputError: no table; no such column; a range of another form.
    """
    from taut.counterfactuals import Constraints

    asked = {
        "immutable": immutable, "increase_only": increase_only, "decrease_only": decrease_only,
        "range": ranges, "causal": causal,
    }  # fmt: skip
    if schema.kind != "table" or schema.columns is None:
        given = next((name for name, words in asked.items() if words), None)
        if given is not None:
            raise InputError(
                "a run on a table whose columns have names", "one without", "leaving it out",
                where=option(given),
            )  # fmt: skip
        return None
    columns = schema.columns
    if not any(asked.values()):
        return None
    return Constraints(
        immutable=_columns(immutable, columns, "immutable"),
        rising=_columns(increase_only, columns, "increase_only"),
        falling=_columns(decrease_only, columns, "decrease_only"),
        ranges=dict(_range(text, columns) for text in ranges),
        causal=[
            [_column(name.strip(), columns, "causal") for name in text.split(">")]
            for text in causal
        ],
    )


def _columns(words: Sequence[str], columns: Sequence[str], where: str) -> list[str]:
    """The columns that were named, of which a name may have commas itself."""
    found = []
    for word in words:
        for name in [word] if word in columns else word.split(","):
            found.append(_column(name.strip(), columns, where))
    return found


def _column(name: str, columns: Sequence[str], where: str) -> str:
    if name not in columns:
        raise InputError(
            "a column of the run", repr(name), nearest(name, columns), where=option(where)
        )
    return name


def _range(text: str, columns: Sequence[str]) -> tuple[str, tuple[float, float]]:
    name, _, ends = text.rpartition("=")
    low, colon, high = ends.partition(":")
    try:
        if not colon or not name:
            raise ValueError
        values = float(low or "-inf"), float(high or "inf")
    except ValueError:
        raise InputError(
            "COLUMN=LOW:HIGH", repr(text), f"{columns[0]}=0:1", where=option("range")
        ) from None
    return _column(name.strip(), columns, "range"), values
