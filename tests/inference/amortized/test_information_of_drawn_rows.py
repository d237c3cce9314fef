"""The information that ends an aggressive schedule is of rows as the model sees them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from nodes import unfitted_ppca

from taut.architectures import PPCA
from taut.bounds import ELBO
from taut.core import Datum, Pair
from taut.gradients import Reparameterized
from taut.guides import AmortizedGuide, LinearEncoder, MeanFieldGaussian
from taut.inference import VariationalEM
from taut.inference.amortized.abstract import Problem
from taut.inference.amortized.aggressive import mutual_information

ROWS = 64


def binary(datum, key):
    """Dynamic binarization."""
    return Datum(jax.random.bernoulli(key, datum.x).astype(datum.x.dtype))


def test_grey_rows_that_are_alike_have_the_entropy_of_their_draws(float64):
    """The guide tells zeros from ones: H(k / 64), with k ones."""
    rows = Datum(jnp.full((ROWS, 1), 0.5))
    encoder = LinearEncoder(jnp.full((1, 1), 60.0), jnp.zeros(1), jnp.zeros(1))
    guide = AmortizedGuide(encoder, MeanFieldGaussian(1))
    assert abs(float(mutual_information(guide, rows, key=jax.random.key(0)))) < 1e-12
    problem = Problem(
        PPCA(components=1), Pair(unfitted_ppca(1, 1, key=jax.random.key(1)), guide), ELBO(),
        Reparameterized(), optax.sgd(0.0), example=Datum(rows.x[0]), key=jax.random.key(0),
        prepare=binary, probe=lambda number: jax.tree.map(lambda leaf: leaf[:number], rows),
    )  # fmt: skip
    choice = VariationalEM(alternation="aggressive", most_e_steps=1, information_every=1)
    algorithm = choice.algorithm(problem)
    step = jax.jit(algorithm.step)
    state = step(step(algorithm.init(), rows)[0], rows)[0]  # an E-step, an M-step and a look
    share = np.arange(1, ROWS) / ROWS
    known = -share * np.log(share) - (1 - share) * np.log1p(-share)
    found = float(state.schedule.information)
    assert found > 0.5
    assert np.abs(found - known).min() < 1e-9
