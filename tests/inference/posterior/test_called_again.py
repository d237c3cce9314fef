"""A process that calls `infer` again and again: what is compiled, and what of a program it may reuse."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from compilations import compilations
from scipy.stats import multivariate_normal

import taut

Y = np.array([0.5, 1.0, 2.0])
QUICK = {"num_starts": 1, "num_draws": 1000}


def rows(x, y):
    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([2]).to_event(1))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(x @ slope, noise), obs=y)


def shifted(rate, y, by):
    """A log-joint of one positive parameter."""
    return -rate + jnp.sum(y * jnp.log(rate + by) - rate - by)


def of_rows(number):
    generator = np.random.default_rng(number)
    x = generator.normal(size=(12, 2))
    return {"x": x, "y": x @ [1.0, -1.0] + generator.normal(size=12)}


GUIDES = [{}, {"guide": "low-rank:1"}, {"subsample": {"rows": 4}}]


@pytest.mark.parametrize("options", GUIDES, ids=str)
def test_other_data_and_another_key_compile_nothing(options):
    first = taut.infer(rows, data=of_rows(0), **options, **QUICK)
    first.sample(3)
    with compilations() as compiled:
        second = taut.infer(rows, data=of_rows(1), key=7, **options, **QUICK)
        second.sample(3)
    assert compiled == []
    assert not np.allclose(first.resampled.mean, second.resampled.mean)


def test_a_log_joint_of_other_data_compiles_nothing():
    def call(number):
        data = {"y": Y + number, "by": 0.5}
        return taut.infer(shifted, data=data, support={"rate": "positive"}, **QUICK)

    call(0)
    with compilations() as compiled:
        call(1)
    assert compiled == []


def scale_closed_over(scale):
    def program():
        mean = numpyro.sample("mean", dist.Normal(0, scale))
        numpyro.sample("y", dist.Normal(mean, 1), obs=Y)

    return program


SCALE = 1.0
SETTINGS = {"scale": 1.0}


def scale_of_the_module(scale):
    globals()["SCALE"] = scale

    def program():
        mean = numpyro.sample("mean", dist.Normal(0, SCALE))
        numpyro.sample("y", dist.Normal(mean, 1), obs=Y)

    return program


def program_of_the_module():
    mean = numpyro.sample("mean", dist.Normal(0, SETTINGS["scale"]))
    numpyro.sample("y", dist.Normal(mean, 1), obs=Y)


def scale_in_a_dictionary(scale):
    SETTINGS["scale"] = scale
    return program_of_the_module


def scale_as_an_array(scale):
    return scale_closed_over(np.asarray(scale))


ARRAY = np.ones(1)


def program_of_an_array():
    mean = numpyro.sample("mean", dist.Normal(0, ARRAY[0]))
    numpyro.sample("y", dist.Normal(mean, 1), obs=Y)


def scale_changed_in_place(scale):
    ARRAY[0] = scale
    return program_of_an_array


def scale_as_a_default(scale):
    def program(scale=scale):
        mean = numpyro.sample("mean", dist.Normal(0, scale))
        numpyro.sample("y", dist.Normal(mean, 1), obs=Y)

    return program


def scale_in_a_rule(scale):
    """In a function and in the derivative that it is given."""
    scaled = jax.custom_jvp(lambda x: scale * x)
    scaled.defjvp(lambda x, v: (scale * x[0], scale * v[0]))

    def program():
        mean = numpyro.sample("mean", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(scaled(mean), 1), obs=Y)

    return program


def scale_in_a_compiled_function(scale):
    factor = np.full(3, scale)
    scaled = jax.jit(lambda x: factor * x)

    def program():
        mean = numpyro.sample("mean", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(scaled(mean), 1), obs=Y)

    return program


WAYS = [
    scale_closed_over,
    scale_as_an_array,
    scale_of_the_module,
    scale_in_a_dictionary,
    scale_changed_in_place,
    scale_as_a_default,
    scale_in_a_rule,
    scale_in_a_compiled_function,
]


@pytest.mark.parametrize("program", WAYS)
def test_a_program_that_changed_has_its_own_evidence(program):
    """y ~ N(0, 1 + scale^2) in closed form, for scales that a program reads from wherever it likes."""
    for scale in (1.0, 3.0, 1.0):
        found = taut.infer(program(scale), **QUICK).estimates["log_evidence"]
        exact = multivariate_normal(np.zeros(3), np.eye(3) + scale**2).logpdf(Y)
        assert math.isclose(found.value, exact, abs_tol=5 * found.mc_error)
