"""Stochastic ascent of a flow from a Gaussian guide.

    u = decode(e),      z = m + L u,        e ~ N(0, I)

The flow climbs the bound in the coordinates u, in which the Gaussian N(m, L L^T) that it starts near
is standard normal, by steps of `minibatch` without minibatches. Its gradient drops the score of log q,
so that its noise vanishes as the guide nears the posterior; where the density of a given z takes many
passes through the layers, the reparameterized gradient is taken instead. Stretches of steps are judged
on common draws (`climb_in_stretches`), which start at the Gaussian itself.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from taut.core import AbstractModel, Datum
from taut.gradients import Reparameterized, StickingTheLanding
from taut.guides import FlowPosterior
from taut.inference.compiled_steps import compiled_steps
from taut.inference.posterior.averaged_sgd import STRETCH, climb_in_stretches
from taut.inference.posterior.flow_draws import FlowDraws
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.sample_average import Ascent
from taut.inference.posterior.stochastic_vi import minibatch
from taut.inference.posterior.whitened import Whitened

__all__ = ["ascend_flow"]

_FIRST_SIZE = 0.01
_FINER = 0.2  # of the precision: importance weights notice, and steps cost less than compiling them
_MOST_DRAWS = 16  # a step
_REPLICATES, _JUDGED = 4, 256
_CELLS = 2**22  # data cells times draws at once, which bounds memory


def ascend_flow(
    draws: FlowDraws,
    model: AbstractModel,
    datum: Datum,
    start: Gaussian,
    layers: str,
    *,
    key: PRNGKeyArray,
    precision_nats: float,
) -> Ascent:
    """Climb until stretches gain less than the precision.

    Arguments:
        draws: of flows for this model and data.
        model: p(x, z) over flat z.
        datum: all data.
        start: where the flow begins.
        layers: what `make_layers` takes.
        key: of everything random.
        precision_nats: of the gain.

    Returns:
        an ascent whose guide is a `FlowPosterior` over z.

    Raises:
        InputError: unknown layers.
    """
    layer_key, run_key, judge_key = jax.random.split(key, 3)
    loc, tril = jnp.asarray(start.mean), jnp.asarray(start.tril)
    flow = FlowPosterior(len(start.mean), layers, key=layer_key)
    whitened, data = Whitened(model, loc, tril), jax.device_put(datum.x)
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum))
    at_once = int(np.clip(_CELLS // max(cells, 1), 1, _MOST_DRAWS))
    cheap = flow.cost.encode <= 2 * flow.cost.decode
    algorithm = minibatch(
        whitened, flow, data, key=run_key, step_size=_FIRST_SIZE, num_draws=at_once,
        estimator=StickingTheLanding() if cheap else Reparameterized(),
    )  # fmt: skip
    run, state = compiled_steps(algorithm), algorithm.init()
    rows, order = Datum(x=np.zeros(1)), np.zeros((STRETCH, 1), np.int32)
    noise = np.asarray(jax.random.normal(judge_key, (_REPLICATES * _JUDGED, flow.dim)))

    def advance(number: int, size: float) -> FlowPosterior:
        nonlocal state
        state, _ = run(state.restarted(size), rows, order, STRETCH)
        return algorithm.pair(state).bind()[1]

    def value(found: FlowPosterior) -> Float[np.ndarray, " R"]:
        z, log_q = draws.push(found.mapped(loc, tril), noise)
        each = draws.log_density.values(z) - log_q
        return each.reshape(_REPLICATES, _JUDGED).mean(axis=1)

    climbed = climb_in_stretches(
        advance, value, start=flow, step_size=_FIRST_SIZE, precision_nats=_FINER * precision_nats,
        num_draws=_JUDGED,
    )  # fmt: skip
    return climbed._replace(guide=climbed.guide.mapped(loc, tril))
