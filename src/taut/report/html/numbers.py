"""Estimates as tables of HTML: value, both errors, unit, side and flags."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taut.core import Estimate, far_rows_of
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import MEANINGS, term
from taut.report.numbers import cells, in_errors

__all__ = ["differences", "estimates", "facts", "table"]

# What must not be read over.
_WARNS = frozenset({"moved by few rows", "no bound", "not finite", "subsampled", "unreliable",
                    "support not covered"})  # fmt: skip


def estimates(
    found: Mapping[str, Estimate],
    *,
    caption: str,
    meanings: Mapping[str, str] | None = None,
    word: Callable[..., Markup] = term,
) -> Markup:
    """A table of numbers, each with its errors and side.

    Arguments:
        found: by the words that name them.
        caption: of the table.
        meanings: keys of `MEANINGS` for names that are not among them.
        word: how a word shows its meaning: `term` on a page, `hint` elsewhere.
    """
    rows = []
    for name, estimate in found.items():
        shown = cells(estimate)
        named = word(name, meaning=(meanings or {}).get(name.strip()))
        rows.append((named, shown.value, shown.draws, shown.rows, shown.unit, _side(estimate)))
    heads = ("", word("value"), word("± draws"), word("± rows"), "unit", word("side"))
    lines = [
        element("li", f"{name}: without row{'s' * (len(far.rows) > 1)} ",
                ", ".join(map(str, far.rows[:5])), ", ..." if len(far.rows) > 5 else "", ": ",
                "no other row is finite" if far.others is None else str(far.others))
        for name, far in far_rows_of(found).items()
    ]  # fmt: skip
    told = [
        element("p", "Rows that alone move a mean by more than its error, by their numbers from 0:"),
        element("ul", lines),
    ] if lines else []  # fmt: skip
    return joined(table(heads, rows, caption=caption, words=(0, 4, 5)), told)


def differences(found: Mapping[str, Estimate], *, caption: str) -> Markup:
    """Paired differences, with how many errors they are."""
    rows = []
    for name, estimate in found.items():
        shown = cells(estimate)
        numbers = (shown.value, shown.draws, shown.rows, in_errors(estimate), shown.unit)
        rows.append((term(name), *numbers, _side(estimate)))
    heads = ("", term("value"), term("± draws"), term("± rows"), term("in errors"), "unit",
             term("side"))  # fmt: skip
    return table(heads, rows, caption=caption, words=(0, 5, 6))


def facts(found: Mapping[str, Any], *, word: Callable[..., Markup] = term) -> Markup:
    """Facts by name; `word` as of `estimates`."""
    rows = [
        element(
            "div", element("dt", word(name) if name in MEANINGS else name), element("dd", value)
        )
        for name, value in found.items()
    ]
    return element("dl", rows, class_="facts")


def table(
    heads: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str,
    words: Sequence[int] = (0,),
) -> Markup:
    """A table whose first column names the rows; columns of `words` are not numbers.

    Where it is wider than the window it scrolls by itself, by keys too.
    """
    looks = ["" if i in words else "number" for i in range(len(heads))]
    head = [
        element("th" if title else "td", title, scope="col" if title else None, class_=look or None)
        for title, look in zip(heads, looks, strict=True)
    ]
    body = [
        element("tr", element("th", row[0], scope="row"), [
            element("td", cell, class_=look or None)
            for cell, look in zip(row[1:], looks[1:], strict=True)
        ])
        for row in rows
    ]  # fmt: skip
    made = element(
        "table", element("caption", caption), element("thead", element("tr", head)),
        element("tbody", body),
    )  # fmt: skip
    return element("div", made, class_="wide", tabindex="0", role="region", aria_label=caption)


def _side(estimate: Estimate) -> Markup:
    warned = bool(estimate.flags & _WARNS)
    return element("span", estimate.words, class_="warns" if warned else None)
