"""Newton ascent of a Gaussian's sample-average ELBO.

    f(m, L) = (1/K) sum_k log p(x, m + L e_k) + sum_j log L_jj + (d/2) log(2 pi e),       e_k fixed

In the coordinates u = L^{-1} (z - m), with g_k = L^T grad log p at the k-th draw,

    a = (1/K) sum_k g_k,        A = (1/K) sum_k g_k e_k^T,

f is stationary where a = 0 and the lower triangle of A is that of -I. A is the average curvature
(Stein's identity), so one step

    precision  P = I + rho (-A - I),        mean  rho P^{-1} a,        L <- L chol(P^{-1})

maximises f where log p is quadratic and the draws are balanced: natural-gradient ascent with step
rho. It is halved until f rises. A has the curvature of every pair of coordinates, so a mean-field
guide moves its mean by a Newton step too, and its scales by the diagonal alone. Nothing depends on
the scale of z.

Sources: Opper and Archambeau 2009 (stationarity); Khan and Rue 2023, section 3 (natural gradients).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import RunError
from taut.guides import AtFeatures, FullRankGaussian, MeanFieldGaussian
from taut.inference.log_density import LogDensity
from taut.inference.sample_average import AbstractAscent, Ascended
from taut.inference.spherical_radial import spherical_radial

__all__ = ["Gaussian", "GaussianAscent", "ascend"]

_LEAST, _MOST = 0.1, 100.0  # of precision in one step: scales grow by 3 or shrink by 10
_RADIUS = 3.0  # standard deviations per coordinate that the mean moves in one step
_REACH = 1e6  # factor on both limits at most, quadrupled by every full step
_LEAST_STEP = 1e-8
_RUNAWAY = 1e12  # how far one direction widens, at the limit step after step, before it is endless


class Gaussian(NamedTuple):
    """N(mean, L L^T).

    Attributes:
        mean: (d,).
        tril: L, (d, d), lower triangular with a positive diagonal.
    """

    mean: Float[np.ndarray, " d"]
    tril: Float[np.ndarray, "d d"]

    @property
    def entropy(self) -> float:
        """Nats, exact."""
        d = len(self.mean)
        return float(np.log(np.diagonal(self.tril)).sum() + 0.5 * d * (1 + np.log(2 * np.pi)))


class _Moments(NamedTuple):
    value: float
    a: np.ndarray
    A: np.ndarray


class _Quadratic(NamedTuple):
    """f around the guide in hand: gradient along the eigenvectors of the curvature, spread (what the
    scales answer to: its eigenvalues or its diagonal), and the gain of one more step, nats."""

    along: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    spread: np.ndarray
    diagonal: bool
    decrement: float


def ascend(
    log_density: LogDensity,
    start: Gaussian,
    draws: Float[np.ndarray, "K d"],
    *,
    diagonal: bool = False,
    tolerance: float,
    max_steps: int = 300,
) -> Ascended:
    """Maximise the sample average over given draws.

    Arguments:
        log_density: log p(x, z).
        start: where to start; its L is diagonal if `diagonal`.
        draws: e_k, (K, d), K > d.
        diagonal: whether L stays diagonal (mean-field).
        tolerance: of the decrement, nats.
        max_steps: evaluations of f at most.

    Raises:
        RunError: f rises without end along a direction that only widens.
    """
    here, moments = start, _moments(log_density, start, draws)
    rho, reach, widened, steps, halfway = 1.0, 1.0, 1.0, 1, start
    while abs(moments.value) < np.inf and steps < max_steps and rho > _LEAST_STEP:
        model = _quadratic(moments, diagonal=diagonal)
        if model.decrement < tolerance:
            return Ascended(here, moments.value, steps, converged=True)
        there = _moved(here, model, rho, reach)
        tried = _moments(log_density, there, draws)
        steps += 1
        widening = model.spread.min() < _LEAST
        if tried.value >= moments.value:
            widened = widened / np.sqrt(_LEAST / reach) if widening and rho == 1.0 else 1.0
            here, moments = there, tried
            rho, reach = (1.0, min(4 * reach, _REACH)) if rho == 1.0 else (2 * rho, reach)
            if widened > _RUNAWAY:
                raise _runaway(here, moments.value)
        elif reach > 1.0:
            reach = max(reach / 16, 1.0)
        else:
            rho /= 2
            if rho < _LEAST_STEP and widening and tried.value == -np.inf:
                raise _runaway(here, moments.value)  # flat as far as numbers reach
        if steps == max_steps // 2:
            halfway = here
    if moments.value == np.inf:
        raise _runaway(here, moments.value)
    if steps >= max_steps and _width(here) > 2 * _width(halfway):
        raise _runaway(here, moments.value)
    return Ascended(here, moments.value, steps, converged=False)


def _moments(log_density: LogDensity, guide: Gaussian, draws: np.ndarray) -> _Moments:
    values, gradients = log_density(guide.mean + draws @ guide.tril.T)
    if (values == np.inf).any():
        return _Moments(np.inf, guide.mean, guide.tril)
    if np.isnan(values).any() or not np.isfinite(gradients).all():
        return _Moments(-np.inf, guide.mean, guide.tril)
    inner = gradients @ guide.tril
    return _Moments(
        float(values.mean()) + guide.entropy, inner.mean(axis=0), inner.T @ draws / len(draws)
    )


def _quadratic(moments: _Moments, *, diagonal: bool) -> _Quadratic:
    curvature = -(np.tril(moments.A) + np.tril(moments.A, -1).T)
    values, vectors = np.linalg.eigh(curvature)
    spread = np.diagonal(curvature) if diagonal else values
    along = vectors.T @ moments.a
    decrement = 0.5 * np.sum(along**2 / _positive(values)) + 0.25 * np.sum((spread - 1) ** 2)
    return _Quadratic(along, values, vectors, spread, diagonal, float(decrement))


def _moved(here: Gaussian, model: _Quadratic, rho: float, reach: float) -> Gaussian:
    """The Gaussian after a step of length rho."""
    precision = np.clip(1 + rho * (model.spread - 1), _LEAST / reach, _MOST * reach)
    if model.diagonal:
        inner, newton = np.diag(precision**-0.5), _positive(model.values)
    else:
        inner, newton = np.linalg.cholesky((model.vectors / precision) @ model.vectors.T), precision
    along = rho * model.along / newton
    length = np.sqrt(np.sum(newton * along**2))
    along *= min(1.0, reach * _RADIUS * np.sqrt(len(along)) / max(length, 1e-300))
    return Gaussian(here.mean + here.tril @ (model.vectors @ along), here.tril @ inner)


def _positive(values: np.ndarray) -> np.ndarray:
    """Curvatures made positive: sizes, and none below a millionth of the largest."""
    size = np.abs(values)
    return np.maximum(size, max(1e-6 * size.max(), 1e-12))


def _width(guide: Gaussian) -> float:
    return float(np.linalg.norm(guide.tril, axis=1).max())


def _runaway(guide: Gaussian, value: float) -> RunError:
    scales = np.linalg.norm(guide.tril, axis=1)
    return RunError(
        "a bound that stops rising: a posterior of finite mass",
        f"{value:.6g} nats and rising while coordinate {int(scales.argmax())} of z widens, at "
        f"standard deviation {scales.max():.1g}",
        "a proper prior for every parameter",
        where="improper posterior",
    )


@dataclass(frozen=True)
class GaussianAscent(AbstractAscent):
    """Full-rank and mean-field Gaussians for `sample_average`.

    Attributes:
        log_density: log p(x, z).
        dim: d.
        diagonal: whether the guide is mean-field.
    """

    log_density: LogDensity
    dim: int
    diagonal: bool = False

    def draws(self, generator: np.random.Generator, size: int) -> Float[np.ndarray, "K d"]:
        return spherical_radial(generator, size, self.dim)

    def num_draws(self, size: int) -> int:
        return 2 * self.dim * size

    def value(self, guide: Gaussian, draws: Float[np.ndarray, "K d"]) -> float:
        values, _ = self.log_density(guide.mean + draws @ guide.tril.T)
        return float(values.mean()) + guide.entropy

    def maximise(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"], *, tolerance: float
    ) -> Ascended:
        return ascend(self.log_density, guide, draws, diagonal=self.diagonal, tolerance=tolerance)

    def distance(self, first: Gaussian, second: Gaussian) -> float:
        scales = np.linalg.norm(second.tril, axis=1)
        return float(np.max(np.abs(first.mean - second.mean) / scales))

    def sample(
        self, guide: Gaussian, generator: np.random.Generator, count: int
    ) -> Float[np.ndarray, "K d"]:
        return guide.mean + generator.standard_normal((count, self.dim)) @ guide.tril.T

    def log_q(self, guide: Gaussian, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        inner = np.linalg.solve(guide.tril, (z - guide.mean).T)
        return 0.5 * self.dim - guide.entropy - 0.5 * np.sum(inner**2, axis=0)

    def moments(self, guide: Gaussian) -> Gaussian:
        return guide

    def guide(self, guide: Gaussian) -> AtFeatures:
        mean, diagonal = guide.mean, np.log(np.diagonal(guide.tril))
        if self.diagonal:
            return AtFeatures(jnp.concatenate([mean, diagonal]), MeanFieldGaussian(self.dim))
        lower = guide.tril[np.tril_indices(self.dim, -1)]
        return AtFeatures(jnp.concatenate([mean, diagonal, lower]), FullRankGaussian(self.dim))
