"""What `taut fidelity` prints."""

from rich.console import Console

from taut.audit.fidelity import Fidelity
from taut.report.tables import _print_line, _print_table

__all__ = ["fidelity_page"]

_WORST = 3


def fidelity_page(console: Console, found: Fidelity) -> None:
    """Print the scores, the columns and pairs that are least alike, and what the nearest rows tell."""
    made, train, held_out = found.rows
    both = (found.synthetic, found.training)
    scores = {
        "shapes of columns": [one.shape for one in both],
        "trends of pairs": [one.trend for one in both],
        "classifier two-sample test": [one.two_sample for one in both],
    }
    rows = [(name, *(f"{value:.3f}" for value in pair)) for name, pair in scores.items()]
    _print_table(console, ["1 is alike", "synthetic", "training"], rows, words=(0,))
    _print_line(
        console,
        f"{made:,} synthetic rows, and as many of {train:,} training rows at most, each beside "
        f"{held_out:,} held-out ones.",
    )
    shapes = sorted(zip(found.synthetic.shapes, found.columns, strict=True))[:_WORST]
    worst = [f"{name} {score:.3f}" for score, name in shapes]
    worst += [f"{a} and {b} {score:.3f}" for a, b, score in found.worst_pairs(_WORST)]
    _print_line(console, f"Least alike: {', '.join(worst)}.")
    records = found.records
    _print_line(
        console,
        f"Nearest to a training row: {records.to_training:.1%} of synthetic rows, "
        f"{records.by_chance:.1%} by chance, with an error of {records.error:.1%}; copies of one: "
        f"{records.copies:.1%}, of held-out rows {records.held_out_copies:.1%}.",
    )
    verdict = (
        "training rows show in the synthetic ones" if records.memorised else "no row is remembered"
    )
    _print_line(console, f"Verdict: {verdict}.")
