"""One line on standard error, before the work begins: many passes, or totals that rows are drawn at."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taut.architectures import AbstractArchitecture
    from taut.core import AbstractPair
    from taut.data import Schema
    from taut.fitted import Fit
    from taut.gradients import AbstractEstimator

__all__ = ["announce", "announce_line", "announce_sampling", "announce_totals"]


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


def _say(note: str | None) -> None:
    if note is not None:
        print(f"note: {note}", file=sys.stderr)
