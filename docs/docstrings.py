"""Docstrings as they are written in the source, into the reStructuredText that Sphinx reads.

They are plain text: a line that is set in further is an equation or code, as one between fences is, and
`*` and `|` are themselves.
"""

import re

__all__ = ["as_rst", "types_as_rst"]

_SECTION = re.compile(r"^(Attributes|Arguments|Args|Returns|Raises|Yields|Example|Examples):$")
_QUOTED = re.compile(r"(`[^`]*`)")


def as_rst(app, what, name, obj, options, lines: list[str]) -> None:
    """Rewrite the lines of one docstring in place: Sphinx's `autodoc-process-docstring`."""
    found: list[str] = []
    in_section = literal = fenced = False
    for number, line in enumerate(lines):
        set_in = len(line) - len(line.lstrip())
        if line.lstrip().startswith("```"):
            fenced = not fenced
            found += [" " * set_in + "::", ""] if fenced else [""]
            continue
        if fenced:
            found.append("    " + line)
            continue
        if _SECTION.match(line):
            in_section, literal = True, False
        elif line and not set_in:
            in_section, literal = False, False
        before = lines[number - 1] if number else ""
        if set_in and not in_section and not literal and not before.strip():
            found += ["::", ""]
            literal = True
        found.append(line if literal else _escaped(line))
    lines[:] = found


def types_as_rst(app, what, name, obj, options, lines: list[str]) -> None:
    """Rewrite the types of attributes, which are taken from annotations."""
    lines[:] = [_escaped(line) if line.startswith(":vartype ") else line for line in lines]


def _escaped(line: str) -> str:
    """A line whose stars, bars and trailing underscores outside of code stand for themselves."""
    parts = _QUOTED.split(line)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*|]|\w_(?=\W|$))", _with_slash, part)
        for part in parts
    )


def _with_slash(match: re.Match) -> str:
    return match[0][:-1] + "\\" + match[0][-1]
