"""The posterior of a program: a guide is fitted, its draws are weighed, and a verdict is given on them.

Where a guide is doubted and the scales of some latents move with others, another is fitted in
non-centred coordinates, and the one whose draws weigh more evenly is kept. All randomness follows from
one key, in this order: starts, optimization, the draws that are weighed, the same in non-centred
coordinates, and draws that are moved on from the guide to the posterior where its own do not suffice.
"""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import Datum, InputError, RunError, host_generator, option
from taut.evidence import PosteriorMoments, square_tails, weighted_moments
from taut.inference.posterior.candidate import Candidate, fit_guide
from taut.inference.posterior.edges import edges_of, least_outside
from taut.inference.posterior.guide_choice import GuideChoice, choose_guide
from taut.inference.posterior.initial_points import random_point
from taut.inference.posterior.multi_start import MultiStart
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.refinement import Refinement, TooDear, overlooked, refine
from taut.inference.posterior.verdict import DOUBT, RESAMPLE, Verdict, better_guide, judge
from taut.inference.posterior.weighted_draws import WeightedDraws, more_even, weighted_draws
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models.program import AbstractProgram, NamedValues, NumPyroProgram, check_start

__all__ = ["PosteriorFit", "fit_posterior"]

_MOST_WEIGHED = 1000  # coordinates: a covariance of a million entries
_FEW = 0.01  # of the guide's draws beyond an edge: their weight of zero leaves the others right
_CELLS = 4e9  # data cells x draws that weighing may cost: about a minute


class PosteriorFit(NamedTuple):
    """What was found.

    Attributes:
        values: from z to the parameters that are reported; holds the program of all rows and its data.
        candidate: the guide that is kept, its family, and how it was fitted.
        draws: its weighted draws, with bounds and k-hat.
        raw: moments of every reported scalar under the guide.
        resampled: the same under the smoothed weights.
        verdict: whether to believe it.
        notes: what a reader should know.
        seconds: wall time of `ascent`, `weighing` and, where draws were moved, `refining`.
        refinement: the draws that were moved to the posterior, which `draws`, `resampled` and
            `verdict` are then about; None where the guide's own are kept.
    """

    values: NamedValues
    candidate: Candidate
    draws: WeightedDraws
    raw: PosteriorMoments
    resampled: PosteriorMoments
    verdict: Verdict
    notes: tuple[str, ...]
    seconds: dict[str, float]
    refinement: Refinement | None = None

    @property
    def guide(self) -> Any:
        """q(z), a callable pytree from a datum to a proposal."""
        return self.candidate.family.guide(self.candidate.fitted.guide)


def fit_posterior(
    program: AbstractProgram,
    datum: Datum,
    options: PosteriorOptions,
    *,
    key: PRNGKeyArray,
    stages: AbstractStages = UNKEPT,
) -> PosteriorFit:
    """Fit q(z) to p(z | x) by maximising the ELBO, and weigh draws of it.

    Arguments:
        program: p(x, z) of all rows, or of minibatches of a plate.
        datum: all data.
        options: what the user chose; `precision` is the caller's to set.
        key: everything random follows from it.
        stages: of the ascent.

    Raises:
        InputError: a guide that does not suit the program, or a program or data that cannot be used.
        RunError: no start has a finite ELBO, or the ELBO rises without end.
    """
    choice = choose_guide(options.guide, program.dim, subsampled=bool(options.subsample))
    generator = host_generator(key)
    found = _judged(choice, program, datum, generator, options, stages)
    if options.subsample or options.refine == "none":
        return found
    if found.verdict.verdict == DOUBT and (other := _noncentred(found.values)) is not None:
        found = _better(found, choice, other, generator, options, stages)
    if options.refine == "auto" and found.verdict.verdict != DOUBT:
        if not overlooked(found.candidate, found.draws, generator).noticed:
            return found
        words = "wide draws find mass where no draw of the guide is"
        doubted = Verdict(DOUBT, (words, *found.verdict.reasons), better_guide(choice.family))
        found = found._replace(verdict=doubted)
    starts = found.candidate.starts
    endless = starts is not None and any(above > 0 for above in starts.endless)
    if endless and options.refine == "auto":
        return found
    return _refined(found, generator, options)


def _noncentred(values: NamedValues) -> NumPyroProgram | None:
    """The program in other coordinates, where it has some that suit funnels better."""
    model = values.model
    return model.noncentred(values.datum) if isinstance(model, NumPyroProgram) else None


