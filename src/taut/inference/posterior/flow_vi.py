"""Stochastic VI of a flow, started from a Gaussian guide.

    u = decode(e),      z = m + L u,        e ~ N(0, I)

The flow is optimized in the coordinates u, in which the Gaussian N(m, L L^T) that it starts near is
standard normal, by steps of `stochastic_vi` on all rows. Their gradient drops the score of log q, so
that its noise vanishes as the guide nears the posterior; where the density of a given z takes many
passes through the layers, the reparameterized gradient is taken instead. Stages of steps are compared
on common draws (`averaged_sgd`), the first with the Gaussian itself.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from taut.core import AbstractModel, Datum
from taut.gradients import Reparameterized, StickingTheLanding
from taut.guides import FlowPosterior
from taut.inference.compiled_steps import compiled_steps
from taut.inference.posterior.averaged_sgd import STAGE_STEPS, averaged_sgd
from taut.inference.posterior.flow_family import FlowFamily
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.guide_fit import GuideFit
from taut.inference.posterior.stochastic_vi import stochastic_vi
from taut.inference.posterior.whitened import Whitened
from taut.inference.stages import UNKEPT, AbstractStages

__all__ = ["flow_vi"]

_FIRST_SIZE = 0.01
_MOST_DRAWS = 16  # a step
_REPLICATES, _JUDGED = 4, 256
_CELLS = 2**22  # data cells times draws at once, which bounds memory


def flow_vi(
    family: FlowFamily,
    model: AbstractModel,
    datum: Datum,
    start: Gaussian,
    layers: str,
    *,
    key: PRNGKeyArray,
    precision_nats: float,
    stages: AbstractStages = UNKEPT,
) -> GuideFit:
    """Optimize a flow until less than the precision remains to be gained; see `averaged_sgd`.

    Arguments:
        family: of flows for this model and data.
        model: p(x, z) over flat z.
        datum: all data.
        start: where the flow begins.
        layers: what `make_layers` takes.
        key: of everything random.
        precision_nats: nats that may remain to be gained.
        stages: of which every stage of steps is one.

    Returns:
        a fit whose guide is a `FlowPosterior` over z.

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
    algorithm = stochastic_vi(
        whitened, flow, data, key=run_key, step_size=_FIRST_SIZE, num_draws=at_once,
        estimator=StickingTheLanding() if cheap else Reparameterized(),
    )  # fmt: skip
    run, state = compiled_steps(algorithm), algorithm.init()
    rows, order = Datum(x=np.zeros(1)), np.zeros((STAGE_STEPS, 1), np.int32)
    noise = np.asarray(jax.random.normal(judge_key, (_REPLICATES * _JUDGED, flow.dim)))

    def advance(number: int, size: float) -> FlowPosterior:
        nonlocal state
        begun = state.restarted(size)
        state = begun.moved(
            stages.once(begun.moving, lambda: run(begun, rows, order, STAGE_STEPS)[0].moving)
        )
        return algorithm.pair(state).bind()[1]

    def value(found: FlowPosterior) -> Float[np.ndarray, " R"]:
        z, log_q = family.push(found.mapped(loc, tril), noise)
        each = family.log_density.values(z) - log_q
        return each.reshape(_REPLICATES, _JUDGED).mean(axis=1)

    fitted = averaged_sgd(
        advance, value, start=flow, step_size=_FIRST_SIZE, precision_nats=precision_nats,
        num_draws=_JUDGED,
    )  # fmt: skip
    return fitted._replace(guide=fitted.guide.mapped(loc, tril))
