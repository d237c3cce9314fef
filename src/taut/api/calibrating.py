"""`fit.calibrate` and `posterior.calibrate`: guides judged by what made simulated data."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import Datum, as_key
from taut.core.memory import within_memory
from taut.evidence.simulated import simulated
from taut.fitted import Fit, Posterior
from taut.fitted.row_totals import drawn_totals
from taut.guides import LowRankGaussian
from taut.inference.posterior import PosteriorOptions
from taut.program_cache import compilation_cache

if TYPE_CHECKING:
    from taut.audit import Calibration

__all__ = ["calibrate", "calibrate_posterior", "options_of"]


@compilation_cache()
def calibrate(fit: Fit, *, rows: int = 1000, draws: int = 100, key: Any = 0) -> "Calibration":
    """Simulation-based calibration of the guide: whether its draws are those of the posterior.

    The guide is judged on rows that the model makes, not on those it was fitted to: it may do better or
    worse on these where the model is wrong about them. Counts given their row's total are made at
    totals like those of training rows, as `fit.sample` has them.

    Arguments:
        rows: simulated rows.
        draws: of the guide for each.
        key: whole number or random key.

    Returns:
        a `Calibration`, with `passes`, `verdict` and the ranks of every quantity.

    Raises:
        InputError: a model that draws no rows, whose inference is exact, or that is a chain of layers;
            counts that hardly ever come to the total of their row, as with many extra zeros; fewer rows
            or draws than ranks say something by.
    """
    from taut.audit.calibration import calibration, check_can_be_judged

    with jax.enable_x64(fit.precision == "float64"), within_memory(rows=rows, draws=draws):
        made_key, fit_key, draw_key = jax.random.split(as_key(key), 3)
        form = _form(fit, made_key, rows)
        model, guide = fit.pair.bind()
        check_can_be_judged(model, guide, form, num_rows=rows, num_draws=draws)
        made = simulated(model, form, rows, key=made_key)
        serving, _ = fit.serving(made.rows, fit_key)
        return calibration(*serving.bind(), made, key=draw_key, num_draws=draws, notes=_notes(fit))


@compilation_cache()
def calibrate_posterior(
    posterior: Posterior,
    *,
    refits: int = 100,
    draws: int = 100,
    seconds: float = 600.0,
    key: Any = 0,
    options: PosteriorOptions | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> "Calibration":
    """Simulation-based calibration of the program's fits: it is fitted anew to data of its own making.

    Parameters are drawn from their priors, data from these, and the program is fitted to each of the
    data sets as `taut.infer` does; the parameters are ranked among the draws of the fit.

    Arguments:
        refits: data sets, of the shapes of the user's.
        draws: of each fit.
        seconds: what all fits may take; judged after the second, before the others start.
        key: whole number or random key.
        options: of every fit; None for the guide of this posterior and what `taut.infer` does unasked.
        tell: gets one sentence before the third fit: what all of them take.

    Returns:
        a `Calibration`, with `passes`, `verdict` and the ranks of every quantity.

    Raises:
        InputError: a log-joint, minibatches, an improper prior, a factor or scale; fewer refits or draws
            than ranks say something by; more of them than there are seconds for.
        RunError: too many fits end in errors.
    """
    from taut.audit.refits import calibration_by_refits

    asked = options or options_of(posterior)
    with jax.enable_x64(asked.precision == "float64"), within_memory(draws=draws):
        return calibration_by_refits(
            posterior.model, posterior.datum, asked,
            key=as_key(key), refits=refits, num_draws=draws, seconds=seconds, tell=tell,
        )  # fmt: skip


def options_of(posterior: Posterior) -> PosteriorOptions:
    """What refits of a program take unasked: the guide and the precision of a posterior."""
    precision: Any = str(posterior.z.dtype)
    family = getattr(posterior.guide, "family", None)
    rank = f":{family.rank}" if isinstance(family, LowRankGaussian) else ""
    guide = posterior.layers or f"{posterior.family}{rank}"
    return PosteriorOptions(guide=guide, precision=precision)


def _form(fit: Fit, key: PRNGKeyArray, count: int) -> Datum:
    """Rows of which simulated ones take their types, and their totals where they are given some."""
    totals = drawn_totals(fit, key, count)
    x = np.zeros((1 if totals is None else count, fit.schema.size), fit.precision)
    if totals is not None:
        x[:, 0] = np.round(totals)
    return Datum(x.reshape(-1, *fit.schema.shape), index=np.arange(len(x), dtype=np.int32))


def _notes(fit: Fit) -> tuple[str, ...]:
    notes = ["the guide is judged on rows simulated from the model, not on those it was fitted to"]
    if fit.facts.objective_departure:
        notes.append(
            f"the run climbed another objective ({fit.facts.objective_departure}), whose best guide is "
            "not the posterior, by which it is judged here"
        )
    return tuple(notes)
