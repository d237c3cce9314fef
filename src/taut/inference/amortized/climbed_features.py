"""The best member of any family for each row, found by ascent of the row's own ELBO in its features.

    q_i = family(f_i),      f_i = argmax over f of E_{family(f)} log w of row i

from what the guide names, in rounds of Adam whose steps fall to 0 as a cosine. After each round the
ELBOs of where it began and of where it ended are taken on draws of their own, the same for both, and the
better one goes on. For families without a second-order step of their own: low-rank Gaussians, flows (the
layers, which all rows share, stay as they are), ladders. A row has converged where its last round gained
no more than `_GAIN`, or twice the error of what it gained.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.bounds import ELBO
from taut.core import AbstractModel, Datum, key_of_row, particles
from taut.core.compiling import even_jit
from taut.guides import AbstractFamily, AtFeatures, FeatureGuide, PerDatumGuide, Refinement
from taut.inference.amortized.row_gaussians import RowGaussians, kept_members

__all__ = ["climbed_features"]

_ROUNDS, _STEPS = 4, 80
_DRAWS = 8  # of a step
_RATE = 0.05  # of Adam: features are means and logarithms of scales
_COMPARED = 256  # draws that the ends of a round are compared on
_GAIN = 0.05  # nats


def climbed_features(
    model: AbstractModel, guide: FeatureGuide, rows: Datum, *, key: PRNGKeyArray
) -> RowGaussians:
    """Find the best member for each row.

    Arguments:
        model: p(x, z).
        guide: q(z | x), whose draws are differentiable in its features.
        rows: batched, with an index.
        key: of all draws.

    Raises:
        InputError: rows without an index, or one index twice.
    """

    def found(block: Datum, numbers: Any, _: Any) -> Any:
        return _found(model, guide, block, numbers, key)

    features, converged = kept_members(found, rows)
    table = PerDatumGuide.start(guide.family, rows, features=features)
    return RowGaussians(table, converged)


@even_jit
def _found(
    model: AbstractModel, guide: FeatureGuide, block: Datum, numbers: Any, key: PRNGKeyArray
) -> tuple[Float[Array, "B F"], Bool[Array, " B"]]:
    """Features of the members, and whether each ascent converged."""
    climb = Refinement(
        num_steps=_STEPS,
        optimizer=optax.adam(optax.cosine_decay_schedule(_RATE, _STEPS)),
        bound=ELBO(num_draws=_DRAWS),
        through=False,
    )
    family = guide.family

    def one(datum: Datum, number: Any) -> tuple[Array, Array]:
        def round_of(carry: tuple[Array, Array], own: PRNGKeyArray) -> tuple[Any, None]:
            features, _ = carry
            climb_key, compare_key = jax.random.split(own)
            ended = climb(model, family, features, datum, key=climb_key)
            gained = _elbos(model, family, ended, datum, compare_key) - _elbos(
                model, family, features, datum, compare_key
            )
            gain = jnp.mean(gained)
            better = gain > 0  # not where it is NaN
            few = gain <= jnp.maximum(_GAIN, 2 * jnp.std(gained) * _COMPARED**-0.5)
            return (jnp.where(better, ended, features), few), None

        keys = jax.random.split(key_of_row(key, datum, number), _ROUNDS)
        start = (guide.features(datum), jnp.asarray(False))
        (features, converged), _ = jax.lax.scan(round_of, start, keys)
        return features, converged

    return jax.vmap(one)(block, numbers)


def _elbos(
    model: AbstractModel,
    family: AbstractFamily,
    features: Float[Array, " F"],
    datum: Datum,
    key: PRNGKeyArray,
) -> Float[Array, " K"]:
    """The ELBO of a member by one draw, of each of many, nats."""
    bound = ELBO()
    member = AtFeatures(features, family)

    def by_one(own: PRNGKeyArray) -> Float[Array, ""]:
        return bound(particles(model, member, member, datum, own, 1))

    return jax.vmap(by_one)(jax.random.split(key, _COMPARED))
