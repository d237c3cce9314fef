"""One factor summed over, the rest drawn: mean gradients against sums over all outcomes.

The noise of the rest is fed, and averaged over as in `discrete_routes`.
"""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete_routes import (
    AffineBits,
    CurvedModel,
    DiscreteRoute,
    UnitsGuide,
    X,
    cells,
    exact,
    piecewise,
    two_bits,
    two_layers,
)
from known_models import datum
from unchecked import types_unchecked

from taut.bounds import ELBO, IWAE
from taut.core import BernoulliProposal, CategoricalProposal, InputError, LayeredProposal, Pair
from taut.gradients import (
    NVIL,
    REBAR,
    RELAX,
    VIMCO,
    AbstractEstimator,
    DisARM,
    Enumeration,
    LeaveOneOut,
    NetworkBaseline,
    Reparameterized,
    ScoreFunction,
    Surrogate,
    collapsed,
)
from taut.gradients.factor import Factor

WITHIN = {cells: 1e-12, piecewise: 1e-8}
PLAIN = ELBO(kl="sampled")
PAIR = ELBO(kl="sampled", num_draws=2, beta=0.7)
CLOSED = ELBO(kl="closed", beta=0.5, warmup_steps=4)


class Case(NamedTuple):
    """A route, the factor, and the variables of noise, by number, that each layer of the rest has."""

    make: object
    over: str
    layers: tuple[tuple[int, ...], ...]


def two_units() -> DiscreteRoute:
    """Two units of three categories."""
    slope, bend = np.linspace(-1.2, 1.0, 6), np.linspace(0.9, -0.6, 6)
    model = CurvedModel(jnp.array(slope), jnp.array(bend), jnp.array([[0.4, -0.2, 0.1]] * 2))
    logits = jnp.array([[0.3, -0.5, 0.6], [-0.4, 0.2, 0.1]])
    return DiscreteRoute(
        Pair(model, UnitsGuide(logits)), None, lambda v: jnp.concatenate([jnp.zeros(1), v])[None]
    )


def two_bits_above_one() -> DiscreteRoute:
    guide = UnitsGuide(
        jnp.array([-0.6, 1.1]), AffineBits(jnp.array([[0.9, 1.4]]), jnp.array([-0.5]))
    )
    prior = AffineBits(jnp.array([[-0.8, 0.3]]), jnp.array([0.3]))
    slope, bend = jnp.array([1.3, -0.7, 0.4]), jnp.array([0.8, 0.5, -0.6])
    model = CurvedModel(slope, bend, jnp.array([0.4, -0.2]), prior)
    below = tuple(-0.5 + a * 0.9 + b * 1.4 for a, b in itertools.product((0, 1), repeat=2))
    kinks = ((0.6, -0.6), (1.1, -1.1), tuple(s * k for k in below for s in (1, -1)))
    return DiscreteRoute(Pair(model, guide), kinks, lambda v: v)


FIRST_BIT = Case(two_bits, "unit:1", ((1,),))
LAST_BIT = Case(two_bits, "layer:1,unit:2", ((0,),))
FIRST_LAYER = Case(two_layers, "layer:1", ((1,),))
LAST_LAYER = Case(two_layers, "layer:2", ((0,),))
CATEGORY = Case(two_units, "unit:1", ((1,),))
BIT_ABOVE = Case(two_bits_above_one, "layer:1,unit:1", ((1,), (2,)))


def rest_of(case: Case) -> DiscreteRoute:
    """The route with the rest's variables alone."""
    route = case.make()
    if route.kinks is None:
        guide = UnitsGuide(route.pair.guide.logits[1:])
        return route._replace(pair=Pair(route.pair.model, guide))
    return route._replace(kinks=tuple(route.kinks[i] for layer in case.layers for i in layer))


def mean_of(estimator, bound, case, rule, monkeypatch, aux=None):
    """Mean value and gradient, and the mean square of the gradient in the guide's first logits."""
    route, rest = case.make(), rest_of(case)
    nodes, weights = map(jnp.asarray, rule(rest, bound.minted))
    fed = []
    for one_layer in (BernoulliProposal, CategoricalProposal):
        monkeypatch.setattr(one_layer, "noise", lambda self, key, num: fed[0])
    monkeypatch.setattr(LayeredProposal, "noise", lambda self, key, num: tuple(fed))

    def surrogate(pair, node):
        if route.kinks is None:
            fed[:] = [jax.vmap(route.assemble)(node)]
        else:
            places = iter(range(node.shape[1]))
            fed[:] = [node[:, np.array([next(places) for _ in layer])] for layer in case.layers]
        out = estimator(bound, pair.model, pair.guide, datum(X), jax.random.key(0), step=1, aux=aux)
        return out.surrogate, out.value

    @jax.jit
    def moments(pair):
        def one(node):
            (_, value), gradient = jax.value_and_grad(surrogate, has_aux=True)(pair, node)
            return value, gradient

        values, gradients = jax.vmap(one)(nodes)
        first = gradients.guide.logits
        return (
            weights @ values,
            jax.tree.map(lambda g: jnp.tensordot(weights, g, axes=1), gradients),
            jnp.tensordot(weights, first**2, axes=1),
        )

    return moments(route.pair)


