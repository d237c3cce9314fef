"""How REBAR and RELAX learn: what they hand on is the gradient of their estimate's variance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from discrete_routes import FedNoiseGuide, X, one_bit, piecewise, two_bits, two_layers
from known_models import datum

from taut.bounds import ELBO
from taut.core import Datum
from taut.gradients import REBAR, RELAX, DisARM
from taut.inference.amortized import joint

BOUND = ELBO(kl="sampled")


def outputs(estimator, route, noise):
    """A function from the guide and the state to what the estimator returns at this noise."""

    def of(guide, aux):
        fed = FedNoiseGuide(guide, noise)
        return estimator(BOUND, route.pair.model, fed, datum(X), jax.random.key(0), aux=aux)

    return of


def started(estimator, route):
    start = estimator.init(jax.random.key(0), datum(X), route.pair.guide)
    moved = jax.tree.map(lambda a: a + 0.2 if eqx.is_inexact_array(a) else a, start.networks)
    return start._replace(networks=moved)


@pytest.mark.parametrize("estimator", [REBAR(temperature=0.7), RELAX(hidden=(3,))])
def test_the_state_is_moved_along_the_gradient_of_the_square(estimator, float64):
    """Against central differences of |g|^2, g being the surrogate's gradient in the guide's logits."""
    route = two_bits()
    noise = jnp.array([[0.4, -1.9]])
    aux = started(estimator, route)
    of, guide = outputs(estimator, route, noise), route.pair.guide
    arrays, still = eqx.partition(aux[:3], eqx.is_inexact_array)

    def whole(arrays):
        return type(aux)(*eqx.combine(arrays, still), aux.optimizer)

    flat, unflatten = jax.flatten_util.ravel_pytree(arrays)

    @jax.jit
    def square(flat):
        g = jax.grad(lambda guide: of(guide, whole(unflatten(flat))).surrogate)(guide).logits
        return jnp.sum(g**2)

    handed = jax.jit(jax.grad(lambda flat: of(guide, whole(unflatten(flat))).aux_surrogate))(flat)
    step = 1e-5
    differences = [
        (square(flat.at[i].add(step)) - square(flat.at[i].add(-step))) / (2 * step)
        for i in range(flat.size)
    ]
    # Differences are cut off at step^2 and rounded off at 1e-16 / step.
    np.testing.assert_allclose(handed, differences, rtol=1e-6, atol=1e-8)
    assert np.abs(handed[:2]).min() > 1e-6  # temperature and scale


@pytest.mark.parametrize("estimator", [REBAR(), RELAX(hidden=(3,))])
def test_estimate_and_state_do_not_pull_at_each_other(estimator, float64):
    route = two_layers()
    aux = started(estimator, route)
    of = outputs(estimator, route, (jnp.array([[0.4]]), jnp.array([[-1.9]])))
    arrays, still = eqx.partition(aux, eqx.is_inexact_array)

    def both(guide, arrays):
        out = of(guide, eqx.combine(arrays, still))
        return jnp.stack([out.surrogate, jnp.asarray(out.aux_surrogate)])

    in_guide, in_state = jax.jit(jax.jacrev(both, argnums=(0, 1)))(route.pair.guide, arrays)
    assert all(np.all(np.asarray(leaf[1]) == 0) for leaf in jax.tree.leaves(in_guide))
    assert all(np.all(np.asarray(leaf[0]) == 0) for leaf in jax.tree.leaves(in_state))
    assert any(np.any(np.asarray(leaf[1]) != 0) for leaf in jax.tree.leaves(in_state))


def second_moment(estimator, steps: int) -> tuple[float, float]:
    """E|g|^2 by quadrature, before and after steps along its whole gradient."""
    route = one_bit()
    nodes, weights = map(jnp.asarray, piecewise(route, 1))
    aux = estimator.init(jax.random.key(0), datum(X), route.pair.guide)
    still = eqx.partition(aux, eqx.is_array)[1]

    def moment(aux):
        def square(noise):
            of = outputs(estimator, route, noise)
            g = jax.grad(lambda guide: of(guide, aux).surrogate)(route.pair.guide)
            return jnp.sum(g.logits**2)

        return weights @ jax.vmap(square)(nodes)

    def mean_aux(live, arrays):
        aux = eqx.combine(live, arrays, still)
        handed = jax.vmap(
            lambda n: outputs(estimator, route, n)(route.pair.guide, aux).aux_surrogate
        )
        return weights @ handed(nodes)

    def step(i, arrays):
        slopes = jax.grad(mean_aux)(eqx.filter(arrays, eqx.is_inexact_array), arrays)
        moved = estimator.update(eqx.combine(arrays, still), slopes, None, i)
        return eqx.filter(moved, eqx.is_array)

    @jax.jit
    def run(arrays):
        after = jax.lax.fori_loop(0, steps, step, arrays)
        return moment(eqx.combine(arrays, still)), moment(eqx.combine(after, still))

    before, after = run(eqx.filter(aux, eqx.is_array))
    return float(before), float(after)


def test_learning_lowers_the_variance_and_the_free_network_lowers_it_further(float64):
    """The mean of g stays, so that its second moment falls as its variance does."""
    start, rebar = second_moment(REBAR(scale=0.5, learning_rate=0.02), 150)
    same, relax = second_moment(RELAX(scale=0.5, learning_rate=0.02, hidden=(6,)), 150)
    assert same == pytest.approx(start, rel=1e-12)  # the network starts at zero
    assert rebar < 0.9 * start
    assert relax < rebar


def test_a_control_that_is_held_stays():
    for estimator in (REBAR(learning_rate=0.0), RELAX(learning_rate=0.0)):
        aux = estimator.init(jax.random.key(0), datum(X), two_bits().pair.guide)
        assert estimator.update(aux, None, None, jnp.array(0)) is aux


@pytest.mark.parametrize("estimator", [RELAX(), DisARM()])
def test_joint_ascent_runs_on_two_layers(estimator):
    """Two steps in float32: finite, and the state keeps its shape."""
    pair = two_layers().pair
    batch = Datum(x=jnp.array([0.7, -0.2, 1.4], jnp.float32))
    algorithm = joint(
        pair, ELBO(num_draws=2), estimator, optax.sgd(0.1), example=datum(0.7),
        key=jax.random.key(0),
    )  # fmt: skip
    step = jax.jit(algorithm.step)
    first, metrics = step(algorithm.init(), batch)
    second, _ = step(first, batch)
    assert np.isfinite(metrics["bound"])
    moved = jax.tree.leaves(second.parameters)
    assert all(np.isfinite(leaf).all() for leaf in moved)
    assert any(
        np.any(a != b) for a, b in zip(moved, jax.tree.leaves(first.parameters), strict=True)
    )
