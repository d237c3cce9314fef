"""A learned baseline: a network of the datum, and the running mean of what it leaves.

    b(x) = C(x; psi) + c,        psi minimises (signal - b(x))^2,        c: mean of signal - C(x; psi)

With `normalize_variance` the guide's gradient is divided by max(1, the running standard deviation of
the centred signal): its direction stays in expectation, its length does not (Mnih and Gregor 2014). c
and the deviation come from past batches alone; the paper's algorithm lets the current batch into both,
and with it a bias that falls with the size of the batch.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.gradients.baselines.abstract import AbstractBaseline, Centering
from taut.gradients.baselines.running_moments import RunningMoments, check_decay
from taut.networks import MLP

__all__ = ["NetworkBaseline", "NetworkState"]


class NetworkState(NamedTuple):
    """State of `NetworkBaseline`.

    Attributes:
        network: C(x; psi).
        optimizer: state of Adam for psi.
        left: moments of signal - C(x; psi) over past batches.
    """

    network: MLP
    optimizer: Any
    left: RunningMoments


class NetworkBaseline(AbstractBaseline):
    """A number for each datum.

    Attributes:
        hidden: widths of the hidden layers, of tanh units.
        learning_rate: of Adam for the network.
        decay: weight of the past in the running moments.
        normalize_variance: whether the guide's gradient is divided by the signal's deviation.
    """

    name: ClassVar[str] = "network"

    hidden: tuple[int, ...] = eqx.field(static=True, default=(100,))
    learning_rate: float = eqx.field(static=True, default=1e-3)
    decay: float = eqx.field(static=True, default=0.9)
    normalize_variance: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_decay(self.decay)

    def init(self, key: PRNGKeyArray, example: Datum) -> NetworkState:
        network = MLP(_inputs(example).size, self.hidden, 1, activation="tanh", key=key)
        optimizer = self._optimizer().init(eqx.filter(network, eqx.is_inexact_array))
        return NetworkState(network, optimizer, RunningMoments.empty())

    def __call__(self, state: NetworkState, datum: Datum) -> Centering:
        baseline = _output(state.network, datum) + state.left.mean
        if not self.normalize_variance:
            return Centering(baseline)
        return Centering(baseline, jnp.maximum(1.0, jnp.sqrt(state.left.variance)))

    def loss(
        self, state: NetworkState, datum: Datum, signal: Float[Array, " K"]
    ) -> Float[Array, ""]:
        left = signal - jax.lax.stop_gradient(state.left.mean)
        return jnp.mean((left - _output(state.network, datum)) ** 2)

    def statistics(
        self, state: NetworkState, datum: Datum, signal: Float[Array, " K"]
    ) -> tuple[Array, Array]:
        left = signal - jax.lax.stop_gradient(_output(state.network, datum))
        return jnp.mean(left), jnp.mean(left**2)

    def update(
        self, state: NetworkState, gradients: Any, statistics: tuple[Array, Array]
    ) -> NetworkState:
        parameters: Any = eqx.filter(state.network, eqx.is_inexact_array)
        updates, optimizer = self._optimizer().update(
            gradients.network, state.optimizer, parameters
        )
        network = eqx.apply_updates(state.network, updates)
        return NetworkState(network, optimizer, state.left.after(self.decay, *statistics))

    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def _output(network: MLP, datum: Datum) -> Float[Array, ""]:
    return network(_inputs(datum))[0]


def _inputs(datum: Datum) -> Float[Array, " n"]:
    """Every number of the row, 0 where it is not observed."""
    x, mask = datum.x, datum.mask
    if mask is not None:
        x = jax.tree.map(lambda cells: jnp.where(mask, cells, 0), x)
    flat = [jnp.ravel(jnp.asarray(part)) for part in jax.tree.leaves(x)]
    return jnp.concatenate([part.astype(jnp.result_type(float)) for part in flat])
