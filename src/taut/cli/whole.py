"""Whole numbers as they are typed: 5, -3, +7. The parser by itself rounds 1.5 to 2."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

__all__ = ["LIMIT", "Whole", "whole"]

LIMIT = 2**63  # whole numbers are below it, as 64 bits hold them


def whole(_: Any, tokens: Sequence[Token]) -> int:
    """The number that was typed.

    Raises:
        ValueError: it is no whole number, or does not fit 64 bits.
    """
    text = tokens[0].value
    if not re.fullmatch(r"[+-]?\d{1,30}", text) or not -LIMIT <= int(text) < LIMIT:
        raise ValueError(text)
    return int(text)


Whole = Annotated[int, Parameter(converter=whole)]
