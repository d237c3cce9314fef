"""log p(x, z) and its gradient at many z for one datum: one compiled program, called from the host.

Everything that Gaussian guides over a flat z need of a model is this: with z_k = m + L e_k, the
gradients of a sample average in m and L are averages of grad log p(x, z_k) and of grad log p(x,
z_k) e_k^T. Calls of any size run through one program of fixed width, which is compiled once;
compilation takes longer than the fit of a small model.
"""

import copy
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from taut.core import AbstractModel, Datum

__all__ = ["LogDensity"]

_WIDTH = 64  # z at once: enough for vector units, few enough that padding costs nothing
_CELLS = 2**22  # data cells times z at once, which bounds memory


class LogDensity:
    """log p(x, z) as a function of flat z, on the host.

    Arguments:
        model: p(x, z) over flat z.
        datum: the data that z explains, whole.

    Attributes:
        num_evaluations: values of z asked for so far.
    """

    def __init__(self, model: AbstractModel, datum: Datum):
        arrays, static = eqx.partition((model, datum), eqx.is_array)
        self._model = model
        self._arrays = jax.device_put(arrays)
        self.num_evaluations = 0
        cells = sum(leaf.size for leaf in jax.tree.leaves(arrays))
        self._width = int(min(_WIDTH, max(_CELLS // max(cells, 1), 1)))

        def log_joint(z: Any, arrays: Any) -> Any:
            model, datum = eqx.combine(arrays, static)
            return model.log_joint(datum, z)

        self._both = jax.jit(jax.vmap(jax.value_and_grad(log_joint), in_axes=(0, None)))

    def __call__(
        self, z: Float[np.ndarray, "K d"]
    ) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K d"]]:
        """Values in nats, (K,), and gradients, (K, d), as they come: possibly infinite or NaN."""
        count = len(z)
        self.num_evaluations += count
        padded = np.concatenate([z, np.repeat(z[-1:], -count % self._width, axis=0)])
        parts = [
            self._both(padded[first : first + self._width], self._arrays)
            for first in range(0, count, self._width)
        ]
        values, gradients = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in (0, 1))
        return values[:count], gradients[:count]

    def of(self, datum: Datum) -> "LogDensity":
        """The same program at other data of the same shapes, without compiling again."""
        other = copy.copy(self)
        arrays, _ = eqx.partition((self._model, datum), eqx.is_array)
        other._arrays, other.num_evaluations = jax.device_put(arrays), 0
        return other
