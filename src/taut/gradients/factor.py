"""`Factor`: the part of a discrete latent that is summed over while the rest is drawn.

    z = (a, b),   b = z without a,   q(z | x) = q(b above a | x) q(a | above) q(b below a | a, above)

Either a whole layer or one unit of it. What is left is a discrete proposal again, of as many layers as
have units left.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import (
    AbstractDiscreteProposal,
    AbstractFactorizedProposal,
    InputError,
    LayeredProposal,
)

__all__ = ["Factor"]

_FORMS = "layer:N, unit:D or layer:N,unit:D"


class Factor(NamedTuple):
    """A layer, or one unit of it.

    Attributes:
        layer: counted from 0, the one next to the data.
        unit: counted from 0; None for the whole layer.
    """

    layer: int
    unit: int | None

    @classmethod
    def parse(cls, text: str) -> "Factor":
        """`layer:N`, `unit:D` of the only layer, or `layer:N,unit:D`, both counted from 1.

        Raises:
            InputError: the text is none of these.
        """
        found: dict[str, int] = {}
        for part in text.split(","):
            name, _, number = part.strip().partition(":")
            known = name in ("layer", "unit") and name not in found
            if not known or not number.isdecimal() or int(number) < 1:
                raise InputError(
                    f"all, units, {_FORMS}, counted from 1", repr(text), "layer:1 or unit:1",
                    where="enumeration",
                )  # fmt: skip
            found[name] = int(number) - 1
        return cls(found.get("layer", 0), found.get("unit"))

    def check(self, q: AbstractDiscreteProposal) -> None:
        """Refuse a factor that q does not have, or that leaves nothing to draw."""
        layers = len(q.unit_shapes)
        if self.layer >= layers:
            raise InputError(
                f"a layer from 1 to {layers}", f"layer:{self.layer + 1}", f"layer:{layers}",
                where="enumeration",
            )  # fmt: skip
        units = q.unit_shapes[self.layer][0]
        if self.unit is not None and self.unit >= units:
            raise InputError(
                f"a unit from 1 to {units}", f"unit:{self.unit + 1}", f"unit:{units}",
                where="enumeration",
            )  # fmt: skip
        if layers == 1 and (self.unit is None or units == 1):
            raise InputError(
                "a factor that leaves others to be drawn", "all of the latent", "over all outcomes",
                where="enumeration",
            )  # fmt: skip

    def last(self, q: AbstractDiscreteProposal) -> bool:
        """Whether no part of the rest is drawn given this factor."""
        return self.layer == q.num_layers - 1

    def count(self, q: AbstractDiscreteProposal) -> int:
        """Outcomes of the factor."""
        units, each = q.unit_shapes[self.layer]
        return each ** (units if self.unit is None else 1)

    def of(self, q: AbstractDiscreteProposal, rest: Any = None) -> AbstractFactorizedProposal:
        """q of the factor given the rest above it; `rest` is not read for the first layer."""
        above = () if self.layer == 0 else (self._rest_layers(q, rest)[0],)
        own = q.layer(above)
        return own if self.unit is None else own.with_logits(own.logits[self.unit][None])

    def rest(self, q: AbstractDiscreteProposal, at: Any = None) -> AbstractDiscreteProposal:
        """q of the rest; given that the factor is `at` where some of the rest is below it."""
        first = q.layer(())
        if q.num_layers == 1:
            return self._without(first)
        if self.layer == 1:
            return first if self.unit is None else LayeredProposal(first, _Second(q, self, None))
        if self.unit is None:
            return q.layer((at,))
        return LayeredProposal(self._without(first), _Second(q, self, at))

    def joined(self, q: AbstractDiscreteProposal, at: Any, rest: Any) -> Any:
        """z made of the factor at `at` and the rest."""
        layers = list(self._rest_layers(q, rest))
        if self.unit is None:
            layers.insert(self.layer, at)
        else:
            layers[self.layer] = self._with(at, layers[self.layer])
        return q.from_layers(tuple(layers))

    def _rest_layers(self, q: AbstractDiscreteProposal, rest: Any) -> tuple[Any, ...]:
        whole = self.unit is None
        return (rest,) if q.num_layers - whole == 1 else rest

    def _without(self, layer: AbstractFactorizedProposal) -> AbstractFactorizedProposal:
        assert self.unit is not None
        return layer.with_logits(jnp.delete(layer.logits, self.unit, axis=0))

    def _with(self, at: Float[Array, "..."], others: Float[Array, "..."]) -> Float[Array, "..."]:
        assert self.unit is not None
        return jnp.concatenate([others[: self.unit], at, others[self.unit :]])


class _Second(eqx.Module):
    """The second layer of what is left, given the first of it.

    Attributes:
        q: the whole proposal.
        factor: what is taken out.
        at: its value where it is in the first layer.
    """

    q: AbstractDiscreteProposal
    factor: Factor = eqx.field(static=True)
    at: Any

    def __call__(self, first: Any) -> AbstractFactorizedProposal:
        if self.factor.layer == 0:
            return self.q.layer((self.factor._with(self.at, first),))
        return self.factor._without(self.q.layer((first,)))
