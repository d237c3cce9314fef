"""`fit.summary()` and `posterior.summary()`: the table that the command line prints at the end."""

import io
from collections.abc import Callable
from typing import Any

from taut.fitted import Fit, Posterior, coordinate_columns

__all__ = ["Summary", "summary", "summary_of_posterior"]

_WIDTH = 100  # letters of a line


class Summary(str):
    """Text that a prompt shows as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary(fit: Fit) -> Summary:
    """Numbers with side and both errors, then what is known of the fit, then notes."""
    from taut.report.tables import summary_table
    from taut.report.words import ESTIMATES, fact_words

    named = {ESTIMATES.get(name, name): number for name, number in fit.estimates.items()}
    model = {"model": fit.architecture.name, "data": fit.schema.name}
    facts = {**model, **fact_words(fit.facts)}
    return _printed(lambda to: summary_table(to, named, facts=facts, notes=fit.facts.notes))


def summary_of_posterior(posterior: Posterior) -> Summary:
    """Coordinates under guide and weights, the bounds, then what is known, then notes."""
    from taut.report.posterior import coordinate_table, posterior_table
    from taut.report.words import POSTERIOR_ESTIMATES, posterior_words

    raw, resampled, facts = posterior.raw, posterior.resampled, posterior.facts
    columns = coordinate_columns(posterior.coordinates, raw, resampled)
    named = {POSTERIOR_ESTIMATES.get(n, n): e for n, e in posterior.estimates.items()}

    def both(to: Any) -> None:
        coordinate_table(to, columns)
        posterior_table(to, named, facts=posterior_words(facts), notes=facts.notes)

    return _printed(both)


def _printed(show: Callable[[Any], None]) -> Summary:
    """What a function prints to a console that is no terminal."""
    from rich.console import Console

    text = io.StringIO()
    show(Console(file=text, width=_WIDTH))
    return Summary(text.getvalue().strip("\n"))
