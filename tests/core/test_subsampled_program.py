"""A NumPyro program that sees some rows of a plate: what is unbiased is used, what is not is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from program_skeletons import PLATE_SIZE, subsampled_program, whole_program

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import Datum, InputError, Particles, particles
from taut.evidence import importance_sampling

ROWS = np.array([0.5, -0.2, 1.1, 0.3])
SUBSETS = np.array(list(itertools.combinations(range(PLATE_SIZE), 2)))


def minted(skeleton, index) -> Particles:
    model, guide = skeleton.pair.bind()
    datum = Datum(x=jnp.asarray(ROWS)[index], index=index)
    return particles(model, guide, guide, datum, jax.random.key(0), 3)


def test_the_mint_marks_minibatches_and_only_them(float64):
    assert minted(subsampled_program(), jnp.array([0, 1])).subsampled
    assert not minted(whole_program(), jnp.arange(4)).subsampled


def test_the_elbo_is_unbiased_over_minibatches(float64):
    skeleton = subsampled_program()
    elbo = jax.jit(jax.vmap(lambda index: ELBO()(minted(skeleton, index))))
    values = elbo(jnp.asarray(SUBSETS))
    whole = jax.jit(lambda index: ELBO()(minted(whole_program(), index)))(jnp.arange(PLATE_SIZE))
    assert np.ptp(values) > 0.1
    np.testing.assert_allclose(np.mean(values), whole, rtol=1e-13)


def test_a_logarithm_of_an_average_would_be_biased_over_minibatches(float64):
    """The reason for the refusals: log-weights are right on average, their exponentials are not."""
    skeleton = subsampled_program()
    log_weights = jax.jit(jax.vmap(lambda index: minted(skeleton, index).log_w))
    log_w = log_weights(jnp.asarray(SUBSETS))
    whole = jax.jit(lambda index: minted(whole_program(), index).log_w)(jnp.arange(PLATE_SIZE))
    np.testing.assert_allclose(np.mean(log_w, axis=0), whole, rtol=1e-13)
    bound = np.log(np.mean(np.exp(log_w), axis=1)).mean()
    assert abs(bound - np.log(np.mean(np.exp(whole)))) > 0.01


@pytest.mark.parametrize(
    ("what", "use"), [("the IWAE bound", IWAE()), ("the Renyi bound", Renyi())]
)
def test_what_minibatches_would_bias_is_refused(what, use, float64):
    made = minted(subsampled_program(), jnp.array([1, 3]))
    with pytest.raises(InputError, match=rf"^{what}: expected .* which bias {what}\. Try the ELBO"):
        use(made)


def test_so_is_the_evidence(float64):
    skeleton = subsampled_program()
    with pytest.raises(InputError, match=r"log-weights of a minibatch, which bias .*evid"):
        importance_sampling(skeleton.pair, skeleton.data, key=jax.random.key(0), num_particles=30)
