"""What `taut fidelity` prints."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from taut.audit.fidelity import Fidelity
from taut.report.tables import _print_line, _print_table

__all__ = ["compared_words", "fidelity_page", "likeness", "record_words"]

_WORST = 3


def fidelity_page(
    console: Console, found: Fidelity, *, of: str = "test", synthetic_source: str | None = None
) -> None:
    """Print the scores, the columns and pairs that are least alike, and what the nearest rows tell.

    Arguments:
        console: where to print.
        found: the comparison.
        of: the held-out rows: `test` for the run's own, or their file.
        synthetic_source: the file of the synthetic rows; None for those of the model.
    """
    content = {"of": of, "synthetic_source": synthetic_source, **found.to_dict()}
    rows = [
        (name, *("nan" if value is None else f"{value:.3f}" for value in pair))
        for name, pair in likeness(content).items()
    ]
    _print_table(console, ["1 is alike", "synthetic", "training"], rows, words=(0,))
    _print_line(console, f"{compared_words(content)}.")
    shapes = sorted(zip(found.synthetic.shapes, found.columns, strict=True))[:_WORST]
    worst = [f"{name} {score:.3f}" for score, name in shapes]
    worst += [f"{a} and {b} {score:.3f}" for a, b, score in found.worst_pairs(_WORST)]
    _print_line(console, f"Least alike: {', '.join(worst)}.")
    for said in record_words(content["records"]):
        _print_line(console, f"{said}.")


def likeness(content: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Each score of synthetic rows and of training rows; `content` as of `Fidelity.to_dict`."""
    names = {
        "shapes of columns": "shape",
        "trends of pairs": "trend",
        "classifier two-sample test": "two_sample",
    }
    both = [content[of] for of in ("synthetic", "training")]
    return {words: [one[name] for one in both] for words, name in names.items()}


def compared_words(content: Mapping[str, Any]) -> str:
    """What was compared with what; contents that name no rows are of those of the run."""
    made, train, held_out = (content["rows"][n] for n in ("synthetic", "training", "held_out"))
    source, of = content.get("synthetic_source"), content.get("of", "test")
    whose = "" if source is None else f" of {source}"
    others = "" if of == "test" else f" of {of}"
    return (
        f"{made:,} synthetic rows{whose}, and as many of {train:,} training rows at most, each beside "
        f"{held_out:,} held-out ones{others}"
    )


def record_words(records: Mapping[str, Any]) -> tuple[str, str]:
    """What the nearest real rows tell, and the verdict; records without `copied` are of taut 0.1."""
    if records["memorised"]:
        verdict = "training rows show in the synthetic ones"
    elif records.get("copied"):
        verdict = (
            "copies of training rows are more than chance has, though no more is near to these than to "
            "held-out rows: what made the synthetic rows may have seen both, or makes few kinds of rows"
        )
    else:
        verdict = "no row is remembered"
    return (
        f"Nearest to a training row: {records['to_training']:.1%} of synthetic rows, "
        f"{records['by_chance']:.1%} by chance, with an error of {records['error']:.1%}; copies of one: "
        f"{records['copies']:.1%}, of held-out rows {records['held_out_copies']:.1%}",
        f"Verdict: {verdict}",
    )
