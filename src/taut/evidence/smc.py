"""Tempered sequential Monte Carlo: chains that are resampled on their way to the posterior.

    w_i <- w_i w(z_i)^(b_{t+1} - b_t);   where ESS(w) < K / 2: K draws of the z_i by their w_i, each with
    mean(w);   z_i ~ K_{b_{t+1}}(. | z_i)                            t = 0, ..., T - 1
    p(x) ~ mean of the last w

Temperatures and kernels are found in a pilot and then fixed (`tempering`), and so the mean is unbiased
for p(x) (Del Moral 2004, theorem 7.4.2); that resampling waits for a low ESS leaves it so. The last
transitions are at b = 1, where the z_i, by their w_i, are draws of p(z | x).

The weight of a draw of the start is that of all that came of it. Between draws of the start these
weights are what log-weights are of importance sampling: their variance gives the error (Lee and
Whiteley, Variance estimation in the particle filter, 2018, equation 2.11, up to (K / (K - 1))^T), and
their tail the k-hat. Without resampling this is annealed importance sampling.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.core import AbstractModel, AbstractPair, Datum, key_of_row, over_rows
from taut.core.compiling import steady_jit
from taut.evidence.annealed import AbstractSwept, annealed_columns, refuse_start, rows_at_once
from taut.evidence.chains import increments, kernels_of, moved, started
from taut.evidence.draws import RowDraws
from taut.evidence.hmc import Point
from taut.evidence.tempered import AbstractTempered
from taut.evidence.tempering import Path, Plan

__all__ = ["SMC", "Cloud", "Drawn", "posterior_draws", "resampled", "temper", "tempered_rows"]


@dataclass(frozen=True)
class SMC(AbstractSwept):
    """Tempered sequential Monte Carlo; the options are those of the base."""

    name: ClassVar[str] = "smc"

    def columns(
        self, model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
    ) -> dict[str, Any]:
        _, draws, acceptance = tempered_rows(model, guide, block, numbers, key, self)
        return annealed_columns(draws, acceptance)


class Cloud(NamedTuple):
    """Weighted chains of one row.

    Attributes:
        points: where they are, a leading axis K.
        log_w: their log-weights, nats, (K,).
        ancestors: the draw of the start that each came of, (K,).
    """

    points: Point
    log_w: Float[Array, " K"]
    ancestors: Int[Array, " K"]

    def by_ancestor(self) -> Float[Array, " K"]:
        """log of the summed weights of all that came of each draw of the start; their mean is that of
        the weights."""
        top = jnp.max(self.log_w)
        top = jnp.where(jnp.isfinite(top), top, 0.0)
        summed = jnp.zeros_like(self.log_w).at[self.ancestors].add(jnp.exp(self.log_w - top))
        return jnp.log(summed) + top


class Drawn(NamedTuple):
    """Draws of p(z | x), of one row or of the rows of a block.

    Attributes:
        z: a leading axis K.
        log_weights: of the draws, whose mean weight is the estimate of p(x), nats, (K,).
        log_w: log p(x, z) - log q(z) of the start q at the draws, nats, (K,).
        start_log_w: the same at the draws of q that they come of, nats, (K,).
    """

    z: Any
    log_weights: Float[Array, "*B K"]
    log_w: Float[Array, "*B K"]
    start_log_w: Float[Array, "*B K"]


def temper(
    path: Path,
    plan: Plan,
    points: Point,
    key: PRNGKeyArray,
    *,
    leapfrog: int,
) -> tuple[Cloud, Float[Array, ""]]:
    """The chains at b = 1, and their mean acceptance.

    Arguments:
        path: the tempered densities.
        plan: what is fixed.
        points: draws of the start, a leading axis K.
        key: of resampling and chains.
        leapfrog: L.
    """
    count = points.log_w.shape[0]

    def heat(cloud: Cloud, now: tuple[Array, ...]) -> tuple[Cloud, Array]:
        number, beta, width, step = now
        resample_key, move_key = jax.random.split(jax.random.fold_in(key, number))
        log_w = cloud.log_w + width * cloud.points.log_w
        cloud = resampled(cloud._replace(log_w=log_w), resample_key)
        moving, accepted = moved(path, plan, cloud.points, beta, step, move_key, leapfrog=leapfrog)
        return cloud._replace(points=moving), accepted

    numbers = jnp.arange(1, plan.betas.shape[0])
    now = (numbers, plan.betas[1:], increments(plan.betas), plan.steps[1:])
    cloud = Cloud(points, jnp.zeros_like(points.log_w), jnp.arange(count))
    cloud, accepted = jax.lax.scan(heat, cloud, now)
    return cloud, jnp.mean(accepted)


def resampled(cloud: Cloud, key: PRNGKeyArray) -> Cloud:
    """The cloud itself, or systematic draws of it by weight where the ESS is below half of K."""
    count = cloud.log_w.shape[0]
    share = jax.nn.softmax(cloud.log_w)
    few = jnp.sum(share**2) * count > 2  # not where no weight is finite, which compares with NaN
    at = (jnp.arange(count) + jax.random.uniform(key, (), share.dtype)) / count
    chosen = jnp.clip(jnp.searchsorted(jnp.cumsum(share), at), 0, count - 1)
    chosen = jnp.where(few, chosen, jnp.arange(count))
    mean = jax.nn.logsumexp(cloud.log_w) - jnp.log(float(count))
    points, ancestors = jax.tree.map(lambda leaf: leaf[chosen], (cloud.points, cloud.ancestors))
    return Cloud(points, jnp.where(few, mean, cloud.log_w), ancestors)


def posterior_draws(
    pair: AbstractPair, rows: Datum, options: SMC, *, key: PRNGKeyArray
) -> tuple[Any, Float[np.ndarray, "N K"]]:
    """Draws of p(z | x) for each row: z with leading axes (N, K), and their log-weights, nats, (N, K).

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        options: of the method.
        key: random key; the draws are those behind the evidence of the same key.

    Raises:
        InputError: as of `SMC`.
    """
    model, guide = pair.bind()
    refuse_start(model, guide, rows, options)

    def program(block: Datum, numbers: Any, _: Any) -> Any:
        drawn = tempered_rows(model, guide, block, numbers, key, options)[0]
        return drawn.z, drawn.log_weights

    blocks = list(over_rows(program, rows, width=rows_at_once(options)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


@steady_jit
def tempered_rows(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    options: AbstractTempered,
) -> tuple[Drawn, RowDraws, Float[Array, " B"]]:
    """Draws with log-weights of each row of a block, log-weights by ancestor, and mean acceptance."""

    def one(datum: Datum, number: Any) -> tuple[Drawn, RowDraws, Array]:
        row_key = key_of_row(key, datum, number)
        path, plan = kernels_of(model, guide, datum, jax.random.fold_in(row_key, 1), options)
        start_key = jax.random.fold_in(row_key, 0)
        points, draws = started(model, path, datum, start_key, options.num_particles)
        if plan is None:
            accepted, log_w, by_ancestor = jnp.ones(()), draws.log_w, draws.log_w
        else:
            own = jax.random.fold_in(row_key, 2)
            cloud, accepted = temper(path, plan, points, own, leapfrog=options.leapfrog)
            points, log_w, by_ancestor = cloud.points, cloud.log_w, cloud.by_ancestor()
        z = jax.vmap(path.coordinates.to_z)(points.u)
        drawn = Drawn(z, log_w, points.log_w, draws.log_w)
        return drawn, RowDraws(by_ancestor, draws.fit, None, draws.kl), accepted

    return jax.vmap(one)(block, numbers)
