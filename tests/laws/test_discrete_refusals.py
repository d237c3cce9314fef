"""What estimators of discrete latents cost, and which bounds, guides and options they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete_routes import X, three_categories, two_bits, two_layers
from known_models import NormalGuide, datum
from unchecked import types_unchecked

from taut.bounds import ELBO, IWAE
from taut.core import InputError
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
)


def test_prices_count_draws_layers_and_outcomes():
    one = two_bits().pair.guide(datum(X))
    two = two_layers().pair.guide(datum(X))
    bound = ELBO(num_draws=3)
    priced = {
        ARM(): (6, 9),
        DisARM(): (6, 9),
        REBAR(): (9, 15),
        REBAR(learning_rate=0.0): (6, 9),
        RELAX(): (9, 15),
        Concrete(): (6, 6),
        StraightThrough(): (3, 3),
        Enumeration(): (4, 4),
        Enumeration("units"): (9, 9),
    }
    for estimator, (of_one, of_two) in priced.items():
        assert estimator.cost(bound, one).model == of_one
        assert estimator.cost(bound, two).model == of_two


DISCRETE = [e for e in ESTIMATORS.values() if e.claims[0].shown_by == "piecewise"]


@pytest.mark.parametrize("estimator", DISCRETE)
def test_another_bound_and_a_continuous_guide_are_refused(estimator):
    pair = two_bits().pair
    key = jax.random.key(0)
    with pytest.raises(InputError) as refusal:
        estimator()(IWAE(), pair.model, pair.guide, datum(X), key)
    assert str(refusal.value) == (
        f"{estimator.name} gradient: expected the ELBO, got the bound 'iwae'. Try gradient=\"vimco\", "
        'which serves it, or bound="elbo".'
    )
    guide = NormalGuide(0.1, 0.2, 0.3)
    with pytest.raises(InputError) as refusal:
        estimator()(ELBO(), pair.model, guide, datum(X), key)
    assert str(refusal.value) == (
        f"{estimator.name} gradient: expected a guide that returns a BernoulliProposal, a "
        "CategoricalProposal or layers of them, got DistributionProposal. Try a discrete latent, or "
        'gradient="reparameterized" for this guide.'
    )


@pytest.mark.parametrize("estimator", [ARM(), DisARM()])
def test_antithetic_pairs_refuse_categories(estimator):
    pair = three_categories().pair
    with pytest.raises(
        InputError, match=r"categorical ones with 3 outcomes. Try rloo, rebar or relax"
    ):
        estimator(ELBO(), pair.model, pair.guide, datum(X), jax.random.key(0))


def test_free_bits_of_a_kl_that_is_drawn_are_refused():
    pair = two_layers().pair
    with pytest.raises(InputError) as refusal:
        DisARM()(ELBO(free_bits=0.1), pair.model, pair.guide, datum(X), jax.random.key(0))
    assert str(refusal.value) == (
        "disarm gradient: expected a KL that is the same for all draws, which free bits clip, got two "
        "layers, whose KL depends on the draws of the first. Try free_bits=0."
    )


@pytest.mark.parametrize(("over", "count"), [("all", 4), ("units", 3)])
def test_enumeration_refuses_more_outcomes_than_it_is_given(over, count):
    pair = two_bits().pair
    with pytest.raises(InputError, match=f"at most 2 outcomes to enumerate, got {count}"):
        Enumeration(over, most_outcomes=2)(
            ELBO(), pair.model, pair.guide, datum(X), jax.random.key(0)
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: StraightThrough("step"),
            "straight-through: expected mean or relaxed, got 'step'. Try mean.",
        ),
        (
            lambda: Temperature(0.1, 0.5),
            "temperature: expected 0 < least <= start, got least = 0.5 and start = 0.1. Try start=1, "
            "least=0.5.",
        ),
        (
            lambda: Temperature(rate=-1.0),
            "temperature: expected a rate of at least 0, got -1. Try 3e-5.",
        ),
        (lambda: REBAR(0.0), "rebar: expected a temperature above 0, got 0. Try 0.5."),
        (
            lambda: RELAX(learning_rate=-1.0),
            "relax: expected a learning rate of at least 0, got -1. Try 1e-3.",
        ),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with types_unchecked(), pytest.raises(InputError) as refusal:
        make()
    assert str(refusal.value) == message


def test_relax_is_started_with_a_guide():
    with pytest.raises(InputError, match="expected the guide, from which the free network reads"):
        RELAX().init(jax.random.key(0), datum(X))


def test_the_temperature_falls_to_its_floor():
    schedule = Temperature(start=1.0, least=0.4, rate=0.1)
    steps = jnp.array([0, 5, 1000])
    np.testing.assert_allclose(jax.vmap(schedule)(steps), [1.0, np.exp(-0.5), 0.4], rtol=1e-6)
