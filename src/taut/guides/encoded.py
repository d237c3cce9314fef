"""The guide that a function of a row is: q(z | x) = encode(x).

`encode` returns the mean and the scales of independent Gaussians, or a NumPyro distribution.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist

from taut.core import Datum, InputError

__all__ = ["EncodedGuide"]


class EncodedGuide(eqx.Module):
    """A function as a guide.

    Attributes:
        encode: maps x to (mean, scale), each (d,), or to a NumPyro distribution over (d,), a proposal.
    """

    encode: Any

    def __call__(self, datum: Datum) -> Any:
        """q(z | x), a distribution or a proposal.

        Raises:
            InputError: rows with missing cells, which the function cannot be told of.
        """
        if datum.mask is not None:
            raise InputError(
                "rows without missing cells, which a function of a row reads whole",
                "rows with some", "leaving them out", where="encode",
            )  # fmt: skip
        # Rows of bits or counts that a model has drawn are whole numbers.
        q = self.encode(datum.x.astype(jnp.result_type(datum.x, float)))
        if isinstance(q, tuple | list):
            return dist.Normal(*q).to_event(1)
        is_distribution = isinstance(q, dist.Distribution)
        return q.to_event(len(q.batch_shape)) if is_distribution else q
