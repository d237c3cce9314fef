"""Registry x law: the arithmetic of a step is that of the evaluations that the estimator counts.

Counted in floating-point operations of the compiled gradient, which no load on the machine moves:

    operations = overhead + evaluations x operations of one evaluation

where one evaluation, with its gradient, is what another particle adds to the reparameterized ELBO, and
the overhead is the encoder's pass. A pass that the estimator does not count shows as a multiple.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import pytest

from taut.bounds import ELBO, IWAE, AbstractBound, Renyi
from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractModel,
    AbstractProposal,
    BernoulliProposal,
    Datum,
    InputError,
    as_proposal,
)
from taut.gradients import ESTIMATORS, AbstractEstimator, Reparameterized
from taut.networks import MLP

LATENTS, PIXELS, HIDDEN, ROWS = 6, 60, 200, 4
MOST = 1.2  # times what is counted


class Decoder(AbstractModel):
    network: MLP

    def terms(self, datum, z):
        logits = self.network(z)
        return {
            LOG_LIKELIHOOD: jnp.sum(datum.x * logits - jnp.logaddexp(0.0, logits)),
            LOG_PRIOR: -0.5 * jnp.sum(z**2),
        }


class Encoder(eqx.Module):
    network: MLP
    binary: bool = eqx.field(static=True)

    def __call__(self, datum):
        first, second = jnp.split(self.network(datum.x), 2)
        if self.binary:
            return BernoulliProposal(first)
        return dist.Normal(first, jnp.exp(second)).to_event(1)


def operations(
    estimator: AbstractEstimator, bound: AbstractBound, *, binary: bool
) -> tuple[float, AbstractProposal]:
    """Floating-point operations of a batch's gradient, per row, in the estimator's own state too.

    Returns:
        these, and the proposal of a row.
    """
    keys = jax.random.split(jax.random.key(0), 3)
    model = Decoder(MLP(LATENTS, (HIDDEN,), PIXELS, activation="relu", key=keys[0]))
    guide = Encoder(MLP(PIXELS, (10,), 2 * LATENTS, activation="relu", key=keys[1]), binary)
    rows = Datum(x=jnp.ones((ROWS, PIXELS)))
    row = Datum(x=rows.x[0])
    aux, still = eqx.partition(estimator.init(keys[2], row, guide), eqx.is_inexact_array)

    def mean_surrogate(live, rows, keys):
        pair, aux = live

        def one(row, key):
            out = estimator(bound, *pair, row, key, aux=eqx.combine(aux, still))
            return out.surrogate - out.aux_surrogate, out.value

        surrogate, value = jax.vmap(one)(rows, keys)
        return jnp.mean(surrogate), jnp.mean(value)

    gradient = jax.jit(jax.grad(mean_surrogate, has_aux=True))
    live = (model, guide), aux
    compiled = gradient.lower(live, rows, jax.random.split(keys[0], ROWS)).compile()
    return compiled.cost_analysis()["flops"] / ROWS, as_proposal(guide(row))


@pytest.fixture(scope="module")
def evaluation() -> tuple[float, float]:
    """The overhead of a row and what one evaluation adds to it."""
    one, two = (
        operations(Reparameterized(), ELBO(num_draws=n, kl="sampled"), binary=False)[0]
        for n in (1, 2)
    )
    return 2 * one - two, two - one


def served(estimator: AbstractEstimator) -> tuple[int, float]:
    """Evaluations counted, and operations, of a bound of four particles and a guide that it serves."""
    candidates = {
        "elbo": ELBO(num_draws=4, kl="sampled"), "iwae": IWAE(4), "renyi": Renyi(0.5, 4)
    }  # fmt: skip
    for claim in estimator.claims:
        for binary in (False, True):
            try:
                found, q = operations(estimator, candidates[claim.bound], binary=binary)
            except InputError:
                continue  # the other guide, or the next bound
            return estimator.cost(candidates[claim.bound], q).model, found
    raise AssertionError("no bound and guide are served")


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_a_step_takes_the_arithmetic_of_the_evaluations_that_are_counted(estimator, evaluation):
    overhead, each = evaluation
    counted, found = served(estimator())
    assert found < MOST * (overhead + counted * each)


class Twice(AbstractEstimator):
    """Planted: the value is that of other draws, which nobody counted."""

    name = "twice"
    claims = Reparameterized.claims

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        out = Reparameterized()(bound, model, guide, datum, key)
        again = Reparameterized()(bound, model, guide, datum, jax.random.fold_in(key, 1))
        return out._replace(value=again.value)


def test_a_pass_that_is_not_counted_shows(evaluation):
    overhead, each = evaluation
    counted, found = served(Twice())
    assert found > MOST * (overhead + counted * each)
