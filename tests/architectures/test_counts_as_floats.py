"""Whole numbers that come as floats are read as counts where the likelihood says that they are."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import taut
from taut.architectures import VAE, VQ, Discrete, Ladder, MixtureVAE

COUNTS = np.random.default_rng(0).poisson(80.0, size=(40, 3))
KINDS = {
    "vae": VAE(2, hidden=(4,), likelihood="poisson"),
    "vae of a negative binomial": VAE(2, hidden=(4,), likelihood="negative-binomial"),
    "vae of extra zeros": VAE(2, hidden=(4,), likelihood="zero-inflated-poisson"),
    "discrete": Discrete(latents="bernoulli:2", hidden=(4,), likelihood="poisson"),
    "ladder": Ladder(hidden=(4, 4), latent_dims=(2, 1), likelihood="poisson"),
    "mixture-vae": MixtureVAE(latent_dim=2, hidden=(4,), likelihood="poisson"),
    "vq": VQ(hidden=(4,), likelihood="poisson"),
}


def started(architecture, x):
    data = taut.load_data(x)
    rows = data.train.datum()
    pair = architecture.init(data.schema, jax.random.key(0))
    return architecture.start(pair, rows, schema=data.schema), rows


@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_an_encoder_reads_them_by_their_logarithms(architecture):
    of_floats, _ = started(architecture, COUNTS.astype(float))
    of_counts, _ = started(architecture, COUNTS)
    found, wanted = (architecture.parts(pair)[2].counts.units for pair in (of_floats, of_counts))
    assert_array_equal(found.shift, wanted.shift)
    assert_array_equal(found.scale, wanted.scale)


def test_learned_rows_of_a_prior_are_counts():
    architecture = VAE(2, hidden=(4,), likelihood="poisson", prior="vamp:5")
    pair, rows = started(architecture, COUNTS.astype(float))
    learned = pair.bind()[0].prior_family.pseudo_inputs
    assert_allclose(learned, rows.x[(np.arange(5) * len(rows.x)) // 5], rtol=1e-5)
    assert (jax.tree.map(lambda p: p - 1e6, pair.bind()[0].prior_family).pseudo_inputs >= 0).all()
