"""`Chain`: layers between data and a base distribution, one after the other.

    x = z_0 -> z_1 -> ... -> z_T,        log w = log p(z_T) + sum of the terms of all layers

The path (z_1, ..., z_T) is what a guide draws. The number is exact when every layer's is; one layer that
draws z makes it a lower bound, unless all the fibres are finite and summed over.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from taut.core import InputError, Terms, option
from taut.transforms.abstract import AbstractBijection, AbstractLayer, Cost, Key, WithLogDet

__all__ = ["Chain", "stacked"]

Path = tuple[Any, ...]


class Chain(eqx.Module):
    """Layers from data to latent; the output of each has the shape of the next one's input.

    Attributes:
        layers: the layer next to the data first.
    """

    layers: tuple[AbstractLayer, ...]

    def __init__(self, layers: Sequence[AbstractLayer]):
        self.layers = tuple(layers)

    def __check_init__(self):
        if not self.layers:
            raise InputError("at least one layer", "none", "an affine layer", where="layers")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.z_shape != after.x_shape:
                raise InputError(
                    f"a layer that takes the shape {before.z_shape}, which {before.name} gives",
                    f"{after.name}, which takes {after.x_shape}",
                    "a reshape between them, or another order",
                    where="layers",
                )

    @property
    def x_shape(self) -> tuple[int, ...]:
        return self.layers[0].x_shape

    @property
    def z_shape(self) -> tuple[int, ...]:
        return self.layers[-1].z_shape

    @property
    def bijective(self) -> bool:
        """True when every layer has an inverse."""
        return all(isinstance(layer, AbstractBijection) for layer in self.layers)

    @property
    def deterministic_encode(self) -> bool:
        """True when all latents are functions of x: the chain's number is exact."""
        return all(layer.deterministic_encode for layer in self.layers)

    @property
    def deterministic_decode(self) -> bool:
        """True when x is a function of the last latent."""
        return all(layer.deterministic_decode for layer in self.layers)

    @property
    def fibre_size(self) -> int | None:
        """Number of paths of a datum where it is finite and more than one is possible."""
        if self.deterministic_encode:
            return None
        drawn = [layer.fibre_size for layer in self.layers if not layer.deterministic_encode]
        return None if None in drawn else math.prod(size for size in drawn if size is not None)

    @property
    def cost(self) -> Cost:
        """Passes of all layers together."""
        costs = [layer.cost for layer in self.layers]
        return Cost(sum(c.encode for c in costs), sum(c.decode for c in costs))

    def check(self, x: np.ndarray, *, where: str) -> None:
        """Refuse rows, (N, *x_shape), outside the support of the layer next to the data."""
        self.layers[0].check(x, where=where)

    def encode(
        self, x: Any, key: PRNGKeyArray | None = None, condition: Array | None = None
    ) -> tuple[Path, Terms]:
        """One path and the guide's terms, each (G,) over the layers that have it."""
        path, terms = [], []
        for layer, layer_key in self._keyed(key):
            x, own = layer.encode(x, layer_key, _own(layer, condition))
            path.append(x)
            terms.append(own)
        return tuple(path), stacked(terms)

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        """One x from the last latent."""
        for layer, layer_key in reversed(list(self._keyed(key))):
            z = layer.decode(z, layer_key, _own(layer, condition))
        return z

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        """x from the last latent with every layer at its mean."""
        for layer in reversed(self.layers):
            z = layer.mean(z, _own(layer, condition))
        return z

    def inference_terms(self, x: Any, path: Path, condition: Array | None = None) -> Terms:
        """The guide's terms of a given path, each (G,) over the layers that have it; nats."""
        pairs = zip(self.layers, (x, *path), path, strict=False)
        return stacked(
            [layer.inference_terms(a, b, _own(layer, condition)) for layer, a, b in pairs]
        )

    def generative_terms(self, x: Any, path: Path, condition: Array | None = None) -> Terms:
        """The model's terms of a given path without the base, each (G,); nats."""
        pairs = zip(self.layers, (x, *path), path, strict=False)
        return stacked(
            [layer.generative_terms(a, b, _own(layer, condition)) for layer, a, b in pairs]
        )

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        """The last latent and log |det dz/dx| of a bijective chain."""
        total = jnp.zeros(())
        for layer in self._bijections():
            x, log_det = layer.encode_and_log_det(x, _own(layer, condition))
            total = total + log_det
        return x, total

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        """x and log |det dx/dz| of a bijective chain."""
        total = jnp.zeros(())
        for layer in reversed(self._bijections()):
            z, log_det = layer.decode_and_log_det(z, _own(layer, condition))
            total = total + log_det
        return z, total

    def decode_at_rest(self, z: Array) -> Array:
        """x of a bijective chain with every layer at rest: the dimensions in another order, times one
        number."""
        for layer in reversed(self._bijections()):
            z = layer.decode_at_rest(z)
        return z

    def _bijections(self) -> list[AbstractBijection]:
        found = [layer for layer in self.layers if isinstance(layer, AbstractBijection)]
        if len(found) < len(self.layers):
            other = next(la for la in self.layers if not isinstance(la, AbstractBijection))
            raise InputError(
                "bijective layers, which a flow posterior or prior is made of",
                f"{other.name}, which is {other.kind}",
                f"using it in a model of data ({option('model', 'flow')})", where="layers",
            )  # fmt: skip
        return found

    def _keyed(
        self, key: PRNGKeyArray | None
    ) -> Iterator[tuple[AbstractLayer, PRNGKeyArray | None]]:
        for i, layer in enumerate(self.layers):
            yield layer, None if key is None else jax.random.fold_in(key, i)


def stacked(terms: Sequence[Terms]) -> Terms:
    """Terms of several layers by name, each with a last axis over the layers that have it."""
    names = dict.fromkeys(name for own in terms for name in own)
    return {n: jnp.stack([own[n] for own in terms if n in own], axis=-1) for n in names}


def _own(layer: AbstractLayer, condition: Array | None) -> Array | None:
    return None if layer.condition_shape is None else condition
