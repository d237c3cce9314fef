"""HTML from Python: elements whose text is escaped unless it is markup already.

    element("p", "a < b", class_="note")        <p class="note">a &lt; b</p>

Names of columns, paths and notes are the user's: whatever is no `Markup` is text.
"""

import html
from collections.abc import Iterable
from typing import Any

__all__ = ["Markup", "element", "joined"]

_VOID = frozenset({"br", "img", "meta"})
_DRAWN = frozenset({"line", "path", "rect"})  # of SVG, whose empty elements end in a slash


class Markup(str):
    """HTML that stands as it is."""

    __slots__ = ()


def element(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """One element.

    Arguments:
        name: of the element.
        children: markup, text, or iterables of these; None is left out.
        attributes: by name, a trailing underscore dropped and others made hyphens; None and False leave
            one out, True has no value.
    """
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    if name in _DRAWN:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: Any) -> Markup:
    """Markup and text one after the other."""
    return Markup("".join(map(_child, children)))


def _child(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, Iterable) and not isinstance(child, str):
        return joined(*child)
    return _text(child)


def _text(value: Any) -> str:
    """Escaped; characters that HTML has no place for, and halves of pairs, become question marks."""
    shown = "".join(c if _allowed(ord(c)) else "�" for c in str(value))
    return html.escape(shown)


def _allowed(code: int) -> bool:
    if 0xD800 <= code <= 0xDFFF or (code & 0xFFFE) == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return False
    return code in (0x9, 0xA) or 0x20 <= code < 0x7F or code >= 0xA0
