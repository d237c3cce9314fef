"""The E-step of Gaussian components on rows with holes.

What is missing counts as the component expects it given what was observed:

    log p_k(x_o) = log N(x_f; mu_k, Sigma_k) + log |2 pi A_k| / 2,    A_k = Cov(x_m | x_o) = (P_k)_mm^-1
    E[x x^T | x_o, k] = x_f x_f^T + A_k at (m, m)

with x_f the row whose missing cells are E[x_m | x_o, k]. Missing cells of a row and component cost one
small inverse; no block of observed cells is factorised. Of columns that are independent given the
component, A_k is their variances and x_m is mu_k.

Two routes, as for whole rows: by products of features of the row with zeros at the holes of x - origin,
and from the differences x - mu_k of every row and component.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from taut.models.exact.covariances import AbstractCovariance
from taut.models.exact.gaussian_statistics import GaussianStatistics, responsibilities
from taut.models.exact.holes import blocks_of_missing, multiplied, swept

__all__ = ["Gaps", "centred_with_holes", "product_with_holes"]

_LOG_2PI = 1.8378770664093453


class Gaps(NamedTuple):
    """Holes among the D columns of a density.

    Attributes:
        mask: True where a cell is observed, (N, D).
        places: columns of the missing cells of each row, filled up with D, (N, m).
    """

    mask: Bool[Array, "N D"]
    places: Int[Array, "N m"]


class _Completed(NamedTuple):
    """Missing cells given the observed ones, for every row and component.

    Attributes:
        step: E[x_m | x_o] less what stands for x_m, (m, N, K).
        spread: Cov(x_m | x_o), (m, m, N, L), L = K or 1.
        gained: what the integral over the missing cells adds to the log-density of the row with `step`
            taken, (N, L); nats.
        lowered: half the distance that `step` takes away, (N, K).
    """

    step: Float[Array, "m N K"]
    spread: Float[Array, "m m N L"]
    gained: Float[Array, "N L"]
    lowered: Float[Array, "N K"]


def product_with_holes(
    covariance: AbstractCovariance,
    scale: Float[Array, "..."],
    centers: Float[Array, "K D"],
    constants: Float[Array, " K"],
) -> Callable[[Float[Array, "N D"], Float[Array, " N"], Gaps], GaussianStatistics]:
    """The E-step by products, moments about the origin.

    Arguments:
        covariance: the kind.
        scale: its factors or standard deviations.
        centers: mu_k - origin.
        constants: log-density of each component at its centre, with its log-weight.

    Returns:
        a function of x - origin with zeros at the holes, of weights and of the holes.
    """
    coefficients = covariance.coefficients(scale, centers)
    number, size = centers.shape

    def independent(y: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
        variances = covariance.variances(scale, centers)
        missing = (~gaps.mask).astype(y.dtype)
        lost = 0.5 * (centers**2 / variances + jnp.log(variances) + _LOG_2PI)
        features = covariance.features(y)
        log_joint = covariance.kernel(coefficients, features) + constants + missing @ lost.T
        r, log_evidence = responsibilities(log_joint, weight)
        count, first, second = covariance.moments(features, r)
        rows = r.T @ missing
        second = second + covariance.of_squares(rows * (centers**2 + variances))
        return GaussianStatistics(count, first + rows * centers, second, log_evidence)

    if not covariance.correlated:
        return independent
    # Not in the function of the rows, which would work it out for every chunk of them.
    precision = _precision(covariance, scale)
    pattern = "ijl,kj->lki" if precision.shape[2] == 1 else "ijk,kj->ki"
    linear = jnp.einsum(pattern, precision, centers).reshape(number, size)

    def dependent(y: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
        image = jnp.tensordot(y, precision, axes=1) - linear.T
        done = _completed(precision, image, gaps)
        features = covariance.features(y)
        log_joint = (
            covariance.kernel(coefficients, features) + constants + done.lowered + done.gained
        )
        r, log_evidence = responsibilities(log_joint, weight)
        count, first, second = covariance.moments(features, r)
        steps = _scattered(r * done.step, gaps.places, size)
        first = first + jnp.sum(steps, axis=0).T
        shared = _shared(steps, precision.shape[2])
        crossed = jnp.einsum("nj,nil->ijl", y, shared)
        outer = _shared(r * (done.spread + done.step[:, None] * done.step), precision.shape[2])
        added = crossed + jnp.swapaxes(crossed, 0, 1) + _blocks(outer, gaps.places, size)
        second = second + jnp.moveaxis(added, 2, 0).reshape(second.shape)
        return GaussianStatistics(count, first, second, log_evidence)

    return dependent


def centred_with_holes(
    covariance: AbstractCovariance,
    scale: Float[Array, "..."],
    means: Float[Array, "K D"],
    constants: Float[Array, " K"],
) -> Callable[[Float[Array, "N K D"], Float[Array, " N"], Gaps], GaussianStatistics]:
    """The E-step from differences, moments about the means.

    Arguments:
        covariance: the kind.
        scale: its factors or standard deviations.
        means: mu_k.
        constants: log-density of each component at its centre, with its log-weight.

    Returns:
        a function of x - mu_k with zeros at the holes, of weights and of the holes.
    """
    inverse, size = covariance.inverse(scale), means.shape[1]

    def gathered(
        differences: Array, log_joint: Array, weight: Array
    ) -> tuple[Array, GaussianStatistics]:
        whitened = covariance.whitened(inverse, differences)
        log_joint = log_joint + constants - 0.5 * jnp.sum(whitened**2, axis=2)
        r, log_evidence = responsibilities(log_joint, weight)
        first = jnp.einsum("nk,nkd->kd", r, differences)
        second = covariance.second(differences, r)
        return r, GaussianStatistics(jnp.sum(r, axis=0), first, second, log_evidence)

    def independent(differences: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
        variances = covariance.variances(scale, means)
        missing = (~gaps.mask).astype(differences.dtype)
        log_joint = missing @ (0.5 * (jnp.log(variances) + _LOG_2PI)).T
        r, found = gathered(differences, log_joint, weight)
        second = found.second + covariance.of_squares((r.T @ missing) * variances)
        return found._replace(second=second)

    if not covariance.correlated:
        return independent
    precision = _precision(covariance, scale)

    def dependent(differences: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
        pattern = "ijl,nkj->nik" if precision.shape[2] == 1 else "ijk,nkj->nik"
        done = _completed(precision, jnp.einsum(pattern, precision, differences), gaps)
        steps = _scattered(done.step, gaps.places, size)
        filled = differences + jnp.swapaxes(steps, 1, 2)
        r, found = gathered(filled, done.gained, weight)
        spread = _blocks(_shared(r * done.spread, precision.shape[2]), gaps.places, size)
        second = found.second + jnp.moveaxis(spread, 2, 0).reshape(found.second.shape)
        return found._replace(second=second)

    return dependent


def _precision(covariance: AbstractCovariance, scale: Float[Array, "..."]) -> Float[Array, "D D L"]:
    """Inverse covariances, L = K or 1 for a shared one; all components are worked on at once."""
    inverse = covariance.inverse(scale)
    inverse = inverse.reshape(-1, *inverse.shape[-2:])
    return jnp.moveaxis(jnp.einsum("lki,lkj->lij", inverse, inverse), 0, 2)


def _completed(
    precision: Float[Array, "D D L"], image: Float[Array, "N D K"], gaps: Gaps
) -> _Completed:
    """Missing cells given the others; `image` is P_k (x - mu_k) of the row with what stands there."""
    places = gaps.places.T
    spread, log_determinant = swept(blocks_of_missing(precision, places))
    bordered = jnp.pad(image, ((0, 0), (0, 1), (0, 0)))
    at_holes = bordered[jnp.arange(len(image)), places]
    step = -multiplied(spread, at_holes[:, None])[:, 0]
    number = jnp.sum(~gaps.mask, axis=1)[:, None]
    gained = 0.5 * (number * _LOG_2PI - log_determinant)
    return _Completed(step, spread, gained, -0.5 * jnp.sum(step * at_holes, axis=0))


def _scattered(
    values: Float[Array, "m N K"], places: Int[Array, "N m"], size: int
) -> Float[Array, "N D K"]:
    """Values of the missing cells at their columns, zeros elsewhere."""
    empty = jnp.zeros((values.shape[1], size, values.shape[2]), values.dtype)
    return empty.at[jnp.arange(len(places)), places.T].add(values, mode="drop")


def _blocks(
    values: Float[Array, "m m N L"], places: Int[Array, "N m"], size: int
) -> Float[Array, "D D L"]:
    """The sum over rows of blocks at the columns of their missing cells."""
    empty = jnp.zeros((size, size, values.shape[3]), values.dtype)
    return empty.at[places.T[:, None], places.T[None, :]].add(values, mode="drop")


def _shared(values: Float[Array, "... K"], lanes: int) -> Float[Array, "... L"]:
    """The sum over components where they share one covariance."""
    return values if lanes == values.shape[-1] else jnp.sum(values, axis=-1, keepdims=True)
