"""Indices from data that are out of range are refused by name, unless nothing depends on them."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan
from numpyro.handlers import mask

from taut.core import InputError
from taut.models.program import LogJoint, NumPyroProgram

Y = np.array([0.1, 0.5, -0.3, 0.2])
RIGHT, FROM_ONE = [0, 1, 2, 1], [1, 2, 3, 1]
MISSING, FAR = [0, -1, 2, 1], [0, 1, 7, 1]


def counties(read, shown=lambda county: True):
    """A hierarchy whose rows read their county's effect in one of many ways."""

    def program(y, county):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("J", 3):
            effect = numpyro.sample("effect", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(y)):
            mean = read(mu + tau * effect, county)
            numpyro.sample("y", dist.Normal(mean, 1.0).mask(shown(county)), obs=y)

    return program


plain = counties(lambda effect, county: effect[county])
MINUS_ONE = r"Try 'county' - 1 \(indices count from 0\)\.$"
WRAP = r"Try leaving out or masking rows without an index, or % 3 where it is meant to wrap"
LARGE = r"Try an array or a plate that is large enough, or correcting the index"


@pytest.mark.parametrize(
    ("read", "county", "got", "remedy"),
    [
        (lambda e, c: e[c], FROM_ONE, "3 in row 3", MINUS_ONE),
        (lambda e, c: e[c], MISSING, "-1 in row 2", WRAP),
        (lambda e, c: e[c], FAR, "7 in row 3", LARGE),
        (lambda e, c: e[c - 1], RIGHT, "-1 in row 1", WRAP),
        (lambda e, c: jnp.take(e, c), FROM_ONE, "3 in row 3", MINUS_ONE),
        (lambda e, c: jax.vmap(lambda one: e[one])(c), FROM_ONE, "3 in row 3", MINUS_ONE),
        (lambda e, c: e[c.astype(int)], [1.0, 2.0, 3.0, 1.0], "3 in row 3", MINUS_ONE),
        (lambda e, c: jnp.outer(e, e)[c, c], FROM_ONE, "3 in row 3", MINUS_ONE),
    ],
)
def test_an_index_out_of_a_plate_is_refused(read, county, got, remedy):
    wish = rf"^data 'county': expected an index from 0 to 2 of plate 'J', got {got}\. {remedy}"
    with pytest.raises(InputError, match=wish):
        NumPyroProgram.of(counties(read), {"y": Y, "county": county})


@pytest.mark.parametrize(
    ("program", "county"),
    [
        (plain, RIGHT),
        (counties(lambda e, c: e[c - 1]), FROM_ONE),
        (counties(lambda e, c: e[c % 3]), FROM_ONE),
        (counties(lambda e, c: e[c] + jnp.arange(4.0)[jnp.arange(4) - 1]), RIGHT),
        (counties(lambda e, c: jnp.where(c >= 0, e[c], 0.0)), MISSING),
        (counties(lambda e, c: jnp.where(c < 3, e[c], 0.0)), FAR),
        (counties(lambda e, c: e[c], lambda c: c >= 0), MISSING),
        (counties(lambda e, c: jnp.take(e, c, mode="clip")), FAR),
        (counties(lambda e, c: e.at[c].get(mode="clip")), FAR),
        (counties(lambda e, c: e.at[c].get(mode="fill", fill_value=0.0)), FAR),
    ],
)
def test_an_index_that_is_meant_is_taken(program, county):
    NumPyroProgram.of(program, {"y": Y, "county": county})


def items_and_persons(y, item, person):
    with numpyro.plate("items", 3):
        b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    with numpyro.plate("persons", 5):
        theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
    with numpyro.plate("answers", 4):
        numpyro.sample("y", dist.Bernoulli(logits=theta[person] - b[item]), obs=y)


def of_data(y, k, u):
    b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 4):
        numpyro.sample("y", dist.Normal(b * u[k], 1.0), obs=y)


def own(y, k):
    b = numpyro.sample("b", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
    numpyro.sample("y", dist.Normal(b[k], 1.0), obs=y)


def short_data(y):
    b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 6) as rows:
        numpyro.sample("y", dist.Normal(b, 1.0), obs=y[rows])


def in_scan(y, k):
    b = numpyro.sample("b", dist.Normal(jnp.zeros(3), 1.0).to_event(1))

    def step(carry, row):
        value, number = row
        with mask(mask=number >= 0):
            numpyro.sample("y", dist.Normal(b[number], 1.0), obs=value)
        return carry, None

    scan(step, 0.0, (y, k))


def of_loop(y, k):
    b = numpyro.sample("b", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
    mean = jax.lax.scan(lambda c, i: (0.9 * c + b[i], c), 0.0, k)[1]
    numpyro.sample("y", dist.Normal(mean, 1.0).to_event(1), obs=y)


@pytest.mark.parametrize(
    ("program", "data", "message"),
    [
        (
            items_and_persons,
            {"y": [0, 1, 1, 0], "item": [0, 1, 2, 2], "person": [1, 2, 3, 5]},
            r"^data 'person': .* from 0 to 4 of plate 'persons', got 5 in row 4\. Try 'person' - 1",
        ),
        (
            of_data,
            {"y": Y, "k": FROM_ONE, "u": [0.1, 0.2, 0.3]},
            r"^data 'k': .* from 0 to 2 of data 'u', got 3 in row 3\. Try 'k' - 1",
        ),
        (own, {"y": 0.3, "k": 5}, r"own: expected an index from 0 to 2 of latent 'b', got 5\. Try"),
        (short_data, {"y": Y}, r"an index from 0 to 3 of data 'y', got 4 in row 5"),
        (in_scan, {"y": Y, "k": FROM_ONE}, r"^data 'k': .* of latent 'b', got 3 in row 3"),
        (of_loop, {"y": Y, "k": FROM_ONE}, r"^data 'k': .* of latent 'b', got 3 in row 3"),
        (in_scan, {"y": Y, "k": MISSING}, None),
        (in_scan, {"y": Y, "k": RIGHT}, None),
        (of_loop, {"y": Y, "k": RIGHT}, None),
    ],
)
def test_what_is_indexed_is_named(program, data, message):
    if message is None:
        NumPyroProgram.of(program, data)
        return
    with pytest.raises(InputError, match=message):
        NumPyroProgram.of(program, data)


def test_an_index_of_a_minibatch_is_checked_in_all_rows():
    with pytest.raises(InputError, match=r"^data 'county': .* got 3 in row 3"):
        NumPyroProgram.of(plain, {"y": Y, "county": FROM_ONE}, subsample={"rows": 2})


def test_an_index_of_a_log_joint_is_checked():
    def log_joint(a, k, y):
        return -jnp.sum((y - a[k]) ** 2)

    support = {"a": ("real", 3)}
    LogJoint.of(log_joint, support, {"k": np.array(RIGHT), "y": Y})
    with pytest.raises(InputError, match=r"^data 'k': .* latent 'a', got 3 in row 3\. Try 'k' - 1"):
        LogJoint.of(log_joint, support, {"k": np.array(FROM_ONE), "y": Y})
