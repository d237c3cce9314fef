"""Registry x law for estimators of discrete latents: mean gradients against sums over outcomes.

Averages over noise are sums over cells or integrals between kinks, see `discrete_routes`. A planted
mistake in each estimator must show.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete_routes import (
    X,
    cells,
    exact,
    mean_of,
    one_bit,
    panels,
    piecewise,
    three_categories,
    two_bits,
    two_layers,
)
from known_models import datum

from taut.bounds import ELBO
from taut.core import BernoulliProposal, Pair
from taut.gradients import (
    ARM,
    ESTIMATORS,
    REBAR,
    RELAX,
    Concrete,
    DisARM,
    Enumeration,
    StraightThrough,
    Temperature,
    arm,
    disarm,
)
from taut.gradients.discrete_elbo import DiscreteELBO

WITHIN = {cells: 1e-12, piecewise: 1e-8}
"""Sums over cells are rounded off; integrals are also cut off, at a tail of 1e-14."""

SAMPLED = ELBO(kl="sampled", beta=0.7)
CLOSED = ELBO(kl="closed", beta=0.5, warmup_steps=4)
PLAIN = ELBO(kl="sampled")


def control(estimator, route, free=0.3):
    """A state of REBAR or RELAX in which no network is zero."""
    start = estimator.init(jax.random.key(0), datum(X), route.pair.guide)
    moved = jax.tree.map(lambda a: a + free if eqx.is_inexact_array(a) else a, start.networks)
    return start._replace(networks=moved)


def errors(mean: Pair, expected: Pair) -> tuple[float, float]:
    """Largest errors in the model's and in the guide's parameters."""
    worst = jax.tree.map(lambda g, e: np.max(np.abs(g - e)), mean, expected)
    return tuple(float(max(jax.tree.leaves(part))) for part in (worst.model, worst.guide))


UNBIASED = [
    (ARM(), two_bits, SAMPLED, cells),
    (ARM(), one_bit, ELBO(kl="closed", num_draws=2, free_bits=0.05), cells),
    (ARM(), two_layers, CLOSED, cells),
    (DisARM(), two_bits, SAMPLED, cells),
    (DisARM(), one_bit, ELBO(num_draws=3), cells),
    (DisARM(), two_layers, CLOSED, cells),
    (Enumeration(), two_bits, ELBO(free_bits=0.05), cells),
    (Enumeration(), two_layers, CLOSED, cells),
    (Enumeration("units"), two_bits, ELBO(kl="sampled", num_draws=2), cells),
    (Enumeration("units"), three_categories, SAMPLED, cells),
    (Enumeration("units"), two_layers, CLOSED, cells),
    (REBAR(temperature=0.7, scale=0.6), two_bits, SAMPLED, piecewise),
    (REBAR(), one_bit, ELBO(kl="closed", num_draws=2), piecewise),
    (REBAR(), three_categories, CLOSED, piecewise),
    (REBAR(temperature=0.7), two_layers, CLOSED, piecewise),
    (RELAX(hidden=(3,)), two_bits, CLOSED, piecewise),
    (RELAX(hidden=(3,)), three_categories, SAMPLED, piecewise),
    (RELAX(hidden=(3,)), two_layers, SAMPLED, piecewise),
]


@pytest.mark.parametrize(
    ("estimator", "make", "bound", "rule"),
    UNBIASED,
    ids=[f"{e.name}-{m.__name__}-{b.kl}-{i}" for i, (e, m, b, _) in enumerate(UNBIASED)],
)
def test_value_and_gradient_are_right_on_average(estimator, make, bound, rule, float64):
    route = make()
    aux = control(estimator, route) if isinstance(estimator, RELAX) else None
    value, gradient = mean_of(estimator, bound, route, rule(route, bound.num_draws), aux=aux)
    elbo, expected = exact(bound, route)
    assert abs(value - elbo) < WITHIN[rule]
    assert max(errors(gradient, expected)) < WITHIN[rule]


def test_every_estimator_that_claims_pieces_is_shown_here():
    claimed = {
        name: e.claims for name, e in ESTIMATORS.items() if e.claims[0].shown_by == "piecewise"
    }
    unbiased = {name for name, (claim,) in claimed.items() if claim.guide == "unbiased"}
    assert unbiased == {estimator.name for estimator, *_ in UNBIASED}
    assert claimed.keys() - unbiased == {"gumbel-softmax", "straight-through"}
    assert all(claim.bound == "elbo" for (claim,) in claimed.values())


# Biased in the guide, by how much, and unbiased in the model.


@pytest.mark.parametrize("make", [two_bits, three_categories, two_layers])
@pytest.mark.parametrize("through", ["mean", "relaxed"])
def test_straight_through_is_biased_in_the_guide_alone(make, through, float64):
    route, estimator = make(), StraightThrough(through, Temperature(0.7, 0.7, 0.0))
    rule = cells if through == "mean" else piecewise
    value, gradient = mean_of(estimator, PLAIN, route, rule(route, 1))
    elbo, expected = exact(PLAIN, route)
    in_model, in_guide = errors(gradient, expected)
    assert abs(value - elbo) < WITHIN[rule]
    assert in_model < WITHIN[rule]
    assert in_guide > 1e-3
    assert estimator.departure(PLAIN)


def test_straight_through_the_mean_is_exact_where_f_is_linear(float64):
    """x says nothing of z, so that f is log p(z) - log q(z), a sum over units."""
    route = three_categories()
    slope = jnp.zeros(3)
    model = eqx.tree_at(lambda m: (m.slope, m.bend), route.pair.model, (slope, slope))
    flat = route._replace(pair=Pair(model, route.pair.guide))
    _, gradient = mean_of(StraightThrough(), PLAIN, flat, cells(flat, 1))
    assert errors(gradient, exact(PLAIN, flat)[1])[1] < 1e-12


def test_the_bias_of_relaxed_draws_falls_with_the_temperature(float64):
    """E[f(relaxed)] - E[f(hard)] = T p(-l) C + O(T^2), p the logistic density and

    C = integral over s of f(sigmoid(s)) - f(1[s > 0]),

    which is the draw near its kink. The gradient in l is biased by T p(-l) (1 - 2 sigmoid(l)) C.
    """
    route = one_bit()
    _, expected = exact(SAMPLED, route)
    q, model = route.pair.guide(datum(X)), route.pair.model

    def f(z):
        terms = model.terms(datum(X), z[None])
        return terms["log_likelihood"] + 0.7 * (terms["log_prior"] - q.log_prob(z[None]))

    s, weights = panels(np.linspace(-40.0, 40.0, 41), order=10)
    c = weights @ jax.jit(jax.vmap(lambda s: f(jax.nn.sigmoid(s)) - f(jnp.where(s > 0, 1.0, 0.0))))(
        s
    )
    p = float(q.mean()[0])
    leading = p * (1 - p) * (1 - 2 * p) * c
    assert abs(leading) > 1e-2
    rest = []
    for temperature in (0.04, 0.02):
        estimator = Concrete(Temperature(temperature, temperature, 0.0))
        rule = piecewise(route, 1, temperature)
        value, gradient = mean_of(estimator, SAMPLED, route, rule)
        assert abs(value - exact(SAMPLED, route)[0]) < WITHIN[piecewise]
        assert errors(gradient, expected)[0] < WITHIN[piecewise]
        bias = float(gradient.guide.logits[0] - expected.guide.logits[0])
        rest.append(abs(bias / temperature - leading))
    assert rest[0] < abs(leading) / 2
    assert rest[1] < 0.6 * rest[0]
    assert Concrete().departure(SAMPLED)


def test_straight_through_a_relaxed_draw_stays_biased(float64):
    route, temperature = one_bit(), 0.03
    estimator = StraightThrough("relaxed", Temperature(temperature, temperature, 0.0))
    _, gradient = mean_of(estimator, SAMPLED, route, piecewise(route, 1, temperature))
    assert errors(gradient, exact(SAMPLED, route)[1])[1] > 1e-3


# Planted mistakes.


def misses_log_q(monkeypatch):
    right = DiscreteELBO.signals
    monkeypatch.setattr(
        DiscreteELBO, "signals", lambda self, p: right(self, p) + jax.lax.stop_gradient(p.log_q)
    )


def misses_the_half(monkeypatch):
    right = disarm._mean_weight
    monkeypatch.setattr(disarm, "_mean_weight", lambda *args: 2.0 * right(*args))


def weighs_by_the_probability(monkeypatch):
    def wrong(q, noise, z, partner):
        return 0.5 * (z - partner) * jax.nn.sigmoid(q.logits)

    monkeypatch.setattr(disarm, "_mean_weight", wrong)


def takes_the_other_side(monkeypatch):
    right = arm._centred_uniform
    monkeypatch.setattr(arm, "_centred_uniform", lambda q, noise, *pair: right(q, -noise, *pair))


def does_not_condition(monkeypatch):
    """The second draw takes its noise as it is, whatever the outcome."""
    monkeypatch.setattr(BernoulliProposal, "condition", lambda self, z, noise: noise)
    monkeypatch.setattr(BernoulliProposal, "fresh_noise", lambda self, z, noise: noise)


def holds_the_second_draw_fixed(monkeypatch):
    """The perturbed logits given the outcome do not move with the logits."""
    right = BernoulliProposal.condition

    def wrong(self, z, noise):
        perturbed = self.logits + right(self, z, noise)
        return jax.lax.stop_gradient(perturbed) - self.logits

    monkeypatch.setattr(BernoulliProposal, "condition", wrong)


def misses_its_own_gradient(monkeypatch):
    """Only the control variate times the score is taken away."""

    def wrong(elbo, draws, control, temperature):
        q = elbo.still_q

        def one(z, noise):
            return (
                control(0, q.relaxed(noise, temperature), (noise,), ()) * (z - q.layer(()).mean()),
            )

        return jax.vmap(one)(draws.z, draws.noise)

    monkeypatch.setattr("taut.gradients.rebar.contribution", wrong)


def jumps_below(monkeypatch):
    """The layer below a relaxed one is hard."""

    def wrong(elbo, temperature):
        q = elbo.still_q

        def control(i, own, noises, above):
            layers = (*above, own)
            for j in range(i + 1, q.num_layers):
                layers = (*layers, q.layer(layers).hard(noises[j]))
            return elbo.signal(q.from_layers(layers))

        return control

    monkeypatch.setattr("taut.gradients.rebar.relaxed_signal", wrong)


def counts_each_outcome_alike(monkeypatch):
    """Masses of the units are left out of the local expectation."""
    monkeypatch.setattr(
        BernoulliProposal,
        "unit_log_probs",
        property(lambda self: 0.5 * jnp.stack([-self.logits, self.logits], axis=1)),
    )


PLANTED = [
    (ARM(), misses_log_q, two_bits, cells),
    (ARM(), takes_the_other_side, two_bits, cells),
    (DisARM(), misses_the_half, two_bits, cells),
    (DisARM(), weighs_by_the_probability, two_bits, cells),
    (Enumeration("units"), misses_log_q, two_bits, cells),
    (REBAR(), misses_log_q, one_bit, piecewise),
    (REBAR(), does_not_condition, one_bit, piecewise),
    (REBAR(), holds_the_second_draw_fixed, one_bit, piecewise),
    (REBAR(), misses_its_own_gradient, one_bit, piecewise),
    (REBAR(), jumps_below, two_layers, piecewise),
    (Enumeration("units"), counts_each_outcome_alike, two_bits, cells),
]


@pytest.mark.parametrize(
    ("estimator", "plant", "make", "rule"),
    PLANTED,
    ids=[f"{e.name}-{p.__name__}" for e, p, _, _ in PLANTED],
)
def test_a_mistake_is_caught(estimator, plant, make, rule, monkeypatch, float64):
    route = make()
    _, expected = exact(PLAIN, route)
    with monkeypatch.context() as patched:
        plant(patched)
        _, gradient = mean_of(estimator, PLAIN, route, rule(route, 1))
    assert errors(gradient, expected)[1] > 1e3 * WITHIN[rule]
