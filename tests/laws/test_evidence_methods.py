"""Laws over the evidence methods, from what they claim."""

import functools
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    NormalGuide,
    TableModel,
)
from registered import concrete_subclasses
from unchecked import types_unchecked

import taut
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, Dirac, InputError, Pair
from taut.evidence import EVIDENCE, AbstractMethod
from taut.evidence.tempered import AbstractTempered
from taut.fitted.methods import METHODS
from taut.guides import ExponentialGuide
from taut.models import ExponentialNormal

SHORT = {"num_particles": 40, "temperatures": 3, "num_simulated": 10}
CONTINUOUS = [name for name, method in EVIDENCE.items() if method.claims.latents == "continuous"]
TEMPERED = [name for name, method in EVIDENCE.items() if issubclass(method, AbstractTempered)]
SWEPT = [name for name, method in EVIDENCE.items() if hasattr(method, "sweep")]


def short(name):
    known = {f.name for f in fields(EVIDENCE[name])}
    return made(name, **{k: v for k, v in SHORT.items() if k in known})


def gaussian():
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    return Pair(model, NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.2)))


def made(name, **options):
    """A method, without the types that pyright would have it by."""
    method: Any = EVIDENCE[name]
    return method(**options)


def numbers(estimate) -> np.ndarray:
    assert estimate.values is not None
    return estimate.values


def rows(count):
    return Datum(jnp.linspace(-1.5, 2.0, count))


@pytest.fixture
def pairs_of_rows(monkeypatch):
    """Blocks of two rows."""
    for module in ("annealed", "quasi_monte_carlo"):
        monkeypatch.setattr(f"taut.evidence.{module}._BLOCK_ROWS", 2)


@functools.cache
def five_rows_in_pairs(name):
    """Under `pairs_of_rows` only."""
    return short(name)(gaussian(), rows(5), key=jax.random.key(3))


def test_every_method_is_registered():
    assert concrete_subclasses(AbstractMethod, taut) == set(METHODS.values())


@pytest.mark.parametrize("name", EVIDENCE)
def test_options_survive_a_file(name):
    method = short(name)
    assert EVIDENCE[name].from_dict(method.to_dict()) == method


TABLE = TableModel(jnp.array([0.2, -0.5]), jnp.array([[0.3, -0.1, 0.2], [-0.4, 0.5, 0.1]]))
UNMOVED = {
    "categories": Pair(TABLE, CategoricalGuide(jnp.array([0.1, 0.3]))),
    "every outcome": Pair(TABLE, EnumeratedGuide(jnp.array([0.1, 0.3]))),
    "one z a row": Pair(TABLE, lambda datum: Dirac(jnp.asarray(0), jnp.zeros(()))),
}


@pytest.mark.parametrize("case", UNMOVED)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_latents_that_cannot_move_are_refused(name, case):
    with pytest.raises(InputError, match=f"{name}: expected continuous latents.*Try importance"):
        short(name)(UNMOVED[case], Datum(jnp.array([0, 2])), key=jax.random.key(0))


@pytest.mark.parametrize("name", SWEPT)
def test_a_sweep_that_goes_on_ends_with_the_same_bytes(name, pairs_of_rows):
    method, data = short(name), rows(5)
    whole = five_rows_in_pairs(name)
    begun = method.sweep(gaussian(), data, key=jax.random.key(3))
    state = begun.step(begun.init())
    assert state.done == 2
    saved = jax.tree.map(lambda leaf: np.frombuffer(leaf.tobytes(), leaf.dtype), state)
    saved = saved._replace(done=saved.done[0])
    again = method.sweep(gaussian(), data, key=jax.random.key(3))
    while saved.done < again.num_rows:
        saved = again.step(saved)
    found = again.finish(saved)
    np.testing.assert_array_equal(numbers(found.log_evidence), numbers(whole.log_evidence))
    np.testing.assert_array_equal(found.khat, whole.khat)
    other = method(gaussian(), data, key=jax.random.key(4))
    assert np.all(numbers(other.log_evidence) != numbers(whole.log_evidence))


@pytest.mark.parametrize("name", SWEPT)
def test_rows_do_not_depend_on_their_blocks(name, request):
    together = short(name)(gaussian(), rows(5), key=jax.random.key(3))
    request.getfixturevalue("pairs_of_rows")
    apart = five_rows_in_pairs(name)
    np.testing.assert_allclose(
        numbers(apart.log_evidence), numbers(together.log_evidence), rtol=1e-4
    )


@pytest.mark.parametrize("name", TEMPERED)
def test_positive_latents_move_along_their_logarithms(name, float64):
    options = {k: v for k, v in SHORT.items() if k in {f.name for f in fields(EVIDENCE[name])}}
    model = ExponentialNormal.at(0.7)
    data = Datum(jnp.array([-0.4, 0.5, 2.0]))
    found = made(name, **options | {"num_particles": 400})(
        Pair(model, ExponentialGuide.at(1.1)), data, key=jax.random.key(0)
    )
    known = np.asarray(jax.jit(jax.vmap(model.log_evidence))(data))
    off = numbers(found.log_evidence) - known
    assert abs(off.mean()) < 5 * found.log_evidence.mc_error
    assert found.log_evidence.mc_error < 0.03


class Funnel(AbstractModel):
    """A likelihood without draws of z: there is no prior to start from."""

    def terms(self, datum, z):
        return {LOG_LIKELIHOOD: dist.Normal(z, 1.0).log_prob(datum.x), LOG_PRIOR: -0.5 * z**2}


def test_a_model_without_a_prior_to_draw_from_says_so():
    with pytest.raises(InputError, match=r"a model that can draw from its prior"):
        made("annealed", start="prior")(
            Pair(Funnel(), gaussian().guide), rows(2), key=jax.random.key(0)
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperatures": 0}, "at least 1 step"),
        ({"num_particles": 1}, "at least 2 chains"),
        ({"schedule": "sigmoidal"}, "one of adaptive, linear, sigmoid"),
        ({"start": "encoder"}, "one of guide, prior"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with types_unchecked(), pytest.raises(InputError, match=said):
        made("annealed", **options)
