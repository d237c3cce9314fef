"""`taut.infer`: the posterior of any log-joint or NumPyro program, with a verdict on it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import Datum, InputError, RunError, as_key, host_generator
from taut.evidence import weighted_moments
from taut.fitted.posterior import Posterior
from taut.inference.posterior import Starts
from taut.inference.posterior.climbing import INITS, Climb, Wishes, climbed, initial
from taut.inference.posterior.guide_choice import GUIDES, GuideChoice, choose_guide
from taut.inference.posterior.natural import Natural
from taut.inference.posterior.targets import program_of
from taut.inference.posterior.verdict import judge
from taut.inference.posterior.weighing import Weighed, more_even, weigh
from taut.models.program import AbstractProgram, NumPyroProgram, check_start

__all__ = ["GUIDES", "infer"]

_MOST_WEIGHED = 1000  # coordinates: a covariance of a million entries
_CELLS = 4e9  # data cells x draws that weighing may cost: about a minute


def infer(
    target: Callable | AbstractProgram,
    *,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
    guide: str | None = None,
    precision_nats: float = 0.1,
    num_starts: int = 4,
    init: Literal["random", "pathfinder"] = "random",
    num_draws: int | None = None,
    subsample: Mapping[str, int] | None = None,
    key: int | PRNGKeyArray = 0,
    precision: Literal["float32", "float64"] = "float64",
) -> Posterior:
    """Fit q(z) to p(z | x) by maximising the ELBO, weigh its draws, and say whether to believe them.

    Arguments:
        target: a NumPyro program; with `support`, a log-joint of named parameters; or a program that
            was read already.
        data: its arrays and settings by name.
        support: for each parameter of a log-joint its support, and its shape.
        guide: one of `GUIDES`, a low-rank one with its rank where wished (`low-rank:4`), or layers of a
            flow (`spline-coupling:4`, `planar:8`); None for full-rank up to 150 latent coordinates,
            else low-rank. A flow starts from that default, and the better of the two is kept.
        precision_nats: the ascent stops when the estimated remaining gain in the ELBO, with its
            standard error, is below.
        num_starts: starts that climb; the highest goes on.
        init: where they begin: `random`, or `pathfinder` near the bulk (Zhang et al. 2022).
        num_draws: weighted draws for the evidence, k-hat and moments; None for 10 000, fewer where
            the data are many.
        subsample: rows in a minibatch by name of a plate. The guide is then structured by that plate,
            and climbs by stochastic gradients; all rows are used to judge it, and to weigh its draws.
        key: whole number or random key; everything random follows from it.
        precision: of all arithmetic; gradients of log-densities that add up over many rows lose in
            float32 what a bound to a tenth of a nat needs.

    Returns:
        a `Posterior`.

    Raises:
        InputError: the program, its data or an option cannot be used.
        RunError: no start has a finite bound, or the bound rises without end.
    """
    _check(precision_nats, num_starts, init, num_draws, precision)
    with jax.enable_x64(precision == "float64"):
        began = time.perf_counter()
        model, datum = program_of(target, data, support, subsample)
        choice = choose_guide(guide, model.dim, subsampled=bool(subsample))
        wishes = Wishes(precision_nats, num_starts, init)
        return _fitted(model, datum, choice, wishes, num_draws, key, began)


def _fitted(
    part: AbstractProgram,
    datum: Datum,
    choice: GuideChoice,
    wishes: Wishes,
    num_draws: int | None,
    key: int | PRNGKeyArray,
    began: float,
) -> Posterior:
    seconds = {"reading": time.perf_counter() - began}
    generator = host_generator(as_key(key))
    model = part
    if isinstance(part, NumPyroProgram) and choice.family == "structured":
        model = part.all_rows()
    if model.dim > _MOST_WEIGHED:
        raise InputError(
            f"at most {_MOST_WEIGHED} latent coordinates in all, whose draws can be weighed",
            f"{model.dim}",
            "summing the rows' latents out of the program",
            where="infer",
        )
    tick = time.perf_counter()
    try:
        climb = climbed(choice, part, model, datum, generator, wishes)
    except RunError:
        # Whatever the first evaluation shows tells more than that the bound cannot be climbed.
        check_start(model, datum, jnp.asarray(initial(model, generator)))
        raise
    seconds["ascent"] = time.perf_counter() - tick

    tick = time.perf_counter()
    climb, weighed, notes = _chosen(climb, num_draws or _affordable(datum), generator)
    natural = Natural.of(model, datum)
    table = natural.table(weighed.z)
    raw, resampled = (
        weighted_moments(table[: weighed.num_guide]),
        weighted_moments(table, weighed.weights),
    )
    verdict = judge(
        guide=choice.family,
        converged=climb.fitted.converged,
        precision_nats=wishes.precision_nats,
        separate=_separate(climb.starts),
        khat=weighed.khat,
        threshold=weighed.threshold,
        largest=weighed.largest,
        ess=weighed.ess,
        raw=raw.first(natural.num_latents),
        resampled=resampled.first(natural.num_latents),
    )
    seconds["weighing"] = time.perf_counter() - tick
    estimates = {
        "elbo": weighed.elbo,
        "log_evidence": weighed.log_evidence,
        "remaining_gain": climb.fitted.remaining,
    }
    return Posterior(
        natural=natural,
        guide=climb.drawable.guide(climb.fitted.guide),
        family=climb.choice.family,
        layers=climb.choice.layers,
        estimates=estimates,
        khat=weighed.khat,
        guide_khat=weighed.guide_khat,
        khat_threshold=weighed.threshold,
        ess=weighed.ess,
        raw=raw,
        resampled=resampled,
        verdict=verdict,
        trace=climb.fitted.rounds,
        starts=climb.starts,
        notes=(*notes, *_left_out(natural)),
        seconds=seconds,
        z=weighed.z,
        num_guide=weighed.num_guide,
        weights=weighed.weights,
    )


def _chosen(
    climb: Climb, count: int, generator: np.random.Generator
) -> tuple[Climb, Weighed, tuple[str, ...]]:
    """The guide, or its rival where the rival's draws weigh more evenly, and what to tell of it."""

    def weighed(one: Climb) -> Weighed:
        return weigh(one.drawable, one.fitted.guide, count=count, generator=generator)

    found = weighed(climb)
    if climb.rival is None:
        return climb, found, climb.notes
    other = weighed(climb.rival)
    kept = more_even(found, other)
    pairs = [(climb, found), (climb.rival, other)]
    (chosen, best), (_, beaten) = pairs if kept else pairs[::-1]
    names = [climb.choice.layers, climb.rival.choice.family]
    first, second = names if kept else names[::-1]
    note = (
        f"{first} is kept, with {best.ess:.0f} effective draws and k-hat {best.khat:.2f}, rather than "
        f"{second}, with {beaten.ess:.0f} and {beaten.khat:.2f}"
    )
    return chosen, best, (*climb.notes, note)


