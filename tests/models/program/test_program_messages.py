"""Every way to hand over a program or its data wrongly ends in one line that says what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan
from numpyro.distributions import constraints

from taut.core import InputError
from taut.models.program import (
    LogJoint,
    NumPyroProgram,
    check_start,
    load_program,
    support_beside,
)


def line(y, x):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(beta * x, 1.0), obs=y)


def fixed_size(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 10):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def fixed_size_of_mean(x, y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 10):
        numpyro.sample("y", dist.Normal(mu * x, 1.0), obs=y)


def coin(y):
    k = numpyro.sample("k", dist.Poisson(0.5))
    numpyro.sample("y", dist.Normal(k, 1.0), obs=y)


def direction(y):
    v = numpyro.sample("v", dist.ImproperUniform(constraints.sphere, (), (3,)))
    numpyro.sample("y", dist.Normal(v[0], 1.0), obs=y)


def branching(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    if mu > 0:
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def learned(y):
    mu = numpyro.param("mu", 0.0)
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def maybe_observed(n, y=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", n):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def spread(y):
    mu = numpyro.sample("mu", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def inside_scan(y):
    def step(carry, value):
        state = numpyro.sample("state", dist.Normal(carry, 1.0))
        return state, value

    scan(step, 0.0, y)


def nothing(y):
    numpyro.sample("y", dist.Normal(0.0, 1.0), obs=y)


def without_cells(y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((0,)))
    share = numpyro.sample("share", dist.Dirichlet(jnp.ones(1)))
    numpyro.sample("y", dist.Normal(beta.sum() + share[0], 1.0), obs=y)


def empty_plate(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 0):
        numpyro.sample("b", dist.Normal(mu, 1.0))


def counts(y):
    rate = numpyro.sample("rate", dist.Exponential(1.0))
    numpyro.sample("y", dist.Poisson(rate), obs=y)


def joined(y):
    k = numpyro.sample("k", dist.Bernoulli(0.3 * jnp.ones(3)).to_event(1))
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu + k, 1.0), obs=y)


def blocked(y):
    with numpyro.handlers.block(hide=["mu"]):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu + t, 1.0), obs=y)


def noisy(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    noise = jax.random.normal(numpyro.prng_key())
    numpyro.sample("y", dist.Normal(t + noise, 1.0), obs=y)


def twice(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    for row in y:
        numpyro.sample("y", dist.Normal(t, 1.0), obs=row)


Y = [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("program", "data", "message"),
    [
        (
            line,
            {"y": Y},
            r"line: expected data for every argument .* none for x .* Try adding 'x' to .*log-joint",
        ),
        (line, {"y": Y, "x": Y, "xx": 1}, r"got 'xx'\. Try 'x'\.$"),
        (line, {"data": Y}, r"got 'data'\. Try x, y, or, if it is a log-joint, a support for each"),
        (line, {"y": Y, "x": [1.0, 2.0]}, r"line, line \d+: expected 3 rows in plate 'rows'"),
        (line, {"y": [1.0, None], "x": Y}, r"^data 'y': .* got None in row 2"),
        (line, {"y": [[1.0], [1.0, 2.0]], "x": Y}, r"^data 'y': .* got rows of 1 and 2 entries"),
        (
            line,
            {"y": [1, 2**70], "x": Y},
            r"^data 'y': .* 64 bits, got 1180591620717411303424 in row 2",
        ),
        (
            line,
            {"y": [[1], [10**9999]], "x": Y},
            r"64 bits, got one of \d+ bits in row 1\. Try a real",
        ),
        (line, {"y": "file", "x": Y}, r"TypeError|expected"),
        (
            fixed_size,
            {"y": Y},
            r"expected 10 rows in plate 'rows'.* got observed 'y' of shape \(3,\)",
        ),
        (fixed_size_of_mean, {"y": Y, "x": Y}, r"line \d+: expected 10 rows in plate 'rows'"),
        (
            coin,
            {"y": 1.0},
            r"^site 'k': expected a continuous latent, or one with .* discrete .* which is summed out",
        ),
        (direction, {"y": 1.0}, r"^site 'v': expected a support with a smooth map .*reparam"),
        (branching, {"y": 1.0}, r"branching, line \d+: expected .* trace .* Try jnp\.where"),
        (learned, {"y": 1.0}, r"^site 'mu': .* Try numpyro\.sample in place of numpyro\.param"),
        (maybe_observed, {"n": 3}, r"expected data for 'y', .* got none, which makes it a latent"),
        (spread, {"y": [[1.0], [2.0]]}, r"observed 'y' of shape \(3,\), got \(2, 1\)"),
        (inside_scan, {"y": Y}, r"^site 'state': expected latents outside of scan"),
        (nothing, {"y": 1.0}, r"nothing: expected at least one latent, got none"),
        (
            without_cells,
            {"y": 1.0},
            r"latent that can move, got 'beta' of shape \(0,\), 'share' of shape \(1,\)\. Try",
        ),
        (
            joined,
            {"y": Y},
            r"^site 'k': expected discrete .* several as one event\. Try leaving out",
        ),
        (blocked, {"y": 1.0}, r"log-density without chance, got site 'y', which .* a blocked site"),
        (noisy, {"y": 1.0}, r"log-density without chance, got site 'y', which depends on a random"),
        (twice, {"y": Y}, r"`y` duplicated\. Try another name for one of the two"),
        (empty_plate, {"y": 1.0}, r"line \d+: expected at least one row in plate 'rows', got none"),
        (line, {"y": [1.0, np.nan, 3.0], "x": Y}, r"site 'y': expected data .* got nan in row 2"),
        (
            counts,
            {"y": [1, 4, -2]},
            r"site 'y': expected data in the support .* got -2 in row 3, where Poisson takes whole",
        ),
    ],
)
def test_a_program_that_cannot_be_used(program, data, message):
    with pytest.raises(InputError, match=message) as caught:
        NumPyroProgram.of(program, data)
    assert "\n" not in str(caught.value)


def scalar(p):
    return -(p["a"] ** 2)


def of_numpy(p):
    return float(np.sum(p["a"]))


def loop(p):
    def unfinished(state):
        return state < 3.0

    return jax.lax.while_loop(unfinished, lambda s: s + 1.0, p["a"])


def two_names(a, b):
    return a + b


@pytest.mark.parametrize(
    ("function", "support", "data", "message"),
    [
        (scalar, {"a": "positve"}, None, r"^support of 'a': .* got 'positve'\. Try 'positive'\.$"),
        (scalar, {"a": 3.0}, None, r"^support of 'a': expected a name or .* got 3\.0"),
        (scalar, {"a": "simplex"}, None, r"^support of 'a': expected a shape with at least 1 axis"),
        (scalar, {"a": constraints.boolean}, None, r"^site 'a': expected a continuous latent"),
        (
            scalar,
            {"a": ("real", 3)},
            None,
            r"scalar: expected a real scalar .* shape \(3,\) of float32",
        ),
        (lambda p: None, {"a": "real"}, None, r"expected a real scalar .* got NoneType"),
        (lambda p: jnp.int32(1), {"a": "real"}, None, r"got shape \(\) of int32"),
        (scalar, {"a": ("real", 0)}, None, r"expected a latent that can move, got 'a' of shape"),
        (scalar, {}, None, r"expected a support for each parameter, got none"),
        (
            of_numpy,
            {"a": "real"},
            None,
            r"of_numpy, line \d+: .* Try jnp\.where for branches, jax\.numpy in place",
        ),
        (loop, {"a": "real"}, None, r"loop.*: expected .* Try jax\.lax\.scan"),
        (two_names, {"a": "real"}, None, r"neither for 'b'"),
        (two_names, {"a": "real", "b": "real", "c": "real"}, None, r"arguments \(a, b\), got 'c'"),
        (two_names, {"a": "real"}, {"a": 1.0}, r"different names .* got 'a' as both"),
        (
            two_names,
            {"c": "real", "d": "real"},
            None,
            r"two_names: expected a log-joint, as there is a support, of parameters alone, .*, or "
            r"with arguments named 'c', 'd', got \(a, b\)\. Try leaving out the support of a NumPyro",
        ),
        (scalar, {"c": "real"}, {"y": 1.0}, r"of parameters and data, or .* got \(p\)"),
        (
            scalar,
            {"c": "real"},
            None,
            r"a log-joint, as there is a support, that JAX .* KeyError",
        ),
    ],
)
def test_a_log_joint_that_cannot_be_used(function, support, data, message):
    with pytest.raises(InputError, match=message) as caught:
        LogJoint.of(function, support, data)
    assert "\n" not in str(caught.value)


def unused(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("spare", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


@pytest.mark.parametrize(
    ("program", "data", "message"),
    [
        (
            line,
            {"y": Y, "x": [1.0, 2.0, np.inf]},
            r"site 'y': expected a finite .* 3 in row 3 .* beta = 1",
        ),
        (unused, {"y": 1.0}, r"unused: expected a log-joint that changes .* zero in 'spare'"),
    ],
)
def test_a_start_that_cannot_be_used(program, data, message):
    model, datum = NumPyroProgram.of(program, data)
    with pytest.raises(InputError, match=message):
        check_start(model, datum, jnp.ones(model.dim))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda p: jnp.log(-1.0 - p["a"] ** 2),
            r"expected a finite log-density at the start, got nan at a = 0",
        ),
        (
            lambda p: -jnp.sqrt(p["a"] ** 2),
            r"expected a finite gradient in 'a' at the start, got nan",
        ),
        (
            lambda p: -jnp.round(p["a"]),
            r"expected a log-joint that changes .* zero in 'a'\. Try removing",
        ),
    ],
)
def test_a_log_joint_without_a_usable_start(function, message):
    model, datum = LogJoint.of(function, {"a": "real"})
    with pytest.raises(InputError, match=message):
        check_start(model, datum, jnp.zeros(1))


def test_a_good_start_passes():
    model, datum = NumPyroProgram.of(line, {"y": Y, "x": Y})
    check_start(model, datum, jnp.zeros(1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"line: expected a value of 'beta' of shape \(\), got none"),
        ({"beta": 1.0, "bet": 1.0}, r"expected a latent of the program, got 'bet'\. Try 'beta'"),
        ({"beta": [1.0]}, r"got shape \(1,\)"),
    ],
)
def test_values_that_are_not_those_of_the_latents(values, message):
    model, _ = NumPyroProgram.of(line, {"y": Y, "x": Y})
    with pytest.raises(InputError, match=message):
        model.unconstrain({name: jnp.asarray(v) for name, v in values.items()})


def test_a_program_is_loaded_from_the_file_that_is_named(tmp_path):
    file = tmp_path / "my-file.py"
    file.write_text(
        "from math import sqrt\nsupport = {'a': 'real'}\n"
        "def log_joint(p):\n    return -p['a'] ** 2\ndef other(p):\n    return 0.0\n"
    )
    assert load_program(str(file)).__name__ == "log_joint"
    assert load_program(f"{file}:other").__name__ == "other"
    assert support_beside(load_program(str(file)), {}) == {"a": "real"}
    with pytest.raises(
        InputError, match=r"expected a function 'othr', got log_joint, other\. Try 'other'"
    ):
        load_program(f"{file}:othr")
    file.write_text("def one(p):\n    pass\ndef two(p):\n    pass\n")
    with pytest.raises(
        InputError, match=r"my-file\.py: expected one function, got one, two\. Try .*:one"
    ):
        load_program(str(file))
    file.write_text("def one(p):\n    pass\nx = 1 +\n")
    with pytest.raises(InputError, match=r"my-file\.py, line 3: .* that runs, got SyntaxError"):
        load_program(str(file))
    with pytest.raises(InputError, match=r"expected a Python file, got no such file"):
        load_program("absent.py:model")
