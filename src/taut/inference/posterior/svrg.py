"""SVRG: a subsampled model with a control variate, by the gradient of all rows at an anchor.

    log p_B(x, z) + (G - G_B) . (z - z_0),      G_B = grad log p_B(x, z_0),     G = grad log p(x, z_0)

The mean of G_B over batches is G, so that the added term has mean zero at every z, for values and
gradients. What remains of the noise of batches is of the order of |z - z_0|: near the posterior of many
rows, where z_0 is a mean of q, it is smaller than the noise of log p_B by the square root of N. A step
takes one more gradient of the batch, and an anchor one of all rows.

Source: Johnson and Zhang, Accelerating stochastic gradient descent using predictive variance reduction
(NeurIPS 2013), equation 3, here for the log-joint instead of its parameters' gradient.
"""

from typing import ClassVar

import jax
from jaxtyping import Array, Float

from taut.core import AbstractModel, Datum, Terms

__all__ = ["SVRG"]


class SVRG(AbstractModel):
    """p(x, z) of a minibatch, plus the control variate.

    Attributes:
        model: p(x, z) of a minibatch, without latents of single rows.
        anchor: z_0, (d,).
        gradient: G, (d,).
    """

    TERM: ClassVar[str] = "control_variate"

    model: AbstractModel
    anchor: Float[Array, " d"]
    gradient: Float[Array, " d"]

    @property
    def subsampled(self) -> bool:
        return self.model.subsampled

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        own = jax.grad(lambda at: self.model.log_joint(datum, at))(self.anchor)
        # A coefficient, not a path: the anchor moves between stages of steps, not with them.
        slope = jax.lax.stop_gradient(self.gradient - own)
        return {**self.model.terms(datum, z), self.TERM: slope @ (z - self.anchor)}
