"""`FlowJAXBijection`: any bijection of FlowJAX as a layer. The only file that imports FlowJAX.

    z = bijection.transform(x),        log |det dz/dx| as FlowJAX returns it

FlowJAX's distributions hold the map from the base to the data, so that the layer of such a flow is
`Inverse(FlowJAXBijection(flow.bijection))`. Its parameters are wrapped (`paramax`): a `NonTrainable`
one gets no gradient, a `Parameterize`d one is learned in its raw form. The layers that `make_layers`
makes are taut's own.

Source: Ward, FlowJAX 19 (https://github.com/danielward27/flowjax).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import Array

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Cost, Shape, WithLogDet

__all__ = ["FlowJAXBijection"]


class FlowJAXBijection(AbstractBijection):
    """A bijection that a user built with FlowJAX.

    Attributes:
        x_shape, z_shape: the bijection's.
        bijection: a `flowjax.bijections.AbstractBijection`.

    Raises:
        InputError: it is none.
    """

    name: ClassVar[str] = "flowjax"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    bijection: Any

    def __init__(self, bijection: Any):
        from flowjax.bijections import AbstractBijection as Theirs

        if not isinstance(bijection, Theirs):
            raise InputError(
                "a bijection of FlowJAX", type(bijection).__name__,
                "the `bijection` of a FlowJAX distribution", where="flowjax",
            )  # fmt: skip
        self.bijection = bijection
        self.x_shape = self.z_shape = bijection.shape

    @property
    def condition_shape(self) -> Shape | None:
        return self.bijection.cond_shape

    @property
    def cost(self) -> Cost:
        return _cost(self.bijection)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return self.bijection.transform_and_log_det(x, condition)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return self.bijection.inverse_and_log_det(z, condition)


def _cost(bijection: Any) -> Cost:
    """Passes of transform and of inverse, as far as the structure tells."""
    from flowjax import bijections as theirs

    if isinstance(bijection, theirs.Invert):
        inner = _cost(bijection.bijection)
        return Cost(encode=inner.decode, decode=inner.encode)
    if isinstance(bijection, theirs.Chain):
        costs = [_cost(b) for b in bijection.bijections]
        return Cost(sum(c.encode for c in costs), sum(c.decode for c in costs))
    if isinstance(bijection, theirs.Scan):
        inner = _cost(bijection.bijection)
        depth = next(a.shape[0] for a in jax.tree.leaves(bijection) if eqx.is_array(a))
        return Cost(depth * inner.encode, depth * inner.decode)
    if isinstance(bijection, theirs.MaskedAutoregressive):
        return Cost(decode=bijection.shape[-1])
    return Cost()
