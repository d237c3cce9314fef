"""A guide that is fitted and weighed, in coordinates that stay within the edges of the posterior.

Edges that a support tells of are looked for before a guide is fitted, all others once draws of the guide
were found beyond one, or no guide was found. Within fixed edges the family is fitted anew. At an edge
that moves and cannot be followed it is a Laplace approximation, from whose inner draws chains may start.
"""

import time
from contextlib import suppress
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from taut.core import Datum, RunError
from taut.inference.posterior.candidate import Candidate, fit_guide
from taut.inference.posterior.edges import Edges, edges_of, least_outside
from taut.inference.posterior.guide_choice import GuideChoice
from taut.inference.posterior.initial_points import random_point
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.weighted_draws import WeightedDraws, more_even, weighted_draws
from taut.inference.stages import AbstractStages
from taut.models.program import AbstractProgram, check_start

__all__ = ["Task", "WeighedGuide", "WithinEdges", "affordable", "fit_within_edges"]

_LAPLACE = GuideChoice("laplace")
_CELLS = 4e9  # data cells x draws that weighing may cost: about a minute


class Task(NamedTuple):
    """What all fits to one posterior share.

    Attributes:
        datum: all data.
        generator: of everything random.
        options: what the user chose.
        stages: of the ascent.
    """

    datum: Datum
    generator: np.random.Generator
    options: PosteriorOptions
    stages: AbstractStages


class WeighedGuide(NamedTuple):
    """A guide with its weighted draws.

    Attributes:
        candidate: the guide.
        draws: of it, with bounds and k-hat.
        notes: what a reader should know.
        seconds: wall time of `ascent` and `weighing`.
    """

    candidate: Candidate
    draws: WeightedDraws
    notes: tuple[str, ...]
    seconds: dict[str, float]


class WithinEdges(NamedTuple):
    """A guide that was fitted and weighed, and where.

    Attributes:
        choice: the family; a Laplace approximation where no other stays within an edge that moves.
        model: p(x, z) of all rows, in the guide's coordinates.
        fitted: the guide.
        edges: of the posterior; None where it has none, or none were looked for.
    """

    choice: GuideChoice
    model: AbstractProgram
    fitted: WeighedGuide
    edges: Edges | None

    @property
    def leaks(self) -> bool:
        """Whether some of the guide's draws lie beyond an edge that moves."""
        edges = self.edges
        followed = edges is None or not edges.moving or edges.edged is not None
        return not followed and bool(self.fitted.draws.outside)

    def notes(self, asked: GuideChoice, model: AbstractProgram) -> tuple[str, ...]:
        """What a reader should know of the edges.

        Arguments:
            asked: the family that was asked for.
            model: p(x, z) of all rows in coordinates of its own, which it has names for.
        """
        if self.edges is None:
            return ()
        notes = self.edges.notes(model)
        if self.choice == asked:
            return notes
        return (*notes, "no Gaussian stays within it: the guide is a Laplace approximation")


def fit_within_edges(
    choice: GuideChoice, program: AbstractProgram, model: AbstractProgram, task: Task
) -> WithinEdges:
    """A guide, in coordinates that stay within the edges of the posterior where it has some.

    Arguments:
        choice: the family that was asked for.
        program: p(x, z) of a minibatch, or of all rows: then it is `model`.
        model: p(x, z) of all rows.
        task: what all fits share.

    Raises:
        RunError: no guide could be fitted.
    """
    whole = model is program
    edges = edges_of(model, task.datum, task.generator) if whole and model.moving else None
    inside = edges.within(model) if edges else model
    found, failure = None, None
    try:
        fitted = _weighed(choice, inside if whole else program, inside, task)
        found = WithinEdges(choice, inside, fitted, edges)
    except RunError as error:
        failure = error
    if whole and edges is None and (found is None or found.fitted.draws.outside):
        # log p is -inf somewhere, at an edge that no support told of.
        edges = edges_of(model, task.datum, task.generator)
        if edges is not None:
            found = _at_edges(choice, model, edges, found, task)
    if found is None:
        assert failure is not None
        _fail(model, edges, failure, task)
    return found


def _at_edges(
    choice: GuideChoice, model: AbstractProgram, edges: Edges, found: WithinEdges | None, task: Task
) -> WithinEdges | None:
    """A guide once it is known where the posterior ends, or what was found before, if anything."""
    if edges.fixed:
        inside = edges.within(model)
        return WithinEdges(choice, inside, _weighed(choice, inside, inside, task), edges)
    if found is not None:
        found = found._replace(edges=edges)
        if found.fitted.candidate.fitted.converged:
            return found
    if edges.moving and task.options.refine != "none":
        # Every Gaussian has draws beyond an edge that moves; chains from one of them stay inside.
        with suppress(RunError):
            return WithinEdges(_LAPLACE, model, _weighed(_LAPLACE, model, model, task), edges)
    return found


def _fail(model: AbstractProgram, edges: Edges | None, failure: RunError, task: Task) -> NoReturn:
    """Raise what says best why no guide could be fitted."""
    if edges is not None and edges.moving:
        raise RunError(
            "a posterior whose coordinates end where the data alone decide, if they end",
            f"{edges.notes(model)[-1]}, beyond which log p is -inf",
            "parameters of which one is the distance from that edge, on a positive support",
            where=model.name,
        ) from failure
    # A first evaluation that fails says more than that the ELBO could not be maximised.
    if model.moving:
        pick = least_outside(model, task.datum, task.generator)
    else:
        pick = random_point(model, task.generator)
    check_start(model, task.datum, jnp.asarray(pick))
    raise failure


def _weighed(
    choice: GuideChoice, program: AbstractProgram, model: AbstractProgram, task: Task
) -> WeighedGuide:
    """A guide, fitted and weighed."""
    tick = time.perf_counter()
    datum, generator, options, stages = task
    candidate = fit_guide(choice, program, model, datum, generator, options, stages)
    ascent, tick = time.perf_counter() - tick, time.perf_counter()
    count = options.num_draws or affordable(datum)
    candidate, draws, notes = _best_weighed(candidate, count, generator)
    seconds = {"ascent": ascent, "weighing": time.perf_counter() - tick}
    return WeighedGuide(candidate, draws, notes, seconds)


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


def affordable(datum: Datum) -> int:
    """Draws to weigh where the user names no number."""
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum))
    return int(np.clip(_CELLS / max(cells, 1), 1000, 10_000))
