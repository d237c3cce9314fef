"""KL between Gaussians over R^D, whatever the form of their covariances.

    KL(q to p) = (tr(S_p^-1 S_q) + (m_q - m_p)' S_p^-1 (m_q - m_p) - D + log|S_p| - log|S_q|) / 2

Each covariance is S = F F' + diag(d): a diagonal Gaussian has no F, a full one has its Cholesky factor
for F and no d, a low-rank one has both. Exact. Matrices of D x D appear only where one of the two is
full; diagonal against rank R costs O(D R^2).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from numpyro.distributions.kl import kl_divergence

__all__ = ["GAUSSIANS", "gaussian_kl"]

# Families with a rule for every pair, `Normal` standing for one made independent over its event.
GAUSSIANS: tuple[type, ...] = (dist.Normal, dist.MultivariateNormal, dist.LowRankMultivariateNormal)


def gaussian_kl(q: Any, p: Any) -> Float[Array, "*batch"] | None:
    """KL(q to p) in nats for two Gaussians over vectors; exact.

    Full (`MultivariateNormal`), low-rank (`LowRankMultivariateNormal`) and diagonal (`Normal` that is
    independent over one dimension) in every combination; a diagonal q against a `CirculantNormal`.

    Returns:
        the batch shape, or None where either is not one of these.
    """
    q_form = _form(q)
    if q_form is None:
        return None
    if isinstance(p, dist.CirculantNormal):
        if q_form.factor is not None or q_form.diagonal is None:
            return None
        normal = dist.Normal(q_form.mean, jnp.sqrt(q_form.diagonal), validate_args=False)
        return kl_divergence(normal.to_event(1), p)
    p_form = _form(p)
    if p_form is None:
        return None
    spread = jnp.zeros(())
    if q_form.factor is not None:
        spread = spread + _squared_length(p_form, q_form.factor)
    if q_form.diagonal is not None:
        spread = spread + jnp.sum(q_form.diagonal * _precision_diagonal(p_form), axis=-1)
    distance = _squared_length(p_form, (q_form.mean - p_form.mean)[..., None])
    log_dets = _log_det(p_form) - _log_det(q_form)
    return 0.5 * (spread + distance - q.event_shape[0] + log_dets)


class _Gaussian(NamedTuple):
    """Mean and covariance F F' + diag(d), with the Cholesky factor that its inverse needs.

    `tril` is the Cholesky factor of S where there is no d, and of C = 1 + F' diag(1/d) F where there
    are both; None for a diagonal one.
    """

    mean: Float[Array, "*batch D"]
    factor: Float[Array, "*batch D R"] | None
    diagonal: Float[Array, "*batch D"] | None
    tril: Float[Array, "*batch R R"] | None


def _form(d: Any) -> _Gaussian | None:
    if isinstance(d, dist.MultivariateNormal):
        tril = jnp.asarray(d.scale_tril)
        return _Gaussian(d.mean, tril, None, tril)
    if isinstance(d, dist.LowRankMultivariateNormal):
        factor, diagonal = jnp.asarray(d.cov_factor), jnp.asarray(d.cov_diag)
        inner = _transposed(factor) @ (factor / diagonal[..., None])
        tril = jnp.linalg.cholesky(inner + jnp.eye(inner.shape[-1], dtype=inner.dtype))
        return _Gaussian(d.mean, factor, diagonal, tril)
    if isinstance(d, dist.Independent) and d.reinterpreted_batch_ndims == 1:
        base = d.base_dist
        normal = base.base_dist if isinstance(base, dist.ExpandedDistribution) else base
        if isinstance(normal, dist.Normal):
            mean, variance = (jnp.broadcast_to(a, d.shape()) for a in (base.mean, base.variance))
            return _Gaussian(mean, None, variance, None)
    return None


def _squared_length(p: _Gaussian, columns: Float[Array, "*q D R"]) -> Float[Array, "*broadcast"]:
    """The sum over columns v of v' S^-1 v."""
    if p.diagonal is None:
        return jnp.sum(_solve(p.tril, columns) ** 2, axis=(-2, -1))
    weighted = columns / p.diagonal[..., None]
    whole = jnp.sum(columns * weighted, axis=(-2, -1))
    if p.factor is None:
        return whole
    # Woodbury: S^-1 = W - W F C^-1 F' W with W = diag(1 / d).
    return whole - jnp.sum(_solve(p.tril, _transposed(p.factor) @ weighted) ** 2, axis=(-2, -1))


def _precision_diagonal(p: _Gaussian) -> Float[Array, "*batch D"]:
    """The diagonal of S^-1."""
    if p.diagonal is None:
        identity = jnp.eye(p.mean.shape[-1], dtype=p.mean.dtype)
        return jnp.sum(_solve(p.tril, identity) ** 2, axis=-2)
    if p.factor is None:
        return 1.0 / p.diagonal
    weighted = _transposed(p.factor / p.diagonal[..., None])
    return 1.0 / p.diagonal - jnp.sum(_solve(p.tril, weighted) ** 2, axis=-2)


def _log_det(d: _Gaussian) -> Float[Array, "*batch"]:
    """log|S|, by the matrix determinant lemma where F and d are both there."""
    value = jnp.zeros(())
    if d.diagonal is not None:
        value = value + jnp.sum(jnp.log(d.diagonal), axis=-1)
    if d.tril is not None:
        roots = jnp.diagonal(d.tril, axis1=-2, axis2=-1)
        value = value + 2.0 * jnp.sum(jnp.log(roots), axis=-1)
    return value


def _solve(tril: Any, columns: Float[Array, "*b R C"]) -> Float[Array, "*c R C"]:
    """L^-1 v for each column v, over broadcast batches."""
    batch = jnp.broadcast_shapes(tril.shape[:-2], columns.shape[:-2])
    return solve_triangular(
        jnp.broadcast_to(tril, batch + tril.shape[-2:]),
        jnp.broadcast_to(columns, batch + columns.shape[-2:]),
        lower=True,
    )


def _transposed(matrix: Float[Array, "*batch D R"]) -> Float[Array, "*batch R D"]:
    return jnp.swapaxes(matrix, -2, -1)
