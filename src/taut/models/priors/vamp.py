"""The VampPrior: a mixture of the guide's own posteriors at K learned pseudo-inputs.

    p(z) = sum_k w_k q(z | u_k)

It is the aggregated posterior of K made-up rows. The guide's parameters are on both sides, and their
gradient comes from both. Pseudo-inputs are learned as numbers v_k without bounds,

    u = v in the encoder's units                real data
    u = top * sigmoid(4 v)                      data between 0 and top: slope `top` in the middle
    u = exp(softplus(v)) - 1                    counts

so that every u is a row that the data could hold, counts and grey levels aside from being whole. Weights
are equal, or a softmax of learned logits.

Source: Tomczak and Welling, VAE with a VampPrior (AISTATS 2018), section 2.3; they cut u off at the
bounds, where its gradient ends.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum, InputError, MixtureProposal, counted
from taut.data import Schema
from taut.models.priors.abstract import AbstractPrior
from taut.models.units import Units

__all__ = ["VampPrior"]

_SLOPE = 4.0  # of a sigmoid in the middle, 1/4, made one
_MARGIN = 0.05  # of the range, between its ends and where a pseudo-input starts
_FIRST = 0.05  # log(1 + count) of a count of zero at the start, whose softplus is never zero


class VampPrior(AbstractPrior):
    """q(z | u) averaged over pseudo-inputs.

    Arguments:
        latent_dim: of the guide, which decides it.
        pseudo_inputs: how many, K.
        weighted: whether their weights are learned; else they are equal.
        schema: what a row is.
        key: pseudo-inputs are noise until rows are given them (`started_at`).

    Attributes:
        free: v_k, (K, *data_shape).
        logits: unnormalized log-weights, (K,); None where weights are equal.
        units: of real data that are standardised.
        support: of the data.
        top: largest value of bounded data.
        posteriors: the mixture, once a guide is known.
    """

    name: ClassVar[str] = "vamp"

    free: Float[Array, "K ..."]
    logits: Float[Array, " K"] | None
    units: Units | None
    support: str = eqx.field(static=True)
    top: float = eqx.field(static=True)
    posteriors: MixtureProposal | None

    def __init__(
        self,
        latent_dim: int,
        pseudo_inputs: int = 500,
        *,
        weighted: bool = False,
        schema: Schema,
        key: PRNGKeyArray,
    ):
        if pseudo_inputs < 1:
            raise InputError(
                "at least one pseudo-input", f"{pseudo_inputs}", "vamp:500", where="prior"
            )
        self.free = 0.1 * jax.random.normal(key, (pseudo_inputs, *schema.shape))
        self.logits = jnp.zeros(pseudo_inputs) if weighted else None
        self.units = None
        if schema.scale is not None:
            shift, scale = (jnp.broadcast_to(v, schema.shape) for v in schema.shift_scale())
            self.units = Units(shift.astype(float), scale.astype(float))
        self.support = schema.support
        codes = schema.support == "categorical"
        self.top = float((schema.levels or 2) - 1) if codes else 1.0
        self.posteriors = None

    @property
    def num_pseudo_inputs(self) -> int:
        """K."""
        return self.free.shape[0]

    @property
    def pseudo_inputs(self) -> Float[Array, "K ..."]:
        """u_k in the data's units, (K, *data_shape)."""
        if self.support == "real":
            return self.free if self.units is None else self.units.restore(self.free)
        if self.support == "count":
            return jnp.expm1(jax.nn.softplus(self.free))
        return self.top * jax.nn.sigmoid(_SLOPE * self.free)

    def started_at(self, rows: Datum) -> "VampPrior":
        """The prior with pseudo-inputs at K rows, evenly spaced through those given.

        Cells that were not observed start at their column's mean.

        Raises:
            InputError: fewer rows than pseudo-inputs.
        """
        x, num = np.asarray(rows.x, float), self.num_pseudo_inputs
        if len(x) < num:
            raise InputError(
                "at least as many training rows as pseudo-inputs, which start at rows",
                f"{counted(len(x), 'row')} and {counted(num, 'pseudo-input')}", f"vamp:{len(x)}",
                where="prior",
            )  # fmt: skip
        if rows.mask is not None:
            seen = np.asarray(rows.mask)
            counts = np.maximum(seen.sum(axis=0), 1)
            x = np.where(seen, x, np.where(seen, x, 0).sum(axis=0) / counts)
        chosen = jnp.asarray(x[(np.arange(num) * len(x)) // num], self.free.dtype)
        return eqx.tree_at(lambda p: p.free, self, self._freed(chosen))

    def bound_to(self, member: Any, given: Any) -> "VampPrior":
        """The prior of a guide.

        Arguments:
            member: from what names a posterior to the posterior.
            given: what names those of the pseudo-inputs, with leading axis K.
        """
        if self.logits is None:
            num = self.num_pseudo_inputs
            log_weights = jnp.full(num, -jnp.log(float(num)), self.free.dtype)
        else:
            log_weights = jax.nn.log_softmax(self.logits)
        mixture = MixtureProposal(member, given, log_weights)
        return eqx.tree_at(lambda p: p.posteriors, self, mixture, is_leaf=lambda leaf: leaf is None)

    def __call__(self) -> Any:
        """The mixture.

        Raises:
            InputError: no guide has been bound to it.
        """
        if self.posteriors is None:
            raise InputError(
                "a VampPrior within a model whose guide it averages", "one by itself",
                'taut.fit(data, model="vae", prior="vamp:500")', where="prior",
            )  # fmt: skip
        return self.posteriors

    def _freed(self, u: Float[Array, "K ..."]) -> Float[Array, "K ..."]:
        """The v of rows u, as far from the bounds as their gradient asks."""
        if self.support == "real":
            return u if self.units is None else self.units.standardize(u)
        if self.support == "count":
            logs = jnp.maximum(jnp.log1p(u), _FIRST)
            return logs + jnp.log(-jnp.expm1(-logs))  # the inverse of softplus
        share = jnp.clip(u / self.top, _MARGIN, 1 - _MARGIN)
        return (jnp.log(share) - jnp.log1p(-share)) / _SLOPE
