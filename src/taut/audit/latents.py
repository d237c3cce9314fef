"""How the latents are used: active dimensions, their KL, and whether the guide has collapsed.

    Var[z_j] = Var_n(E[z_j | x_n]) + E_n(Var[z_j | x_n])        under q_agg, by the law of total variance

A dimension is active where rows move its mean: where the first part is more than a hundredth of the
whole. The threshold is that of Burda, Grosse and Salakhutdinov (2016) for latents of unit variance, here
free of the units of z. Beside their number stands that of dimensions whose KL is a tenth of a nat or
more: a mean that rows move a little, under a wide posterior, is active and tells next to nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    over_rows,
    particles,
    weighted_sum,
)
from taut.core.compiling import even_jit
from taut.evidence.draws import fit_and_kl, kl_of_draws
from taut.evidence.importance import proposal_of

__all__ = ["LatentUse", "latent_use"]

_ACTIVE = 0.01  # of a dimension's variance
_NOTHING = 0.1  # nats: a KL below it carries no more than a coin that is seldom thrown
_BLOCK_ROWS = 64
_DRAWS = 64  # which leave moved shares an error of a fifth of the threshold for 100 rows


class LatentUse(NamedTuple):
    """What rows do with the latents.

    Attributes:
        moved: share of each dimension's variance that is the rows', (d,).
        kls: KL(q to prior) of each dimension or group of latents, closed or over draws; nats per row.
        kl: their sum.
    """

    moved: Float[np.ndarray, " d"]
    kls: tuple[Estimate, ...]
    kl: Estimate

    @property
    def active(self) -> np.ndarray:
        """Which dimensions rows move, (d,)."""
        return self.moved > _ACTIVE

    @property
    def num_active(self) -> int:
        """How many."""
        return int(self.active.sum())

    @property
    def num_with_kl(self) -> int | None:
        """How many have a KL of a tenth of a nat or more; None where it is not known for each."""
        if len(self.kls) != len(self.moved):
            return None
        return sum(kl.value >= _NOTHING for kl in self.kls)

    @property
    def collapsed(self) -> bool:
        """Whether z says next to nothing about x: no dimension active, or hardly any KL."""
        return self.num_active == 0 or self.kl.value < _NOTHING


def latent_use(pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> LatentUse:
    """Look at the posteriors of rows.

    Arguments:
        pair: model and guide.
        rows: a batched datum, at least two.
        key: random key.
    """
    model, guide = pair.bind()

    def seen(block: Datum, numbers: Any, _: Any) -> Any:
        return _seen(model, guide, block, numbers, key)

    blocks = list(over_rows(seen, rows, width=_BLOCK_ROWS))
    mean, variance, kl, error, of_sum = (
        np.concatenate([np.asarray(block[i], np.float64) for block in blocks]) for i in range(5)
    )
    between, within = mean.var(axis=0), variance.mean(axis=0)
    if not proposal_of(guide, rows).exhaustive:
        # Means and variances are of draws: the one has the noise of the other.
        within *= _DRAWS / (_DRAWS - 1)
        between = np.maximum(between - within / _DRAWS, 0.0)
    with np.errstate(invalid="ignore"):
        moved = np.nan_to_num(between / (between + within))

    def estimate(values: np.ndarray, errors: np.ndarray) -> Estimate:
        side = "unbiased" if errors.any() else "exact"
        return Estimate.from_rows(values, side=side, mc_errors=errors, index=rows.index)

    kls = tuple(estimate(kl[:, g], error[:, g]) for g in range(kl.shape[1]))
    return LatentUse(moved, kls, estimate(kl.sum(axis=1), of_sum))


@even_jit
def _seen(
    model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
) -> tuple[Array, Array, Array, Array, Array]:
    """Mean and variance of what the decoder reads of z, (B, d); the KL of each group and its error,
    (B, G), and the error of their sum, (B,)."""

    def one(datum: Datum, number: Any) -> Any:
        row_key = jax.random.fold_in(key, number)
        made = particles(model, guide, guide, datum, row_key, _DRAWS)
        code = jax.vmap(lambda z: _vector(model.code(z)))(made.z)
        mass = jnp.exp(made.log_mass)
        mean = mass @ code
        variance = mass @ (code - mean) ** 2
        if made.kl is not None:
            each = jax.vmap(weighted_sum, in_axes=(None, 1))(made.log_mass, made.kl)
            if not kl_of_draws(model, guide, datum, made):
                return mean, variance, each, jnp.zeros_like(each), jnp.zeros(())
            # From the first draw, so that what is the same at all draws has no rounding to spread.
            moved = made.kl - made.kl[0]
            return mean, variance, each, _error(moved), _error(jnp.sum(moved, axis=1))
        outside, _ = fit_and_kl(made)
        sampled = outside - made.log_w
        kl = weighted_sum(made.log_mass, sampled)[None]
        if made.strata > 1:
            log_q = made.log_mass + jnp.log(float(_DRAWS))  # masses of a replicate add up to one
            parts = (leaf.reshape(_DRAWS, made.strata) for leaf in (log_q, sampled))
            sampled = jax.vmap(weighted_sum)(*parts)
        error = jnp.where(made.exhaustive, 0.0, _error(sampled))
        return mean, variance, kl, error[None], error

    return jax.vmap(one)(block, numbers)


def _error(values: Float[Array, "K *G"]) -> Float[Array, "*G"]:
    """Standard error of a mean over draws."""
    return jnp.std(values, axis=0) / jnp.sqrt(values.shape[0] - 1.0)


def _vector(code: Any) -> Float[Array, " d"]:
    leaves = [jnp.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(code)]
    return jnp.concatenate([leaf.astype(jnp.result_type(float)) for leaf in leaves])
