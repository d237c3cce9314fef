"""`ChainProposal`: q(z_1, ..., z_T | x) of a chain.

all layers Dirac                        one path of mass 1; the number is exact
finite fibres, small enough together    every path, with mass q(path | x); the number is exact
otherwise                               K paths for each outcome of the finite fibres, if these are
                                        small enough together, of mass q(outcome | what was drawn) / K,
                                        replicate by replicate; a lower bound
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from taut.core import AbstractProposal, Draws, InputError, Terms
from taut.transforms.abstract import AbstractLayer, Fibre
from taut.transforms.chain import Chain, stacked

__all__ = ["MOST_PATHS", "ChainProposal"]

MOST_PATHS = 1024  # outcomes of finite fibres that are summed over rather than drawn


class ChainProposal(AbstractProposal):
    """The paths of one datum.

    Attributes:
        chain: layers.
        x: the datum.
        condition: what conditional layers read.
    """

    chain: Chain
    x: Any
    condition: Array | None = None

    @property
    def reparameterized(self) -> bool:
        return all(
            layer.reparameterized or _summed(layer, self._enumerates) for layer in self.chain.layers
        )

    @property
    def dirac(self) -> bool:
        return self.chain.deterministic_encode

    @property
    def exhaustive(self) -> bool:
        return self.dirac or (self.chain.fibre_size is not None and self._enumerates)

    @property
    def strata(self) -> int:
        if self.exhaustive:
            return 1
        summed = [la for la in self.chain.layers if _summed(la, self._enumerates)]
        return math.prod(la.fibre_size for la in summed if la.fibre_size is not None)

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        if self.dirac:
            first = lambda leaf: jnp.asarray(leaf)[None]  # noqa: E731
            z, own = self.chain.encode(self.x, None, self.condition)
            return Draws(jax.tree.map(first, z), jnp.zeros(1), jax.tree.map(first, own))
        xs = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], self.x)
        log_mass = jnp.zeros(1)
        path: list[Any] = []
        terms: list[Terms] = []
        drawn, ahead = False, 1  # outcomes of the fibres before the first layer that draws
        for i, layer in enumerate(self.chain.layers):
            layer_key = jax.random.fold_in(key, i)
            condition = None if layer.condition_shape is None else self.condition
            copies = 1
            if layer.deterministic_encode:
                xs, own = jax.vmap(lambda x, la=layer, c=condition: la.encode(x, None, c))(xs)
            elif _summed(layer, self._enumerates):
                fibre, own = jax.vmap(lambda x, la=layer, c=condition: _outcomes(la, x, c))(xs)
                copies = fibre.log_q.shape[1]
                log_mass = (log_mass[:, None] + fibre.log_q).reshape(-1)
                flat = lambda leaf: leaf.reshape(-1, *leaf.shape[2:])  # noqa: E731
                xs, own = jax.tree.map(flat, (fibre.z, own))
            else:
                copies = 1 if drawn else num_particles
                ahead = ahead if drawn else log_mass.shape[0]
                drawn = True
                xs = _repeated(xs, copies)
                log_mass = jnp.repeat(log_mass, copies) - math.log(copies)
                keys = jax.random.split(layer_key, log_mass.shape[0])
                encode = lambda x, k, la=layer, c=condition: la.encode(x, k, c)  # noqa: E731
                xs, own = jax.vmap(encode)(xs, keys)
            path = [_repeated(z, copies) for z in path]
            terms = [_repeated(t, copies) for t in terms]
            path.append(xs)
            terms.append(own)
        draws = Draws(tuple(path), log_mass, stacked(terms))
        if ahead == 1:
            return draws
        parts = (ahead, num_particles, self.strata // ahead)
        return jax.tree.map(lambda leaf: _replicates_first(leaf, parts), draws)

    def terms(self, z: Any) -> Terms:
        return self.chain.inference_terms(self.x, z, self.condition)

    def mean(self) -> Any:
        if not self.dirac:
            raise InputError(
                "a chain whose latents are functions of the data",
                "one that draws them", "averaging draws", where="mean",
            )  # fmt: skip
        return self.chain.encode(self.x, None, self.condition)[0]

    def center(self) -> Any:
        """The path of the data; where the chain draws, one from a fixed key."""
        key = None if self.dirac else jax.random.key(0)
        return self.chain.encode(self.x, key, self.condition)[0]

    @property
    def _enumerates(self) -> bool:
        sizes = [la.fibre_size for la in self.chain.layers if la.fibre_size is not None]
        return math.prod(sizes) <= MOST_PATHS


def _outcomes(layer: AbstractLayer, x: Any, condition: Array | None) -> tuple[Fibre, Terms]:
    """The fibre of one x and the guide's terms of each outcome: -inf for all where x has no z."""
    fibre = layer.fibre(x, condition)
    own = jax.vmap(lambda z: layer.inference_terms(x, z, condition))(fibre.z)
    # An outcome of no mass has no weight to speak of; a finite stand-in keeps sums defined.
    massive = fibre.log_q > -jnp.inf
    return fibre, {name: jnp.where(massive, term, 0.0) for name, term in own.items()}


def _summed(layer: AbstractLayer, enumerates: bool) -> bool:
    return enumerates and not layer.deterministic_encode and layer.fibre_size is not None


def _replicates_first(leaf: Array, parts: tuple[int, int, int]) -> Array:
    """Draws in the order (ahead, replicate, after) as (replicate, ahead, after)."""
    apart = leaf.reshape(*parts, *leaf.shape[1:])
    return jnp.swapaxes(apart, 0, 1).reshape(leaf.shape)


def _repeated(tree: Any, copies: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, copies, axis=0), tree) if copies > 1 else tree
