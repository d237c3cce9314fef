"""One line on standard error: many passes, totals that rows are drawn at, units of deviations."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taut.architectures import AbstractArchitecture
    from taut.core import AbstractPair
    from taut.data import Column, Schema
    from taut.fitted import Fit
    from taut.gradients import AbstractEstimator

__all__ = [
    "announce",
    "announce_deviations",
    "announce_line",
    "announce_sampling",
    "announce_totals",
]


def announce(
    model: "AbstractArchitecture", schema: "Schema", gradient: "AbstractEstimator | None"
) -> None:
    """What fitting a model will take, and drawing from it later."""
    import equinox as eqx
    import jax

    from taut.architectures.passes import density_passes, sampling_passes

    notes: list[str | None] = []

    def look() -> None:
        pair = model.init(schema, jax.random.key(0))
        notes.extend((density_passes(pair, gradient), sampling_passes(pair)))

    eqx.filter_eval_shape(look)  # the shapes say it all
    for note in notes:
        _say(note)


def announce_sampling(pair: "AbstractPair") -> None:
    """What drawing rows will take."""
    from taut.architectures.passes import sampling_passes

    _say(sampling_passes(pair))


def announce_totals(fit: "Fit") -> None:
    """At which totals rows are drawn, where counts are given the totals of their rows."""
    from taut.fitted.row_totals import is_given_totals
    from taut.models.likelihoods import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

    model: Any = fit.model
    if is_given_totals(model):
        inflated = isinstance(model.likelihood, ZeroInflatedNegativeBinomial | ZeroInflatedPoisson)
        _say(
            _totals_drawn_at(fit, model) + ("; extra zeros take from the total" if inflated else "")
        )


def _totals_drawn_at(fit: "Fit", model: Any) -> str:
    from taut.fitted.row_totals import library_size
    from taut.report.words import total_words

    size = library_size(model)
    if size is not None:
        return (
            f"rows are drawn at a total of {size:,g} counts, the run's --library-size, whatever the "
            "totals of its data are"
        )
    if fit.facts.totals:
        return f"rows are drawn at totals like those of training rows, {total_words(fit.facts)}"
    return (
        f"rows are drawn at a total of {model.likelihood.usual_total:,g} counts, for this run does "
        "not hold the totals of its training rows; one that is fitted anew does"
    )


def announce_line(fit: "Fit") -> None:
    """At which totals a line between two rows is decoded, where counts are given these."""
    from taut.fitted.row_totals import is_given_totals

    if is_given_totals(fit.model):
        _say(
            "the line is decoded at totals that go from that of the first row to that of the second"
        )


def announce_deviations(columns: "Mapping[str, Column]") -> None:
    """In what the deviations of columns of dates are, by their names."""
    dates = {name: column.unit for name, column in columns.items() if column.form}
    for unit in dict.fromkeys(dates.values()):
        names = ", ".join(f"'{name}'" for name, own in dates.items() if own == unit)
        _say(f"deviations of dates are in {unit}: {names}")


def _say(note: str | None) -> None:
    if note is not None:
        print(f"note: {note}", file=sys.stderr)