def _left_out(natural: Natural) -> tuple[str, ...]:
    if not natural.left_out:
        return ()
    names = ", ".join(natural.left_out)
    return (f"derived values of many cells are not reported: {names}",)


def _separate(starts: Starts | None) -> tuple[tuple[float, float], ...]:
    if starts is None:
        return ()
    others = (s for i, s in enumerate(starts.starts) if i != starts.winner)
    return tuple((start.behind.value, start.distance) for start in others)


def _affordable(datum: Datum) -> int:
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum))
    return int(np.clip(_CELLS / max(cells, 1), 1000, 10_000))


def _check(
    precision_nats: float, num_starts: int, init: str, num_draws: int | None, precision: str
) -> None:
    if not precision_nats > 0:
        raise InputError("a positive precision", f"{precision_nats}", "0.1", where="precision_nats")
    if num_starts < 1:
        raise InputError("at least one start", f"{num_starts}", "4", where="num_starts")
    if init not in INITS:
        raise InputError(" or ".join(INITS), repr(init), "pathfinder", where="init")
    if num_draws is not None and num_draws < 100:
        raise InputError("at least 100 draws", f"{num_draws}", "10000", where="num_draws")
    if precision not in ("float32", "float64"):
        raise InputError("float32 or float64", repr(precision), "float64", where="precision")
