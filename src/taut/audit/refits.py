"""Simulation-based calibration of a program: data are simulated from it, and it is fitted to each anew.

    theta_n ~ p(theta),    x_n ~ p(x | theta_n),    theta_n1 ... theta_nL ~ the fit to x_n

Ranks of theta_n among the draws are uniform if fits are posteriors (`calibration`, for the definition
and sources). Ranked are all parameters in natural units and two quantities that look at data, log p(x
given z) and log p(x, z). It judges fits of data that the program makes, over its whole prior; of the
user's own data it says nothing.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.audit.calibration import FEWEST_ROWS, Calibration, of_ranks
from taut.core import LOG_LIKELIHOOD, Datum, InputError, RunError, check_count, option, total
from taut.core.compiling import shared_jit
from taut.core.kept_rows import kept_rows
from taut.inference.posterior import PosteriorOptions, fit_posterior
from taut.inference.posterior.verdict import DOUBT
from taut.models.program import (
    AbstractProgram,
    Bounded,
    Edged,
    NamedValues,
    NumPyroProgram,
    given_observed,
    made_data,
    with_observed,
)

__all__ = ["calibration_by_refits", "check_refits", "price_refits", "remade"]

_ROUNDING = 64.0  # of the unit in the last place, within which two numbers are one


def calibration_by_refits(
    model: AbstractProgram,
    datum: Datum,
    options: PosteriorOptions,
    *,
    key: PRNGKeyArray,
    refits: int,
    num_draws: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Calibration:
    """Fit a program to data sets of its own making, and rank what made them.

    Arguments:
        model: the program.
        datum: its data, of whose shapes the simulated ones are.
        options: of every fit.
        key: everything random follows from it.
        refits: N.
        num_draws: L, posterior draws of each fit.
        seconds: what all fits together may take, as far as the second tells.
        tell: gets one sentence, what they will take, before the third starts.

    Raises:
        InputError: a log-joint, minibatches, an improper prior, a factor or scale; too few refits or
            draws, or more of them than there is time for.
    """
    program = check_refits(model, datum, options, refits, fewest=FEWEST_ROWS, where="calibrate")
    num_draws = check_count(num_draws, "at least one draw a fit", "100", where="draws")
    latents, observed, given = remade(program, datum, key, refits)
    densities = _densities(given)
    names = [*NamedValues.of(program, datum).coordinates[: len(program.coordinates)]]
    names += ["log p(x given z)", "log p(x, z)"]

    def refit(number: int) -> dict[str, Any]:
        one = with_observed(datum, jax.tree.map(lambda leaf: leaf[number], observed))
        truth = {site.name: latents[site.name][number] for site in program.sites}
        own = jax.random.fold_in(key, number)
        try:
            found = fit_posterior(given, one, options, key=own)
        except (InputError, RunError):
            return {"ranks": np.full((1, len(names)), np.nan), "doubted": [False], "failed": [True]}
        generator = np.random.default_rng(np.asarray(jax.random.key_data(own), np.uint32))
        weights = found.draws.weights / found.draws.weights.sum()
        chosen = generator.choice(len(weights), num_draws, p=weights)
        drawn = found.values.values(found.draws.z[chosen])
        mine, others = _quantities(densities, one, truth, drawn)
        doubt = found.verdict.verdict == DOUBT
        return {
            "ranks": _ranks(mine, others, generator)[None], "doubted": [doubt], "failed": [False],
        }  # fmt: skip

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        return price_refits(
            refit, begin, refits, seconds, tell, fewest=FEWEST_ROWS, where="calibrate"
        )

    columns = kept_rows(blocks, refits)
    ranks = columns["ranks"][~columns["failed"]]
    doubted, failed = (int(columns[name].sum()) for name in ("doubted", "failed"))
    notes = [
        "fits of data that the program makes are judged, over its whole prior, not the fit of yours"
    ]
    if doubted:
        notes.append(f"the verdict on {doubted} of {refits} fits is not to believe them")
    if failed:
        notes.append(f"{failed} of {refits} fits ended in an error and have no rank")
    if len(ranks) < FEWEST_ROWS:
        raise RunError(
            f"at least {FEWEST_ROWS} fits that end", f"{len(ranks)} of {refits}",
            "priors under which the program can be fitted", where="calibrate",
        )  # fmt: skip
    told = of_ranks(names, ranks, num_draws=num_draws, notes=tuple(notes))
    return told._replace(judged="data sets")


def check_refits(
    model: AbstractProgram,
    datum: Datum,
    options: PosteriorOptions,
    refits: int,
    *,
    fewest: int,
    where: str,
) -> NumPyroProgram:
    """The program that makes data; `where` is what asks, for messages.

    Raises:
        InputError: a log-joint, minibatches, an improper prior, or fewer refits than `fewest`.
    """
    while isinstance(model, (Bounded, Edged)):
        model = model.program
    if not isinstance(model, NumPyroProgram):
        raise InputError(
            "a NumPyro program, which makes data", "a log-joint, which is a density alone",
            "a program", where=where,
        )  # fmt: skip
    if options.subsample or model.reading.plate is not None:
        raise InputError("fits to all rows", "minibatches", "all rows", where=where)
    if model.has_free_constant(datum):
        raise InputError(
            "priors that can be drawn from", "an improper one", "proper priors", where=model.name
        )
    wish = f"at least {fewest} refits, as fewer show no fault"
    check_count(refits, wish, option("refits", 100), where="refits", least=fewest)
    return model


def remade(
    program: NumPyroProgram, datum: Datum, key: PRNGKeyArray, refits: int
) -> tuple[dict[str, Array], dict[str, Array], NumPyroProgram]:
    """Latents and observed values of data sets that the program makes, a leading axis over these, and
    the program that is fitted to them.

    Arguments:
        program: as `check_refits` returns it.
        datum: its data, of whose shapes the made ones are.
        key: fold `refits` of it draws.
        refits: N.

    Raises:
        InputError: a factor or scale, or a prior that nothing can be drawn from.
    """
    made = shared_jit(jax.vmap(lambda key: made_data(program, datum, key)))
    latents, observed = made(jax.random.split(jax.random.fold_in(key, refits), refits))
    return latents, observed, given_observed(program, jax.tree.map(lambda leaf: leaf[0], observed))


def price_refits(
    refit: Callable[[int], dict[str, Any]],
    begin: int,
    refits: int,
    seconds: float,
    tell: Callable[[str], None],
    *,
    fewest: int,
    where: str,
) -> Iterator[dict[str, Any]]:
    """The refits one after the other; the second says what all take, and too much is refused.

    Arguments:
        refit: from its number to what is kept of it.
        begin: number of the first.
        refits: N.
        seconds: what all of them may take.
        tell: gets one sentence, what they will take.
        fewest: that a remedy may name.
        where: what asks, for the message.

    Raises:
        InputError: more of them than there is time for.
    """
    began = time.perf_counter()
    for number in range(begin, refits):
        yield refit(number)
        if number == begin:
            began = time.perf_counter()  # the first compiles
        elif number == begin + 1:
            _price(time.perf_counter() - began, refits - begin, seconds, tell, fewest, where)


def _price(
    each: float, refits: int, seconds: float, tell: Callable[[str], None], fewest: int, where: str
) -> None:
    """Say what the fits take, and refuse what takes too long."""
    whole = each * refits
    if whole > seconds:
        most = max(int(seconds / each), fewest)
        raise InputError(
            f"refits within {seconds:g} seconds", f"{refits}, of {each:.2g} s each",
            f"{option('seconds', math.ceil(1.2 * whole))}"
            + (f", or {option('refits', most)}" if most * each <= seconds else ""),
            where=where,
        )  # fmt: skip
    more = "more where draws are moved to the posterior"
    tell(f"{refits} refits take {whole:.2g} seconds, as the second took {each:.2g}, or {more}")


def _densities(model: NumPyroProgram) -> Callable[[Datum, dict[str, Any]], Any]:
    """log p(x given z) and log p(x, z) at many values of the latents, (K, 2), compiled once."""

    def both(datum: Datum, values: dict[str, Array]) -> Array:
        terms = model.terms(datum, model.unconstrain(values))
        return jnp.stack([terms[LOG_LIKELIHOOD], total(terms)])

    return shared_jit(jax.vmap(both, in_axes=(None, 0)))


def _quantities(
    densities: Callable, datum: Datum, truth: dict[str, Array], drawn: dict[str, np.ndarray]
) -> tuple[Float[np.ndarray, " Q"], Float[np.ndarray, "L Q"]]:
    """Every quantity at the truth and at the draws."""
    both = {n: np.concatenate([np.asarray(truth[n])[None], drawn[n]]) for n in truth}
    found = np.asarray(densities(datum, both))
    cells = [value.reshape(len(value), -1) for value in both.values()]
    table = np.concatenate([*cells, found], axis=1)
    return table[0], table[1:]


def _ranks(
    mine: Float[np.ndarray, " Q"], others: Float[np.ndarray, "L Q"], generator: np.random.Generator
) -> Float[np.ndarray, " Q"]:
    near = _ROUNDING * np.finfo(float).eps * np.abs(mine)
    ties = np.sum(np.abs(others - mine) <= near, axis=0)
    below = np.sum(others < mine - near, axis=0)
    return (below + generator.random(len(mine)) * (ties + 1)) / (len(others) + 1)