def _better(
    found: PosteriorFit,
    choice: GuideChoice,
    program: NumPyroProgram,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages,
) -> PosteriorFit:
    """A fit that is doubted, or that of non-centred coordinates where its draws weigh more evenly."""
    try:
        other = _judged(choice, program, found.values.datum, generator, options, stages)
    except (InputError, RunError):
        return found
    spent = {stage: found.seconds[stage] + other.seconds[stage] for stage in found.seconds}
    if other.verdict.verdict == DOUBT and not more_even(other.draws, found.draws):
        return found._replace(seconds=spent)
    names = ", ".join(sorted(program.reading.noncentred))
    note = f"the guide is over standard numbers in place of {names}: location and scale times these"
    return other._replace(seconds=spent, notes=(*other.notes, note))


def _judged(
    choice: GuideChoice,
    program: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages,
) -> PosteriorFit:
    """A guide with its weighted draws and the verdict on them."""
    model = program
    if isinstance(program, NumPyroProgram) and choice.family == "structured":
        model = program.all_rows()
    if model.dim > _MOST_WEIGHED:
        raise InputError(
            f"a program with at most {_MOST_WEIGHED} latent coordinates", f"{model.dim}",
            "summing the rows' latents out of the program", where="infer",
        )  # fmt: skip
    asked, found, edges, failure, whole = choice, None, None, None, model is program
    if not whole and jax.eval_shape(model.margins, datum, jnp.zeros(model.dim)).size:
        names = " and ".join(f"'{name}'" for name in sorted(model.moving))
        raise InputError(
            f"all rows at once where the support of {names} moves with latents", "minibatches",
            f"leaving out {option('subsample')}", where=model.name,
        )  # fmt: skip
    if whole and model.moving:
        edges = edges_of(model, datum, generator)
    tried, moved = edges.within(model) if edges else model, options.refine != "none"
    try:
        found = _fitted(
            choice, tried if whole else program, tried, datum, generator, options, stages
        )
    except RunError as error:
        failure = error
    if whole and edges is None and (found is None or found.draws.outside):
        # log p is -inf somewhere, at an edge that no support told of.
        edges = edges_of(model, datum, generator)
        if edges is not None and edges.fixed:
            tried = edges.within(model)
            found = _fitted(choice, tried, tried, datum, generator, options, stages)
        elif edges is not None and edges.moving and not _has_converged(found) and moved:
            # Every Gaussian has draws beyond an edge that moves; chains from one of them stay inside.
            with suppress(RunError):
                inside = GuideChoice("laplace")
                found = _fitted(inside, model, model, datum, generator, options, stages)
                choice = inside
    if found is None:
        assert failure is not None
        if edges is not None and edges.moving:
            raise RunError(
                "a posterior whose coordinates end where the data alone decide, if they end",
                f"{edges.notes(model)[-1]}, beyond which log p is -inf",
                "parameters of which one is the distance from that edge, on a positive support",
                where=model.name,
            ) from failure
        # A first evaluation that fails says more than that the ELBO could not be maximised.
        pick = (
            least_outside(model, datum, generator)
            if model.moving
            else random_point(model, generator)
        )
        check_start(model, datum, jnp.asarray(pick))
        raise failure
    candidate, draws, notes, seconds = found
    if edges is not None:
        notes = (*notes, *edges.notes(model))
        if candidate.choice != asked:
            notes = (*notes, "no Gaussian stays within it: the guide is a Laplace approximation")
    tick, model = time.perf_counter(), tried
    values = NamedValues.of(model, datum)
    table = values.table(draws.z)
    raw = weighted_moments(table[: draws.num_guide])
    resampled = weighted_moments(table, draws.weights)
    verdict = judge(
        guide=choice.family,
        converged=candidate.fitted.converged,
        precision_nats=options.precision_nats,
        separate=_separate(candidate.starts),
        endless=candidate.starts.endless if candidate.starts else (),
        khat=draws.khat,
        threshold=draws.threshold,
        largest=draws.largest,
        ess=draws.ess,
        num_draws=len(draws.weights),
        raw=raw.first(values.num_latents),
        resampled=resampled.first(values.num_latents),
        squares=square_tails(np.asarray(table)[:, : values.num_latents], draws.weights),
        names=values.coordinates,
    )
    if edges is not None and edges.moving and edges.edged is None and draws.outside:
        far = (
            f"{100 * draws.outside:.2g} % of the guide's draws lie beyond an edge of the posterior"
        )
        kept = RESAMPLE if draws.outside < _FEW and verdict.verdict != DOUBT else DOUBT
        verdict = replace(verdict, verdict=kept, reasons=(far, *verdict.reasons))
    seconds["weighing"] += time.perf_counter() - tick
    notes = (*notes, *_left_out(values))
    return PosteriorFit(values, candidate, draws, raw, resampled, verdict, notes, seconds)


