"""Tables for the terminal, and the same as plain text where the output is a file or a pipe.

Columns of numbers are never cut. A file gets every line at its full length; in a terminal long names
and sides are folded instead.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taut.core import Estimate, FarRows, InputError, counted, far_rows_of
from taut.evidence import Bracket, Evidence
from taut.report.bracket import nats, quoted
from taut.report.numbers import (
    cells,
    in_errors,
    paired_words,
    percent,
    rows_words,
    worst_khats,
)
from taut.report.words import method_words

__all__ = [
    "bracket_table",
    "comparison_table",
    "evidence_table",
    "facts_table",
    "summary_table",
]

_FLAGS = (
    "moved by few rows",
    "no bound",
    "not finite",
    "subsampled",
    "support not covered",
    "unreliable",
)
_WIDEST_NAME = 28
_LISTED = 3  # far rows that are named in a line
_WORST = 5  # rows of which a line gives the k-hat
_BETWEEN = 2  # letters between two columns


def summary_table(
    console: Console,
    estimates: Mapping[str, Estimate],
    *,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> None:
    """Print the end of a fit: its numbers, then facts as `name  value` lines, then notes.

    Arguments:
        console: where to print.
        estimates: by the words that name them.
        facts: by name.
        notes: printed last, as sentences.
    """
    rows = [(name, *cells(estimate)) for name, estimate in estimates.items()]
    _print_table(console, ["", *_headings(console), "unit", "side"], rows, words=(0, 4, 5))
    counts = sorted({e.count for e in estimates.values()})
    if counts:
        _print_line(
            console,
            f"Means over {rows_words(counts)}. {_pm(console)} draws: standard error over other draws of "
            f"z; {_pm(console)} rows: over other rows.",
        )
    _print_far_rows(console, estimates)
    _print_facts(console, facts)
    _print_notes(console, notes)


def evidence_table(console: Console, found: Mapping[str, Evidence]) -> None:
    """Print estimators of the same rows' evidence side by side, and how far to trust each.

    Arguments:
        console: where to print.
        found: the evidence by each method, by its name in the registry.
    """
    sides = [_evidence_rows(console, e) for e in found.values()]
    rows = [(same[0][0], *(value for _, value in same)) for same in zip(*sides, strict=True)]
    _print_table(console, ["", *found], rows, words=(0,))
    count = next(iter(found.values())).log_evidence.count
    _print_line(console, f"Means over {counted(count, 'row')}, nats per row.")
    for name, evidence in found.items():
        how = method_words(name, at_random=evidence.at_random)
        _print_line(console, f"{name}: {how}, {evidence.log_evidence}")
        if evidence.upper is not None:
            low, high = evidence.log_evidence.value, evidence.upper.value
            _print_line(
                console,
                f"{name}: a bracket of {high - low:.3f} nats, up to {high:.3f}, whose upper end is "
                f"{evidence.upper.words}",
            )
        for note in evidence.notes:
            _print_line(console, f"{name}: {note}")
    if len(found) > 1:
        _print_line(
            console,
            "Unless exact, these are lower bounds in expectation: of two that can be trusted, the "
            "larger is the tighter.",
        )
    bounds: dict[str, Estimate] = {}
    for name, evidence in found.items():
        bounds |= {f"log-evidence, {name}": evidence.log_evidence, f"ELBO, {name}": evidence.elbo}
    _print_far_rows(console, bounds)
    for name, evidence in found.items():
        _print_worst_rows(console, name, evidence)


def bracket_table(console: Console, bracket: Bracket, facts: Mapping[str, str]) -> None:
    """Print what each method found, cost and bought, then the number to quote in one line.

    Arguments:
        console: where to print.
        bracket: of the rows.
        facts: printed before the last line, by name.
    """
    run = [(step, step.evidence) for step in bracket.steps if step.evidence is not None]
    rows = [
        (
            step.method,
            *cells(found.log_evidence)[:2],
            "-" if found.log_evidence.side == "exact" else percent(found.share_unreliable),
            nats(step.width),
            "-" if math.isnan(step.raised) else f"{step.raised:+.3f}",
            f"{step.seconds:.1f}",
        )
        for step, found in run
    ]
    headings = [
        "",
        "log-evidence",
        f"{_pm(console)} draws",
        "flagged",
        "bracket",
        "gain",
        "seconds",
    ]
    _print_table(console, headings, rows, words=(0,))
    _print_line(
        console,
        f"Means over {counted(bracket.lower.count, 'row')}, nats per row. Flagged: rows that cannot be "
        "trusted; bracket: its width after the method; gain: of the number to quote.",
    )
    said: dict[str, list[str]] = {}
    for step in bracket.steps:
        for note in step.evidence.notes if step.evidence is not None else (step.reason,):
            said.setdefault(note, []).append(step.method)
    for note, methods in said.items():
        _print_line(console, f"{', '.join(methods)}: {note}")
    best = bracket.evidence
    _print_far_rows(console, {"log-evidence": best.log_evidence, "ELBO": best.elbo})
    _print_worst_rows(console, bracket.method, best)
    _print_facts(console, facts)
    console.print()
    _print_line(console, quoted(bracket.to_dict()))


def comparison_table(
    console: Console, names: Sequence[str], differences: Mapping[str, Estimate]
) -> None:
    """Print differences between two runs on the same data, first minus second.

    Arguments:
        console: where to print.
        names: the two fits.
        differences: paired differences, by the words that name the quantity.

    Raises:
        InputError: not two names.
    """
    if len(names) != 2:
        raise InputError("two fits", f"{len(names)}", "comparing them in pairs", where="compare")
    rows = [
        (name, row.value, row.draws, row.rows, in_errors(difference), row.unit, row.side)
        for name, difference in differences.items()
        for row in [cells(difference)]
    ]
    headings = ["first - second", *_headings(console), "in errors", "unit", "side"]
    _print_facts(console, {"first": names[0], "second": names[1]})
    _print_table(console, headings, rows, words=(0, 5, 6))
    _print_far_rows(console, differences)
    _print_line(console, paired_words(differences.values()))


def facts_table(console: Console, title: str, facts: Mapping[str, str]) -> None:
    """Print a title and `name  value` lines."""
    console.print()
    console.print(_text(console, title, style="bold"), soft_wrap=True)
    _print_facts(console, facts)


def _evidence_rows(console: Console, evidence: Evidence) -> list[tuple[str, str]]:
    log_evidence, elbo = cells(evidence.log_evidence), cells(evidence.elbo)
    draws, rows = (f"  {_pm(console)} {other}" for other in ("draws", "rows"))
    drawn = evidence.at_random
    return [
        ("draws per row, K", f"{evidence.num_particles if drawn else 'none at random'}"),
        ("log-evidence", log_evidence.value),
        (draws, log_evidence.draws),
        (rows, log_evidence.rows),
        ("  side", log_evidence.side),
        ("ELBO of the same draws", elbo.value),
        (draws, elbo.draws),
        (rows, elbo.rows),
        *(zip(_TRUST, _trusted(evidence) if drawn else ("-",) * len(_TRUST), strict=True)),
    ]


_TRUST = (
    "ESS, median of rows",
    "ESS, least of rows",
    "k-hat threshold",
    "rows with k-hat above it",
)


def _trusted(evidence: Evidence) -> tuple[str, str, str, str]:
    ess = evidence.known_ess
    return (
        f"{np.median(ess):.1f}" if ess.size else "unknown",
        f"{np.min(ess):.1f}" if ess.size else "unknown",
        f"{evidence.khat_threshold:.2f}",
        _share_above(evidence),
    )


def _share_above(evidence: Evidence) -> str:
    missing = int(np.sum(np.isnan(evidence.khat)))
    if np.isneginf(evidence.khat).all():
        return "none, weights without a tail"
    if missing == evidence.khat.size:
        return "unknown, too few draws"
    above = evidence.above_threshold
    apart = evidence.halves[above & np.isfinite(evidence.halves)]
    return (
        f"{percent(float(above.mean()))}, {counted(int(above.sum()), 'row')}"
        + (f", {missing} of them unknown" if missing else "")
        + (
            f"; two halves of the draws differ there by {apart.mean():.2g} nats"
            if apart.size
            else ""
        )
    )


def _print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    *,
    words: Sequence[int],
) -> None:
    """Print a table; the columns of `words` may be folded between words, the others never."""
    columns = [[heading, *(row[i] for row in rows)] for i, heading in enumerate(headings)]
    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    widths = _widths(columns, words, room=console.width if console.is_terminal else None)
    for i, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        justify = "left" if i in words else "right"
        table.add_column(_text(console, heading), justify=justify, width=width)
    for row in rows:
        # What is flagged must not be used unread.
        flagged = any(flag in cell for cell in row for flag in _FLAGS)
        table.add_row(*(_text(console, cell) for cell in row), style="yellow" if flagged else "")
    console.print()
    whole = console.options.update(width=sum(widths) + _BETWEEN * len(widths))
    for segments in console.render_lines(table, whole, pad=False):
        line = Text.assemble(*((s.text, s.style or "") for s in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print()


def _widths(columns: Sequence[Sequence[str]], words: Sequence[int], room: int | None) -> list[int]:
    """Widths in letters: natural ones, but columns of words give way where there is no room."""
    widths = [max(map(cell_len, column)) for column in columns]
    if room is None:
        return widths
    least = [
        max(cell_len(word) for cell in columns[i] for word in [*cell.split(), ""]) for i in words
    ]
    while sum(widths) + _BETWEEN * len(widths) > room:
        spare = {i: widths[i] for i, floor in zip(words, least, strict=True) if widths[i] > floor}
        if not spare:
            break
        widths[max(spare, key=lambda i: spare[i])] -= 1
    return widths


def _print_far_rows(console: Console, estimates: Mapping[str, Estimate]) -> None:
    """The rows that move each mean, and the mean without them."""
    lines = {f"  {name}": _without_far(far) for name, far in far_rows_of(estimates).items()}
    if lines:
        _print_line(
            console,
            "Rows that alone move a mean by more than its error, by their numbers in the data, from 0:",
        )
        _print_facts(console, lines)


def _print_worst_rows(console: Console, name: str, evidence: Evidence) -> None:
    if evidence.at_random and (listed := worst_khats(evidence, _WORST)):
        _print_line(console, f"Rows with the largest k-hat, {name}: {listed}")


def _without_far(far: FarRows) -> str:
    listed = ", ".join(
        f"{row} ({value:.6g})" for row, value in zip(far.rows[:_LISTED], far.values, strict=False)
    )
    more = len(far.rows) - _LISTED
    rows = f"{'row' if len(far.rows) == 1 else 'rows'} {listed}" + (
        f" and {more} more" if more > 0 else ""
    )
    return f"{rows}; " + (f"without: {far.others}" if far.others else "no other row is finite")


def _print_facts(console: Console, facts: Mapping[str, str]) -> None:
    # Soft wrapping puts no line breaks into paths, so that they can be copied.
    width = min(max(map(len, facts), default=0), _WIDEST_NAME)
    for name, value in facts.items():
        line = _text(console, f"{name:<{width}}", style="dim")
        console.print(line.append(_text(console, f"  {value}", style="not dim")), soft_wrap=True)


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for sentence in notes:
        _print_line(console, f"Note: {sentence}")


def _print_line(console: Console, line: str) -> None:
    console.print(_text(console, line), soft_wrap=not console.is_terminal)


def _headings(console: Console) -> list[str]:
    return ["value", f"{_pm(console)} draws", f"{_pm(console)} rows"]


def _pm(console: Console) -> str:
    return "+/-" if console.options.ascii_only else "±"


def _text(console: Console, text: str, *, style: str = "") -> Text:
    """Text as it is: brackets are not markup, and what the encoding lacks becomes a question mark."""
    encoding = console.encoding
    return Text(text.encode(encoding, "replace").decode(encoding), style=style)
