"""From the choice of a family to a fitted guide of it: which start, which optimizer, what to tell."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from taut.core import Datum, Estimate, InputError, counted, key_from
from taut.inference.posterior.family import AbstractFamily
from taut.inference.posterior.flow_family import FlowFamily
from taut.inference.posterior.flow_vi import flow_vi
from taut.inference.posterior.gaussian import improper
from taut.inference.posterior.gaussian_family import GaussianFamily
from taut.inference.posterior.guide_choice import GuideChoice, choose_guide, default_gaussian
from taut.inference.posterior.guide_fit import GuideFit
from taut.inference.posterior.initial_points import best_start, finite_point
from taut.inference.posterior.laplace import LaplaceApproximation, laplace
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank_family import LowRankFamily
from taut.inference.posterior.minibatch_vi import minibatch_vi, pilot_density
from taut.inference.posterior.multi_start import MultiStart
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.pathfinder import pathfinder
from taut.inference.posterior.sample_average import sample_average_approximation
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models.program import AbstractProgram, NumPyroProgram

__all__ = ["Candidate", "fit_guide"]

_CURVATURE_SIZE = 8  # size of the draws that a low-rank start averages its curvature over


class Candidate(NamedTuple):
    """A fitted guide with its family.

    Attributes:
        choice: the family, by name.
        family: how its guides are drawn from.
        fitted: the guide, and how it was fitted.
        starts: of several starts, which was best; None where there was one.
        notes: what a reader should know.
        rival: the Gaussian that a flow started from; None for other families. The guide whose draws
            weigh more evenly is kept.
    """

    choice: GuideChoice
    family: AbstractFamily
    fitted: GuideFit
    starts: MultiStart | None
    notes: tuple[str, ...] = ()
    rival: "Candidate | None" = None


def fit_guide(
    choice: GuideChoice,
    batch_model: AbstractProgram,
    model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages = UNKEPT,
) -> Candidate:
    """Raise the ELBO of a family until the remaining gain is below the precision.

    Arguments:
        choice: the family.
        batch_model: p(x, z) of a minibatch, or of all rows.
        model: p(x, z) of all rows.
        datum: all data.
        generator: of everything random.
        options: precision and starts.
        stages: the maximisations, and the stages of stochastic steps.

    Raises:
        InputError: a structured guide, and the program was not read with a subsampled plate.
        RunError: no start has a finite ELBO, or the ELBO rises without end.
    """
    if choice.family == "flow":
        return _flow(choice, model, datum, generator, options, stages)
    density = LogDensity(model, datum)
    if choice.family == "structured":
        return _structured(choice, density, batch_model, datum, generator, options, stages)
    if choice.family == "laplace":
        return _laplace(choice, density, model, generator, options, stages)
    diagonal = choice.family in ("mean-field", "low-rank")
    family = GaussianFamily(density, model.dim, diagonal=diagonal, stages=stages)
    starts, notes = best_start(family, model, generator, options)
    start = starts.guide
    if choice.family == "low-rank":  # from the mean-field Gaussian that was best
        family = LowRankFamily(density, model.dim, choice.number, stages)
        start = family.start(starts.guide, family.draws(generator, _CURVATURE_SIZE))
    fitted = sample_average_approximation(
        family, start, generator,
        precision_nats=options.precision_nats, num_steps=starts.num_steps,
    )  # fmt: skip
    return Candidate(choice, family, fitted, starts, notes)


def _flow(
    choice: GuideChoice,
    model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages = UNKEPT,
) -> Candidate:
    """A flow, started from the Gaussian that is the default for so many coordinates."""
    gaussian = choose_guide(default_gaussian(model.dim), model.dim, subsampled=False)
    rival = fit_guide(gaussian, model, model, datum, generator, options, stages)
    family = FlowFamily(rival.family.log_density)
    fitted = flow_vi(
        family, model, datum, rival.family.moments(rival.fitted.guide), choice.layers,
        key=key_from(generator), precision_nats=options.precision_nats, stages=stages,
    )  # fmt: skip
    steps, seconds = (rival.fitted.rounds[-1].num_steps, rival.fitted.rounds[-1].seconds)
    later = tuple(
        r._replace(num_steps=r.num_steps + steps, seconds=r.seconds + seconds)
        for r in fitted.rounds
    )
    fitted = fitted._replace(rounds=rival.fitted.rounds + later)
    cost = fitted.guide.cost
    slow = ()
    if cost.encode > 2 * cost.decode:
        slow = (
            f"{choice.layers} takes {cost.encode} passes through its layers to evaluate the density of "
            "a given z",
        )
    return Candidate(choice, family, fitted, rival.starts, (*rival.notes, *slow), rival)


def _structured(
    choice: GuideChoice,
    density: LogDensity,
    batch_model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages = UNKEPT,
) -> Candidate:
    """A structured guide by minibatches of a plate, written as one Gaussian over all rows' latents."""
    if not isinstance(batch_model, NumPyroProgram) or batch_model.reading.plate is None:
        raise InputError(
            "a NumPyro program that was read with a subsampled plate", batch_model.name,
            "NumPyroProgram.of(program, data, subsample={'rows': 1000})", where="subsample",
        )  # fmt: skip
    starts, notes = None, ()
    if not batch_model.num_locals:
        some = pilot_density(batch_model, datum, generator)
        pilot = GaussianFamily(some, batch_model.dim, stages=stages)
        starts, notes = best_start(pilot, batch_model, generator, options)
    fitted = minibatch_vi(
        batch_model, density, datum, None if starts is None else starts.guide, generator,
        precision_nats=options.precision_nats, stages=stages,
    )  # fmt: skip
    family = GaussianFamily(density, len(fitted.guide.mean))
    return Candidate(choice, family, fitted, starts, notes)


def _laplace(
    choice: GuideChoice,
    density: LogDensity,
    model: AbstractProgram,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages = UNKEPT,
) -> Candidate:
    """The mode that the first start reaches, of as many as it takes to reach one."""
    tried = []
    for _ in range(options.num_starts):
        z = finite_point(density, model, generator)
        if options.init == "pathfinder":
            near = pathfinder(density, z, key=key_from(generator))
            z = z if near is None else near.mean
        tried.append(stages.once(LaplaceApproximation.like(z), partial(laplace, density, z)))
        if tried[-1].converged and not tried[-1].num_negative:
            break
    bounded = [one for one in tried if not one.unbounded]
    if not bounded:
        last = tried[-1]
        raise improper(last.guide, last.value, num_starts=len(tried), named=model.layout.named)
    found = bounded[-1]
    unknown = Estimate(math.nan, "none", math.nan, unit="nats")
    notes: tuple[str, ...] = ()
    if found.num_negative:
        notes = (
            f"the log-density curves upwards in {counted(found.num_negative, 'direction')} where "
            "Newton's method stopped, so there is no mode; the guide was made narrow there",
        )
    done = found.converged and not found.num_negative
    fitted = GuideFit(found.guide, unknown, unknown, (), done)
    return Candidate(choice, GaussianFamily(density, model.dim), fitted, None, notes)
