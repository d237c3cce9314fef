"""Every cell of a program's data that cannot be used is named in one line, with a way on."""

import json

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from taut.core import InputError
from taut.models.program import (
    NumPyroProgram,
    check_start,
    read_data,
)

Y = [1.0, 2.0, 3.0]


def test_data_are_read_from_json(tmp_path):
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"y": Y, "n": 3}))
    assert read_data(file) == {"y": Y, "n": 3}
    file.write_text('{"y": [1,\n}')
    with pytest.raises(InputError, match=r"data\.json, line 2: expected JSON"):
        read_data(file)
    file.write_text("[1]")
    with pytest.raises(InputError, match=r"expected an object that names the data, got list"):
        read_data(file)
    with pytest.raises(InputError, match=r"expected a JSON file that can be read"):
        read_data(tmp_path / "absent.json")


def _normal(y):
    m = numpyro.sample("m", dist.Normal(0.0, 10.0))
    numpyro.sample("y", dist.Normal(m, 1.0), obs=y)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            np.ma.masked_values([1.0, -999.0, 3.0], -999.0),
            r"beside them which were seen, got 1 masked, the first in row 2\. Try x\.filled\(0\) "
            r"for it, and ~x\.mask as obs_mask",
        ),
        (
            np.array(["yes", "no"]),
            r"got 'yes' in row 1\. Try numbers in their place, such as codes",
        ),
        (np.array(["2020-01-01"], "datetime64[D]"), r"got dates\. Try .* days since the first"),
        (np.array([1.0, np.nan]), r"got nan in row 2, where .*\. Try obs_mask of the site"),
    ],
)
def test_cells_that_are_missing_or_no_numbers_are_named_and_so_is_a_way_on(y, words):
    with pytest.raises(InputError, match=words):
        NumPyroProgram.of(_normal, {"y": y})


def test_a_masked_array_is_used_as_its_message_says(float64):
    y = np.ma.masked_values([1.0, -999.0, 3.0], -999.0)

    def program(y, seen):
        m = numpyro.sample("m", dist.Normal(0.0, 10.0))
        with numpyro.plate("rows", 3), numpyro.handlers.mask(mask=seen):
            numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

    model, datum = NumPyroProgram.of(program, {"y": y.filled(0), "seen": ~y.mask})
    whole, both = NumPyroProgram.of(_normal, {"y": np.array([1.0, 3.0])})
    m = jnp.array([0.4])
    np.testing.assert_allclose(model.log_joint(datum, m), whole.log_joint(both, m), rtol=1e-12)
    complete, datum = NumPyroProgram.of(_normal, {"y": np.ma.array([1.0, 3.0])})
    np.testing.assert_allclose(complete.log_joint(datum, m), whole.log_joint(both, m), rtol=1e-12)


def test_weights_of_zero_are_refused_in_one_line_with_the_mask_that_does_the_same():
    def program(y, w):
        m = numpyro.sample("m", dist.Normal(0.0, 10.0))
        with numpyro.plate("rows", 3), numpyro.handlers.scale(scale=w):
            numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

    with pytest.raises(InputError, match=r"should be positive\. Try weights above 0, and .*\.mask"):
        NumPyroProgram.of(program, {"y": np.arange(3.0), "w": np.array([2.0, 0.0, 1.0])})


def test_a_factor_that_is_zero_at_the_start_is_named_without_a_value():
    def program():
        a = numpyro.sample("a", dist.Normal(0.0, 1.0))
        numpyro.factor("order", jnp.where(a > 50.0, 0.0, -jnp.inf))

    model, datum = NumPyroProgram.of(program, {})
    with pytest.raises(
        InputError, match=r"'order': expected a finite log-density at the start, got -inf"
    ):
        check_start(model, datum, jnp.zeros(1))


@pytest.mark.parametrize("joint", [False, True])
def test_zeros_in_shares_are_named_with_their_row_where_a_density_has_none(joint):
    def program(x):
        a = numpyro.sample("a", dist.HalfNormal(5.0).expand([3]).to_event(1))
        fn = dist.Dirichlet(a).expand([3])
        numpyro.sample("x", fn.to_event(1) if joint else fn, obs=x)

    shares = np.array([[0.2, 0.3, 0.5], [0.0, 0.4, 0.6], [0.1, 0.1, 0.8]])
    words = (
        r"got \[0, 0.4, 0.6\] in row 2, where Dirichlet takes numbers above 0 that add up to 1. Try a "
        r"small number added to every cell, each row then divided by its sum, or counts under"
    )
    with pytest.raises(InputError, match=words):
        NumPyroProgram.of(program, {"x": shares})
    shares = shares + 1e-3
    NumPyroProgram.of(program, {"x": shares / shares.sum(axis=1, keepdims=True)})


@pytest.mark.parametrize("family", [dist.Beta, dist.BetaProportion, dist.Kumaraswamy])
def test_ends_at_which_a_density_is_zero_or_without_end_are_outside(family):
    def program(y):
        a = numpyro.sample("a", dist.Uniform(0.0, 1.0))
        numpyro.sample("y", family(a, 2.0), obs=y)

    words = r"got 1 in row 2, where \w+ takes numbers from 0 to 1, both left out"
    with pytest.raises(InputError, match=words):
        NumPyroProgram.of(program, {"y": np.array([0.3, 1.0, 0.2])})
    NumPyroProgram.of(program, {"y": np.array([0.3, 0.999, 0.2])})