def _refined(
    fit: PosteriorFit, generator: np.random.Generator, options: PosteriorOptions
) -> PosteriorFit:
    """The fit with draws that were moved to the posterior, or what kept them from it."""
    tick = time.perf_counter()
    found = refine(
        fit.candidate, fit.draws, fit.values, generator,
        num_draws=options.num_draws or _affordable(fit.values.datum),
        asked=options.refine == "smc", remedy=better_guide(fit.candidate.choice.family),
    )  # fmt: skip
    seconds = {**fit.seconds, "refining": time.perf_counter() - tick}
    if isinstance(found, TooDear):
        note = (
            "the draws were not moved to the posterior: it takes "
            f"{found.gradients:.1g} gradients, and refine 'smc' has it done"
        )
        return fit._replace(seconds=seconds, notes=(*fit.notes, note))
    if found is None:
        reasons = (*fit.verdict.reasons, "the chains of tempered SMC did not reach the posterior")
        verdict = replace(fit.verdict, verdict=DOUBT, reasons=reasons)
        return fit._replace(seconds=seconds, verdict=verdict)
    own = fit.draws.num_guide
    moved = fit.draws._replace(
        z=np.concatenate([fit.draws.z[:own], found.draws.z]),
        weights=np.concatenate([np.zeros(own), found.draws.weights]),
        log_evidence=found.log_evidence, khat=found.draws.khat, threshold=found.threshold,
        largest=found.draws.largest, ess=found.ess,
    )  # fmt: skip
    return fit._replace(
        draws=moved, resampled=found.moments, verdict=found.verdict, seconds=seconds,
        refinement=found,
    )  # fmt: skip


class _Fitted(NamedTuple):
    candidate: Candidate
    draws: WeightedDraws
    notes: tuple[str, ...]
    seconds: dict[str, float]


def _has_converged(found: _Fitted | None) -> bool:
    return found is not None and found.candidate.fitted.converged


def _fitted(
    choice: GuideChoice,
    program: AbstractProgram,
    model: AbstractProgram,
    datum: Datum,
    generator: np.random.Generator,
    options: PosteriorOptions,
    stages: AbstractStages,
) -> _Fitted:
    """A guide, fitted and weighed."""
    tick = time.perf_counter()
    candidate = fit_guide(choice, program, model, datum, generator, options, stages)
    ascent, tick = time.perf_counter() - tick, time.perf_counter()
    count = options.num_draws or _affordable(datum)
    candidate, draws, notes = _best_weighed(candidate, count, generator)
    seconds = {"ascent": ascent, "weighing": time.perf_counter() - tick}
    return _Fitted(candidate, draws, notes, seconds)


def _best_weighed(
    candidate: Candidate, count: int, generator: np.random.Generator
) -> tuple[Candidate, WeightedDraws, tuple[str, ...]]:
    """The fitted guide, or its rival where the rival's draws weigh more evenly, and what to tell."""

    def weighed(one: Candidate) -> WeightedDraws:
        return weighted_draws(one.family, one.fitted.guide, count=count, generator=generator)

    found = weighed(candidate)
    if candidate.rival is None:
        return candidate, found, candidate.notes
    other = weighed(candidate.rival)
    kept = more_even(found, other)
    pairs = [(candidate, found), (candidate.rival, other)]
    (chosen, best), (_, beaten) = pairs if kept else pairs[::-1]
    names = [candidate.choice.layers, candidate.rival.choice.family]
    first, second = names if kept else names[::-1]
    note = (
        f"{first} is kept, with {best.ess:.0f} effective draws and k-hat {best.khat:.2f}, rather than "
        f"{second}, with {beaten.ess:.0f} and {beaten.khat:.2f}"
    )
    return chosen, best, (*candidate.notes, note)


def _left_out(values: NamedValues) -> tuple[str, ...]:
    if not values.left_out:
        return ()
    names = ", ".join(values.left_out)
    return (f"derived values of many cells are not reported: {names}",)


def _separate(starts: MultiStart | None) -> tuple[tuple[float, float], ...]:
    if starts is None:
        return ()
    others = (s for i, s in enumerate(starts.starts) if i != starts.winner)
    return tuple((start.behind.value, start.distance) for start in others)


def _affordable(datum: Datum) -> int:
    """Draws to weigh where the user names no number."""
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum))
    return int(np.clip(_CELLS / max(cells, 1), 1000, 10_000))
