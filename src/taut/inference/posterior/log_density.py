"""log p(x, z) and its gradient at many z for one datum: compiled programs, called from the host.

Everything that Gaussian guides over a flat z need of a model is this: with z_k = m + L e_k, the
gradients of a sample average in m and L are averages of grad log p(x, z_k) and of grad log p(x,
z_k) e_k^T. Calls of any size run through one program of fixed width, which is compiled once for all
models of the same operations (`Traced`); compilation takes longer than the fit of a small model.
`program` is for those who compile a longer loop around it.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import AbstractModel, Datum
from taut.core.compiling import quick_jit
from taut.core.traced import Traced

__all__ = ["LogDensity"]

_WIDTH = 64  # z at once: enough for vector units, few enough that padding costs nothing
_CELLS = 2**22  # data cells times z at once, which bounds memory


class LogDensity:
    """log p(x, z) as a function of flat z, on the host.

    Arguments:
        model: p(x, z) over flat z.
        datum: the data that z explains, whole.
        cells: data cells that one evaluation reads; None for all of the arrays.

    Attributes:
        most: z at once that memory allows.
    """

    def __init__(self, model: AbstractModel, datum: Datum, *, cells: int | None = None):
        arrays, static = eqx.partition((model, datum), eqx.is_array)
        self._model = model
        # Without their structure: it holds the model, by which programs would be told apart.
        leaves, tree = jax.tree.flatten(arrays)
        self._arrays = jax.device_put(leaves)
        if cells is None:
            cells = sum(leaf.size for leaf in leaves)
        self.most = int(max(_CELLS // max(cells, 1), 1))

        def log_joint(z: Any, leaves: Any) -> Any:
            model, datum = eqx.combine(jax.tree.unflatten(tree, leaves), static)
            return model.log_joint(datum, z)

        self._traces: dict[Any, tuple[Traced, Any]] = {}
        self._log_joint, self._both = log_joint, jax.value_and_grad(log_joint)

    def __call__(
        self, z: Float[np.ndarray, "K d"]
    ) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K d"]]:
        """Values in nats, (K,), and gradients, (K, d), as they come: possibly infinite or NaN."""
        traced, captured = self._traced(self._both, z.shape[1])
        parts = [_each(traced, part, captured, self._arrays) for part in self._cut(z)]
        values, gradients = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in (0, 1))
        return values[: len(z)], gradients[: len(z)]

    def values(self, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        """Values in nats without gradients, as they come: possibly infinite or NaN."""
        traced, captured = self._traced(self._log_joint, z.shape[1])
        parts = [_each(traced, part, captured, self._arrays)[0] for part in self._cut(z)]
        return np.concatenate([np.asarray(part) for part in parts])[: len(z)]

    def program(self, dim: int) -> tuple[Callable[[Array, Any], Array], Any]:
        """A pure function of (z, arrays), and the arrays, which together are log p(x, z) in nats.

        The function is hashable, and equal for all models of the same operations. It has first
        derivatives in z.

        Arguments:
            dim: d.
        """
        both, captured = self._traced(self._both, dim)
        return _Differentiable(both), (captured, self._arrays)

    def of(self, datum: Datum) -> "LogDensity":
        """The same program at other data of the same shapes, without tracing it again."""
        other = copy.copy(self)
        arrays = eqx.filter((self._model, datum), eqx.is_array)
        other._arrays = jax.device_put(jax.tree.leaves(arrays))
        return other

    def _traced(self, function: Callable, dim: int) -> tuple[Traced, Any]:
        name = (function, dim, jax.dtypes.canonicalize_dtype(float))
        if name not in self._traces:
            traced, captured = Traced.of(function, jnp.zeros(dim), self._arrays)
            self._traces[name] = traced, jax.device_put(captured)
        return self._traces[name]

    def _cut(self, z: Float[np.ndarray, "K d"]) -> list[np.ndarray]:
        """Parts of one length, the last filled up by repeating the last z."""
        width = min(_WIDTH, self.most)
        padded = np.concatenate([z, np.repeat(z[-1:], -len(z) % width, axis=0)])
        return [padded[first : first + width] for first in range(0, len(padded), width)]


@dataclass(frozen=True)
class _Differentiable:
    """log p(x, z), differentiated by what was traced of its gradient."""

    both: Traced

    def __call__(self, z: Array, arrays: Any) -> Array:
        return _log_joint(self.both, z, arrays)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_joint(both: Traced, z: Array, arrays: Any) -> Array:
    captured, others = arrays
    return both(captured, z, others)[0]


@_log_joint.defjvp
def _(both: Traced, primals: tuple[Array, Any], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    z, (captured, others) = primals
    value, gradient = both(captured, z, others)
    return value, gradient @ tangents[0]


@partial(quick_jit, static=1)
def _each(traced: Traced, z: Array, captured: Any, arrays: Any) -> Any:
    return jax.vmap(lambda one: traced(captured, one, arrays))(z)
