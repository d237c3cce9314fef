"""Where optimization starts: random points, or Gaussians near the posterior's bulk by Pathfinder."""

import numpy as np
from jaxtyping import Float

from taut.core import RunError, counted, key_from
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.gaussian_family import GaussianFamily
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.multi_start import MultiStart, multi_start
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.pathfinder import pathfinder
from taut.models.program import AbstractProgram

__all__ = ["best_start", "finite_point", "random_point"]

_SCALES = (0.1, 0.01, 0.001)  # standard deviations of a starting guide, tried in turn
_ATTEMPTS = 40  # points among which one with a finite log-density is looked for


def random_point(model: AbstractProgram, generator: np.random.Generator) -> Float[np.ndarray, " d"]:
    """A z uniform on (-2, 2) in each unconstrained coordinate (Stan's habit)."""
    return generator.uniform(-2.0, 2.0, model.dim)


def finite_point(
    log_density: LogDensity, model: AbstractProgram, generator: np.random.Generator
) -> Float[np.ndarray, " d"]:
    """A random z with a finite log-density.

    Raises:
        RunError: none of many has one.
    """
    tried = np.stack([random_point(model, generator) for _ in range(_ATTEMPTS)])
    usable = np.flatnonzero(np.isfinite(log_density.values(tried)))
    if not len(usable):
        raise RunError(
            "a starting point with a finite log-density", f"none in {_ATTEMPTS}",
            "a program that gives its data a positive density", where="starts",
        )  # fmt: skip
    return tried[usable[0]]


def best_start(
    family: GaussianFamily,
    model: AbstractProgram,
    generator: np.random.Generator,
    options: PosteriorOptions,
) -> tuple[MultiStart, tuple[str, ...]]:
    """Narrow Gaussians of a family at several points, optimized, and notes for the reader.

    Arguments:
        family: full-rank or mean-field.
        model: the program.
        generator: of everything random.
        options: number and kind of starts, and the precision.

    Raises:
        RunError: no start has a finite ELBO.
    """
    lost, last = 0, np.zeros(model.dim)

    def start(attempt: int) -> Gaussian:
        nonlocal lost, last
        # Every second point mirrors the one before, so that modes on two sides are both climbed.
        last = z = -last if attempt % 2 else random_point(model, generator)
        scale = _SCALES[min(attempt // options.num_starts, len(_SCALES) - 1)]
        if options.init == "pathfinder":
            found = pathfinder(family.log_density, z, key=key_from(generator))
            if found is not None:
                return _diagonal(found) if family.diagonal else found
            lost += 1
        return Gaussian(z, scale * np.eye(model.dim))

    starts = multi_start(
        family, start, generator,
        num_starts=options.num_starts, precision_nats=options.precision_nats,
        named=model.layout.named,
    )  # fmt: skip
    notes = []
    if starts.endless:
        notes.append(f"{_points(len(starts.endless))} dropped: the guide widened without end")
    if starts.num_failed:
        notes.append(f"{_points(starts.num_failed)} drawn again: the ELBO was not finite")
    if lost:
        notes.append(
            f"Pathfinder failed from {counted(lost, 'starting point')}, where random Gaussians were "
            "used instead"
        )
    return starts, tuple(notes)


def _points(count: int) -> str:
    return f"{counted(count, 'starting point')} {'was' if count == 1 else 'were'}"


def _diagonal(gaussian: Gaussian) -> Gaussian:
    """The mean-field Gaussian closest to a given one in KL(q to p): with its conditional scales."""
    inverse = np.linalg.inv(gaussian.tril)
    return Gaussian(gaussian.mean, np.diag(1 / np.linalg.norm(inverse, axis=0)))