def worst(gradient, expected) -> float:
    errors = jax.tree.map(lambda g, e: np.max(np.abs(g - e)), gradient, expected)
    return float(max(jax.tree.leaves(errors)))


UNBIASED = [
    (FIRST_BIT, LeaveOneOut(), PAIR, cells),
    (LAST_BIT, DisARM(), ELBO(free_bits=0.05), cells),
    (LAST_BIT, ScoreFunction(None), CLOSED, cells),
    (CATEGORY, LeaveOneOut(), ELBO(kl="closed", num_draws=2), cells),
    (LAST_LAYER, LeaveOneOut(), PAIR, cells),
    (FIRST_LAYER, DisARM(), CLOSED, cells),
    (FIRST_LAYER, NVIL(NetworkBaseline((3,))), CLOSED, cells),
    (BIT_ABOVE, DisARM(), PLAIN, cells),
    (LAST_LAYER, RELAX(hidden=(3,)), PLAIN, piecewise),
]


@pytest.mark.parametrize(
    ("case", "rest", "bound", "rule"),
    UNBIASED,
    ids=[f"{c.make.__name__}-{c.over}-{r.name}" for c, r, *_ in UNBIASED],
)
def test_the_mean_is_that_of_all_outcomes(case, rest, bound, rule, float64, monkeypatch):
    route, estimator = case.make(), Enumeration(case.over, rest)
    aux = estimator.init(jax.random.key(0), datum(X), route.pair.guide)
    if isinstance(rest, RELAX):
        moved = jax.tree.map(lambda a: a + 0.3 if eqx.is_inexact_array(a) else a, aux.networks)
        aux = aux._replace(networks=moved)
    elbo, expected = exact(bound, route)
    value, gradient, _ = mean_of(estimator, bound, case, rule, monkeypatch, aux)
    assert abs(value - elbo) < WITHIN[rule]
    assert worst(gradient, expected) < WITHIN[rule]


def test_the_gradient_in_the_factor_is_exact_given_the_rest(float64, monkeypatch):
    """d/dl of E_q(a) F at one b, by hand, for every b."""
    route = two_bits()
    model, logits = route.pair.model, route.pair.guide.logits
    estimator = Enumeration("unit:1", ScoreFunction(None))

    @jax.jit
    @jax.grad
    def gradient(guide, noise):
        monkeypatch.setattr(BernoulliProposal, "noise", lambda self, key, num: noise)
        return estimator(PLAIN, model, guide, datum(X), jax.random.key(0)).surrogate

    @jax.jit
    @jax.grad
    def by_hand(logit, bit):
        p = jax.nn.sigmoid(logit)
        on, off = (model.log_joint(datum(X), jnp.stack([jnp.array(a), bit])) for a in (1.0, 0.0))
        return p * (on - jnp.log(p)) + (1 - p) * (off - jnp.log(1 - p))

    for bit in (0.0, 1.0):
        found = gradient(route.pair.guide, jnp.array([[80.0 * bit - 40.0]]))
        np.testing.assert_allclose(found.logits[0], by_hand(logits[0], bit), atol=1e-14)


def test_summing_a_factor_never_adds_variance(float64, monkeypatch):
    """Rao and Blackwell: the estimate is the conditional mean of the plain one given the rest."""
    with monkeypatch.context() as patched:
        plain = ScoreFunction(None)
        whole = Case(two_bits, "all", ((0, 1),))
        _, mean, square = mean_of(plain, PLAIN, whole, cells, patched)
    summed, case = Enumeration(FIRST_BIT.over, plain), FIRST_BIT
    _, same, less = mean_of(summed, PLAIN, case, cells, monkeypatch)
    assert worst(same.guide, mean.guide) < WITHIN[cells]
    assert np.all(np.asarray(square - less) > 1e-3)


# Planted mistakes.


def forgets_the_factors_density(monkeypatch):
    monkeypatch.setattr(
        collapsed, "_less", lambda terms, log_q: {n: jnp.sum(t) for n, t in terms.items()}
    )


def holds_the_masses_still(monkeypatch):
    monkeypatch.setattr(collapsed, "_through", lambda mass, objectives: 0.0)


def draws_the_rest_given_another(monkeypatch):
    right = Factor.rest
    monkeypatch.setattr(
        Factor, "rest", lambda self, q, at=None: right(self, q, None if at is None else 1 - at)
    )


