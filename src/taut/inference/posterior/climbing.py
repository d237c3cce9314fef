"""From a chosen family to a fitted guide: starts, ascent, and how the guide is drawn from afterwards."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from taut.core import Datum, Estimate, InputError, RunError, key_from
from taut.inference.posterior.drawable import AbstractDrawable
from taut.inference.posterior.flow_ascent import ascend_flow
from taut.inference.posterior.flow_draws import FlowDraws
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.gaussian_ascent import GaussianAscent
from taut.inference.posterior.guide_choice import GuideChoice, choose_guide, default_gaussian
from taut.inference.posterior.laplace import laplace
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank_ascent import LowRankAscent
from taut.inference.posterior.minibatch_ascent import ascend_minibatches, pilot_density
from taut.inference.posterior.multi_start import Starts, best_start
from taut.inference.posterior.pathfinder import pathfinder
from taut.inference.posterior.sample_average import AbstractAscent, Ascent, sample_average
from taut.models.program import AbstractProgram, NumPyroProgram

__all__ = ["INITS", "Climb", "Wishes", "climbed", "initial"]

INITS = ("random", "pathfinder")
_START_SCALES = (0.1, 0.01, 0.001)  # of the guide at a start, tried in turn
_JUDGED = 8  # size of the draws that a low-rank start averages its curvature over

_ATTEMPTS = 40  # starts of Laplace's method


class Wishes(NamedTuple):
    """What a user asks of the ascent.

    Attributes:
        precision_nats: nats that may remain.
        num_starts: starts that climb.
        init: where they begin.
    """

    precision_nats: float
    num_starts: int
    init: Literal["random", "pathfinder"]


class Climb(NamedTuple):
    """A climbed guide.

    Attributes:
        choice: its family.
        drawable: how it is drawn from.
        fitted: where it ended.
        starts: which start won; None where there was one.
        notes: what a reader should know.
        rival: another guide that was climbed on the way; the one whose draws weigh more evenly is
            kept.
    """

    choice: GuideChoice
    drawable: AbstractDrawable
    fitted: Ascent
    starts: Starts | None
    notes: tuple[str, ...] = ()
    rival: "Climb | None" = None


def climbed(
    choice: GuideChoice,
    part: AbstractProgram,
    model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    wishes: Wishes,
) -> Climb:
    """Climb the bound of a family until the remaining gain is below the precision.

    Arguments:
        choice: the family.
        part: p(x, z) of a minibatch, or of all rows.
        model: p(x, z) of all rows.
        datum: all data.
        generator: of everything random.
        wishes: of the user.

    Raises:
        RunError: no start has a finite bound, or the bound rises without end.
    """
    if choice.family == "flow":
        return _flow(choice, model, datum, generator, wishes)
    density = LogDensity(model, datum)
    full = GaussianAscent(density, model.dim, diagonal=False)
    if choice.family == "structured":
        return _by_minibatches(choice, full, density, part, datum, generator, wishes)
    if choice.family == "laplace":
        return _laplace(choice, full, density, model, generator, wishes)
    diagonal = choice.family in ("mean-field", "low-rank")
    ascent = GaussianAscent(density, model.dim, diagonal=diagonal)
    starts, notes = _starts(ascent, density, model, generator, wishes)
    if choice.family == "low-rank":
        return _low_rank(choice, density, starts, notes, generator, wishes)
    fitted = _averaged(ascent, starts.guide, starts, generator, wishes)
    return Climb(choice, ascent, fitted, starts, notes)


def initial(model: AbstractProgram, generator: np.random.Generator) -> Float[np.ndarray, " d"]:
    """A z to start from: uniform on (-2, 2) in each unconstrained coordinate (Stan's habit)."""
    return generator.uniform(-2.0, 2.0, model.dim)


def _starts(
    ascent: GaussianAscent,
    density: LogDensity,
    model: AbstractProgram,
    generator: np.random.Generator,
    wishes: Wishes,
) -> tuple[Starts, tuple[str, ...]]:
    """The best of several starts."""
    lost = 0

    def start(attempt: int) -> Gaussian:
        nonlocal lost
        z = initial(model, generator)
        scale = _START_SCALES[min(attempt // wishes.num_starts, len(_START_SCALES) - 1)]
        if wishes.init == "pathfinder":
            found = pathfinder(density, z, key=key_from(generator))
            if found is not None:
                return _diagonal(found) if ascent.diagonal else found
            lost += 1
        return Gaussian(z, scale * np.eye(model.dim))

    starts = best_start(
        ascent, start, generator,
        num_starts=wishes.num_starts, precision_nats=wishes.precision_nats,
    )  # fmt: skip
    notes = []
    if starts.num_failed:
        notes.append(f"{starts.num_failed} starts without a finite bound were drawn again")
    if lost:
        notes.append(f"Pathfinder found no finite Gaussian from {lost} starts; they were random")
    return starts, tuple(notes)


def _diagonal(gaussian: Gaussian) -> Gaussian:
    """The mean-field Gaussian closest to a given one in KL(q to p): with its conditional scales."""
    inverse = np.linalg.inv(gaussian.tril)
    return Gaussian(gaussian.mean, np.diag(1 / np.linalg.norm(inverse, axis=0)))


def _averaged(
    ascent: AbstractAscent,
    guide: Any,
    starts: Starts,
    generator: np.random.Generator,
    wishes: Wishes,
) -> Ascent:
    return sample_average(
        ascent, guide, generator,
        precision_nats=wishes.precision_nats, num_steps=starts.num_steps,
    )  # fmt: skip


def _low_rank(
    choice: GuideChoice,
    density: LogDensity,
    starts: Starts,
    notes: tuple[str, ...],
    generator: np.random.Generator,
    wishes: Wishes,
) -> Climb:
    """From the mean-field Gaussian that won."""
    ascent = LowRankAscent(density, len(starts.guide.mean), choice.number)
    guide = ascent.start(starts.guide, ascent.draws(generator, _JUDGED))
    fitted = _averaged(ascent, guide, starts, generator, wishes)
    return Climb(choice, ascent, fitted, starts, notes)


def _flow(
    choice: GuideChoice,
    model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    wishes: Wishes,
) -> Climb:
    """From the Gaussian that is the default for so many coordinates."""
    family = choose_guide(default_gaussian(model.dim), model.dim, subsampled=False)
    begun = climbed(family, model, model, datum, generator, wishes)
    drawable = FlowDraws(begun.drawable.log_density)
    fitted = ascend_flow(
        drawable, model, datum, begun.drawable.moments(begun.fitted.guide), choice.layers,
        key=key_from(generator), precision_nats=wishes.precision_nats,
    )  # fmt: skip
    steps, seconds = (begun.fitted.rounds[-1].num_steps, begun.fitted.rounds[-1].seconds)
    later = tuple(
        r._replace(num_steps=r.num_steps + steps, seconds=r.seconds + seconds)
        for r in fitted.rounds
    )
    fitted = fitted._replace(rounds=begun.fitted.rounds + later)
    cost = fitted.guide.cost
    slow = ()
    if cost.encode > 2 * cost.decode:
        slow = (f"the density of {choice.layers} at a given z takes {cost.encode} passes",)
    return Climb(choice, drawable, fitted, begun.starts, (*begun.notes, *slow), begun)


def _by_minibatches(
    choice: GuideChoice,
    full: GaussianAscent,
    density: LogDensity,
    part: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    wishes: Wishes,
) -> Climb:
    """Stochastic ascent over a plate, its guide written as one Gaussian over all rows' latents.

    Raises:
        InputError: the program was not read with a subsampled plate.
    """
    if not isinstance(part, NumPyroProgram) or part.reading.rows is None:
        raise InputError(
            "a NumPyro program read with a subsampled plate", part.name,
            "NumPyroProgram.of(program, data, subsample={'rows': 1000})", where="subsample",
        )  # fmt: skip
    starts, notes = None, ()
    if not part.num_locals:
        some = pilot_density(part, datum, generator)
        starts, notes = _starts(GaussianAscent(some, part.dim), some, part, generator, wishes)
    fitted = ascend_minibatches(
        part, density, datum, None if starts is None else starts.guide, generator,
        precision_nats=wishes.precision_nats,
    )  # fmt: skip
    return Climb(choice, full, fitted, starts, notes)


def _laplace(
    choice: GuideChoice,
    ascent: GaussianAscent,
    density: LogDensity,
    model: AbstractProgram,
    generator: np.random.Generator,
    wishes: Wishes,
) -> Climb:
    z = _finite(density, model, generator)
    if wishes.init == "pathfinder":
        near = pathfinder(density, z, key=key_from(generator))
        z = z if near is None else near.mean
    found = laplace(density, z)
    unknown = Estimate(math.nan, "none", math.nan, unit="nats")
    notes: tuple[str, ...] = ()
    if found.num_negative:
        notes = (
            f"the log-density does not curve downwards in {found.num_negative} directions where "
            "Newton's method ended; the guide is damped there",
        )
    done = found.converged and not found.num_negative
    fitted = Ascent(found.guide, unknown, unknown, (), done)
    return Climb(choice, ascent, fitted, None, notes)


def _finite(
    density: LogDensity, model: AbstractProgram, generator: np.random.Generator
) -> Float[np.ndarray, " d"]:
    """A start with a finite log-density.

    Raises:
        RunError: none of many has one.
    """
    tried = np.stack([initial(model, generator) for _ in range(_ATTEMPTS)])
    usable = np.flatnonzero(np.isfinite(density.values(tried)))
    if not len(usable):
        raise RunError(
            "a start with a finite log-density", f"none in {_ATTEMPTS}",
            "data and parameters that have a positive density together", where="starts",
        )  # fmt: skip
    return tried[usable[0]]
