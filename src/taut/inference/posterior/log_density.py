"""log p(x, z) and its gradient at many z for one datum: compiled programs, called from the host.

Everything that Gaussian guides over a flat z need of a model is this: with z_k = m + L e_k, the
gradients of a sample average in m and L are averages of grad log p(x, z_k) and of grad log p(x,
z_k) e_k^T. Calls of any size run through one program of fixed width, which is compiled once;
compilation takes longer than the fit of a small model. `function` and `arrays` are for those who
compile a longer loop around it.
"""

import copy
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from taut.core import AbstractModel, Datum
from taut.core.compiling import quick_jit

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
        function: (z, arrays) -> log p(x, z) in nats, pure; the same object for all data of one model.
        arrays: the arrays of model and datum.
        most: z at once that memory allows.
    """

    def __init__(self, model: AbstractModel, datum: Datum, *, cells: int | None = None):
        arrays, static = eqx.partition((model, datum), eqx.is_array)
        self._model = model
        self.arrays = jax.device_put(arrays)
        if cells is None:
            cells = sum(leaf.size for leaf in jax.tree.leaves(arrays))
        self.most = int(max(_CELLS // max(cells, 1), 1))

        def log_joint(z: Any, arrays: Any) -> Any:
            model, datum = eqx.combine(arrays, static)
            return model.log_joint(datum, z)

        self.function = log_joint
        self._values = quick_jit(jax.vmap(log_joint, in_axes=(0, None)))
        self._both = quick_jit(jax.vmap(jax.value_and_grad(log_joint), in_axes=(0, None)))

    def __call__(
        self, z: Float[np.ndarray, "K d"]
    ) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K d"]]:
        """Values in nats, (K,), and gradients, (K, d), as they come: possibly infinite or NaN."""
        parts = [self._both(part, self.arrays) for part in self._cut(z)]
        values, gradients = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in (0, 1))
        return values[: len(z)], gradients[: len(z)]

    def values(self, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        """Values in nats without gradients, as they come: possibly infinite or NaN."""
        parts = [self._values(part, self.arrays) for part in self._cut(z)]
        return np.concatenate([np.asarray(part) for part in parts])[: len(z)]

    def of(self, datum: Datum) -> "LogDensity":
        """The same program at other data of the same shapes, without compiling again."""
        other = copy.copy(self)
        other.arrays = jax.device_put(eqx.filter((self._model, datum), eqx.is_array))
        return other

    def _cut(self, z: Float[np.ndarray, "K d"]) -> list[np.ndarray]:
        """Parts of one length, the last filled up by repeating the last z."""
        width = min(_WIDTH, self.most)
        padded = np.concatenate([z, np.repeat(z[-1:], -len(z) % width, axis=0)])
        return [padded[first : first + width] for first in range(0, len(padded), width)]
