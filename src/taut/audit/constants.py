"""Whether log p(x | z) is the density that the model draws rows from, its constants kept.

    E log p(x | z) + H[p(x | z)] = 0,        z ~ p(z),  x ~ p(x | z)

The entropy is that of the distribution which draws x, in closed form or, of counts, summed; the density
is what the bounds are made of. A constant that one of them lacks is seen here alone: it moves ELBO and
log-evidence alike.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import LOG_LIKELIHOOD, AbstractModel, Datum, Estimate, InputError, as_proposal
from taut.core.compiling import kept_jit
from taut.evidence.simulated import Simulated, simulated

__all__ = ["density_excess"]

_ROWS = 256
_FAR = 4  # times the largest number of all rows: no cell has mass above it that matters
_MOST = 10**6  # of the numbers that are summed up to, which are some thousands


def density_excess(model: AbstractModel, like: Datum, *, key: PRNGKeyArray) -> Estimate | None:
    """E log p(x | z) + H[p(x | z)] of rows that the model draws, nats per row; 0 of a sound model.

    Arguments:
        model: p(x, z).
        like: rows whose form the drawn ones have, batched.
        key: random key.

    Returns:
        None where the model draws no rows, or its entropy is not known.
    """
    try:
        first = eqx.filter_eval_shape(_latent, model, key)
        if eqx.filter_eval_shape(lambda m, z: m.entropy(z, most=_FAR), model, first) is None:
            return None
        made = simulated(model, Datum(like.x), _ROWS, key=key)
    except (InputError, NotImplementedError):
        return None
    # All cells, as entropies are of all.
    made = made._replace(rows=Datum(made.rows.x, index=made.rows.index))
    largest = np.max(np.nan_to_num(np.asarray(made.rows.x, np.float64)), initial=1.0)
    most = _FAR * 2 ** math.ceil(math.log2(min(largest, _MOST)))  # one program for many data sets
    excess = np.asarray(_excess(model, made, most), np.float64)
    error = float(excess.std(ddof=1)) / math.sqrt(len(excess))
    return Estimate(float(excess.mean()), "unbiased", mc_error=error, count=len(excess))


def _latent(model: AbstractModel, key: PRNGKeyArray) -> Any:
    """One draw of the prior."""
    return jax.tree.map(lambda leaf: leaf[0], as_proposal(model.prior()).draw(key, 1).z)


@kept_jit
def _excess(model: AbstractModel, made: Simulated, most: int) -> Float[Array, " N"]:
    def one(row: tuple[Datum, Any]) -> Any:
        datum, z = row
        entropy: Any = model.entropy(z, most=most)
        return jnp.sum(model.terms(datum, z)[LOG_LIKELIHOOD]) + entropy

    return jax.lax.map(one, (made.rows, made.z))  # a row at a time: counts are summed for each cell