PLANTED = [
    (FIRST_BIT, forgets_the_factors_density),
    (LAST_LAYER, forgets_the_factors_density),
    (FIRST_LAYER, forgets_the_factors_density),
    (FIRST_LAYER, holds_the_masses_still),
    (FIRST_LAYER, draws_the_rest_given_another),
]


@pytest.mark.parametrize(
    ("case", "plant"), PLANTED, ids=[f"{c.make.__name__}-{c.over}-{p.__name__}" for c, p in PLANTED]
)
def test_a_mistake_is_caught(case, plant, float64, monkeypatch):
    _, expected = exact(PLAIN, case.make())
    plant(monkeypatch)
    estimator = Enumeration(case.over, DisARM())
    _, gradient, _ = mean_of(estimator, PLAIN, case, cells, monkeypatch)
    assert worst(gradient.guide, expected.guide) > 1e-3


# Prices and refusals.


def test_a_factor_costs_its_outcomes_times_the_rest():
    bound = ELBO(num_draws=2)
    priced = [
        (two_units, "unit:2", LeaveOneOut(), 3 * 2),
        (two_layers, "layer:1", DisARM(), 2 * 4),
        (two_bits_above_one, "layer:1", DisARM(), 4 * 4),
        (two_bits_above_one, "layer:1,unit:1", DisARM(), 2 * 6),
        (two_bits_above_one, "layer:2", REBAR(), 2 * 6),
    ]
    for make, over, rest, count in priced:
        q = make().pair.guide(datum(X))
        assert Enumeration(over, rest).cost(bound, q).model == count


def refusal(make, bound=PAIR, route=two_bits) -> str:
    pair = route().pair
    with types_unchecked(), pytest.raises(InputError) as refused:
        make()(bound, pair.model, pair.guide, datum(X), jax.random.key(0))
    return str(refused.value)


@pytest.mark.parametrize("text", ["bits", "layer:0", "unit:x", "unit:1,unit:2", "layer"])
def test_what_is_no_factor_is_refused(text):
    assert refusal(lambda: Enumeration(text)) == (
        "enumeration: expected all, units, layer:N, unit:D or layer:N,unit:D, counted from 1, got "
        f"'{text}'. Try layer:1 or unit:1."
    )


def test_a_factor_that_is_not_there_is_refused():
    assert refusal(lambda: Enumeration("layer:2")) == (
        "enumeration: expected a layer from 1 to 1, got layer:2. Try layer:1."
    )
    assert refusal(lambda: Enumeration("unit:3")) == (
        "enumeration: expected a unit from 1 to 2, got unit:3. Try unit:2."
    )


def test_a_factor_that_is_all_of_the_latent_is_refused():
    assert refusal(lambda: Enumeration("layer:1")) == (
        "enumeration: expected a factor that leaves others to be drawn, got all of the latent. "
        "Try over all outcomes."
    )


def test_what_the_rest_refuses_is_refused():
    assert 'gradient="vimco"' in refusal(lambda: Enumeration("unit:1"), IWAE())
    assert refusal(lambda: Enumeration("unit:1", VIMCO())).startswith("vimco: expected")
    assert "draws are not" in refusal(lambda: Enumeration("unit:1", Reparameterized()))
    with pytest.raises(InputError, match="expected an estimator that draws the rest, got enum"):
        Enumeration("unit:1", Enumeration())


def test_an_estimator_without_its_objective_is_refused():
    class Own(AbstractEstimator):
        name = "own"
        claims = ()

        def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
            return Surrogate(jnp.zeros(()), jnp.zeros(()))

    assert refusal(lambda: Enumeration("layer:1", Own()), route=two_layers) == (
        "enumeration: expected an estimator that reports the objective at its draws, by which outcomes "
        "are weighed, got one that does not. Try `Surrogate(..., objective=...)`, or "
        "rest=LeaveOneOut()."
    )


def test_the_refusal_says_what_all_outcomes_would_take():
    """2^200 latents of 200 float32; ten outcomes of twelve one-hot units of four."""
    model = two_bits().pair.model
    for logits, most, told in (
        (np.zeros(200), 2**16, "about 10^60, whose latents alone take about 10^51 TB a row"),
        (np.zeros((12, 4)), 2**16, "16,777,216, whose latents alone take about 3 GB a row"),
        (np.zeros(2), 3, "4, whose latents alone take about 32 bytes a row"),
    ):
        guide = UnitsGuide(jnp.asarray(logits, jnp.float32))
        with pytest.raises(InputError) as refused:
            Enumeration(most_outcomes=most)(PLAIN, model, guide, datum(X), jax.random.key(0))
        assert str(refused.value) == (
            f"enumeration: expected at most {most:,} outcomes to enumerate, got {told}. Try "
            'enumerate="units" or layer:N, which sum over fewer, or an estimator that draws, such as '
            'gradient="rloo".'
        )
