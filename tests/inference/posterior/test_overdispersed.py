"""A start in parts: a mean of weights over its draws is unbiased for each part, however draws divide."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.inference.posterior import Gaussian
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.overdispersed import Overdispersed
from taut.inference.posterior.tempered_chains import Kernel, TemperedChains
from taut.inference.posterior.tempered_draws import Plan, tempered_draws

FAR = 1e6  # between parts, none of whose draws comes near another


def parts(count):
    return [Gaussian(np.array([FAR * i]), np.eye(1)) for i in range(count)]


class OnePart(LogDensity):
    """The density of one part alone, in place of a model's."""

    def __init__(self, part):
        self.most = 128
        self.alone = Overdispersed.around(part)

    def program(self, d):
        assert d == 1
        return (lambda z, arrays: self.alone.log_prob(z)), jnp.zeros(())


@pytest.mark.parametrize("count", [32, 33, 156])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 20])
def test_a_part_has_the_share_of_the_density_that_it_has_of_the_draws(number, count):
    around = parts(number)
    start = Overdispersed.around(around[0], tuple(around[1:])).whole(count)
    z = start.sample(np.random.default_rng(0), count)
    for part in around:
        weights = np.exp(Overdispersed.around(part).log_prob(z) - start.log_prob(z))
        if (np.abs(z - part.mean) < FAR / 2).any():
            assert weights.mean() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("number", [1, 2, 4, 6])
def test_the_evidence_of_runs_is_unbiased_for_every_part(number):
    around = parts(number)
    start = Overdispersed.around(around[0], tuple(around[1:]))
    still = Plan((Kernel(1.0, np.eye(1), 0.0, 1),), reached=True)
    for part in around:
        chains = TemperedChains(OnePart(part), start)
        generator = np.random.default_rng(0)
        drawn = tempered_draws(chains, start, still, generator, count=32, moves=1)
        np.testing.assert_allclose(drawn.log_evidence, 0.0, atol=1e-3)
