"""Holes of the prior: latents that p draws and no row's posterior comes near.

    hole: log q_agg(z) < the 1 % quantile of log q_agg at draws z ~ q(z | x), x held out

q_agg is that of training rows. Where p is that q_agg, one draw of p in a hundred is a hole, if held-out
rows are as training rows are. Beside it stand a two-sample test of draws of p against posterior draws
of held-out rows, and what q_agg as a prior would gain these rows,

    E_x E_q [log q_agg(z) - log p(z)]        nats per row, < 0 where rows lie between the components.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.audit.among_rows import among_rows
from taut.audit.drawn_latents import DrawnLatents, drawn_latents
from taut.audit.two_sample import TwoSample, two_sample
from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    InputError,
    as_proposal,
    check_count,
    num_rows,
)
from taut.core.compiling import kept_jit
from taut.core.keys import host_generator
from taut.fitted.coding import at_total

__all__ = ["Holes", "holes"]

_QUANTILE = 0.01
_SHOWN = 8
_MOST_TESTED = 500  # rows of a sample, whose distances are all taken


@dataclass(frozen=True)
class Holes:
    """How the prior differs from the posteriors of held-out rows.

    Attributes:
        share: of draws of p that are holes; 0.01 where p is q_agg. Its error has that of the quantile.
        threshold: log q_agg below which a draw is one, nats.
        two_sample: draws of p against posterior draws of held-out rows.
        gain: what q_agg of the training rows as prior adds to the held-out ELBO.
        means: E[x | z] at the draws of p with the least log q_agg, (8, *shape); None where the model
            makes no rows.
        log_q_agg: at those draws, nats, (8,).
    """

    share: Estimate
    threshold: float
    two_sample: TwoSample
    gain: Estimate
    means: np.ndarray | None
    log_q_agg: np.ndarray

    @property
    def many(self) -> bool:
        """Whether holes are more than the 1 % of a prior that fits, beyond two errors."""
        return self.share.value - 2 * self.share.mc_error > _QUANTILE


def holes(
    pair: AbstractPair,
    components: Datum,
    held_out: Datum,
    *,
    key: PRNGKeyArray,
    num_samples: int = 2000,
    num_draws: int = 8,
    total: float | None = None,
) -> Holes:
    """Look for holes.

    Arguments:
        pair: model and guide.
        components: training rows, whose posteriors make up q_agg.
        held_out: other rows, batched.
        key: random key.
        num_samples: draws of p.
        num_draws: of each held-out row.
        total: of the rows that `means` are those of, of counts that are given theirs; None for the
            likelihood's own, or where it has none.

    Raises:
        InputError: the model cannot draw from its prior, latents without a density, no draws of p, or
            fewer than two of each row.
    """
    wish = "at least one draw of the prior"
    num_samples = check_count(num_samples, wish, "2000", where="num_samples")
    model, guide = pair.bind()
    row_key, prior_key, test_key = jax.random.split(key, 3)
    at_rows = drawn_latents(model, guide, held_out, key=row_key, num_draws=num_draws)
    log_total = math.log(num_rows(components))
    of_rows = among_rows(guide, at_rows, components, own=False).log_sum - log_total
    z = _prior_draws(model, prior_key, num_samples)
    at_prior = _alone(z)
    of_prior = (among_rows(guide, at_prior, components, own=False).log_sum - log_total)[:, 0]

    threshold = _quantile(of_rows, np.exp(at_rows.log_mass))
    below = (of_prior < threshold).astype(float)
    share = float(below.mean())
    # Rows, not draws, are independent: the level of the quantile is known as rows tell it.
    level = math.sqrt(_QUANTILE * (1 - _QUANTILE) / num_rows(held_out))
    error = math.hypot(math.sqrt(share * (1 - share) / num_samples), level)
    gain, gain_error = at_rows.averaged(of_rows - at_rows.log_prior)
    least = np.argsort(of_prior)[:_SHOWN]
    return Holes(
        Estimate(share, "none", mc_error=error, count=num_samples, unit="of prior draws"),
        threshold,
        _tested(at_rows, z, host_generator(test_key)),
        Estimate.from_rows(gain, side="unbiased", mc_errors=gain_error, index=at_rows.numbers),
        _means(model, jax.tree.map(lambda leaf: leaf[least], z), total),
        of_prior[least],
    )


def _alone(z: Any) -> DrawnLatents:
    """Latents of nobody, one a row."""
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], z)
    zeros = np.zeros((len(jax.tree.leaves(z)[0]), 1))
    return DrawnLatents(one, zeros, zeros, zeros, zeros, np.full(len(zeros), -1), False, 1)


def _quantile(values: Float[np.ndarray, "R S"], mass: Float[np.ndarray, "R S"]) -> float:
    """The 1 % quantile over rows and draws of their mass."""
    order = np.argsort(values, axis=None)
    reached = np.cumsum(mass.ravel()[order]) / mass.sum()
    return float(values.ravel()[order[np.searchsorted(reached, _QUANTILE)]])


def _tested(rows: DrawnLatents, z: Any, generator: np.random.Generator) -> TwoSample:
    """One draw of each held-out row, or of some at random, by its mass, against as many of the prior."""
    at = np.sort(generator.permutation(len(rows.log_mass))[:_MOST_TESTED])
    mass = np.exp(rows.log_mass[at])
    picked = np.array([generator.choice(len(p), p=p / p.sum()) for p in mass])
    first = _flat(jax.tree.map(lambda leaf: np.asarray(leaf)[at, picked], rows.z))
    return two_sample(first, _flat(z)[: len(first)], generator)


def _flat(z: Any) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(z)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _means(model: AbstractModel, z: Any, total: float | None) -> np.ndarray | None:
    try:
        return np.asarray(_decoded(model, z, total))
    except (NotImplementedError, InputError):
        return None


@kept_jit
def _decoded(model: AbstractModel, z: Any, total: float | None) -> Float[Array, "N ..."]:
    own = at_total(model, total)
    return jax.vmap(lambda at: jnp.asarray(own.mean(own.code(at))))(z)


@kept_jit
def _prior_draws(model: AbstractModel, key: PRNGKeyArray, number: int) -> Any:
    return as_proposal(model.prior()).draw(key, number).z
