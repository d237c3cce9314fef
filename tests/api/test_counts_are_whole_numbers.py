"""A count that is no whole number is refused in one line, by every door of the Python interface."""

import re
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from unchecked import types_unchecked

import taut
from taut import counterfactuals
from taut.evidence import EVIDENCE

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
ROWS = X[:4]
UNSEARCHED: Any = None
TINY = taut.VAE(latent_dim=2, hidden=(4,))


@pytest.fixture(scope="module")
def fits():
    def program(x=None):
        m = numpyro.sample("m", dist.Normal(0, 1))
        with numpyro.plate("rows", 4):
            numpyro.sample("x", dist.Normal(m, 1), obs=x)

    data = taut.load_data(X)
    return {
        "data": data,
        "vae": taut.fit(data, model=TINY, epochs=1, batch_size=48, bound=taut.ELBO()),
        "ppca": taut.em(data, model=taut.PPCA(1), max_iterations=2),
        "posterior": taut.infer(program, data={"x": X[:4, 0]}, refine="none", num_draws=100),
    }


def searched(fits, **counts):
    judge = counterfactuals.Differentiable(lambda x: x[:1])
    return counterfactuals.search(
        fits["vae"], ROWS, classifier=judge, target=counterfactuals.Below(0.0), **counts
    )


DOORS = {
    "num_samples": [
        lambda f, n: f["vae"].sample(n),
        lambda f, n: f["ppca"].sample(n, given={"x0": 1.0}),
        lambda f, n: f["vae"].aggregated_posterior(ROWS).sample(n),
        lambda f, n: f["posterior"].sample(n),
        lambda f, n: f["vae"].fidelity(f["data"], num_samples=n),
    ],
    "num_particles": [
        lambda f, n: f["vae"].sample(3, given={"x0": 1.0}, num_particles=n),
        lambda f, n: f["vae"].evidence(ROWS, num_particles=n),
        lambda f, n: f["vae"].bracket(ROWS, num_particles=n),
        lambda f, n: f["vae"].impute(ROWS, num_particles=n),
        lambda f, n: f["posterior"].evidence(num_particles=n),
        lambda f, n: f["posterior"].evaluate(num_particles=n),
        lambda f, n: taut.refit_prior(f["vae"], f["data"], prior="mixture:2", num_particles=n),
        lambda f, n: taut.IWAE(n),
        *(lambda f, n, of=of: EVIDENCE[of](num_particles=n) for of in EVIDENCE),
    ],
    "num_repeats": [
        lambda f, n: f["vae"].bound(ROWS, "elbo", num_repeats=n),
        lambda f, n: f["posterior"].bound(taut.ELBO(), num_repeats=n),
    ],
    "draws": [
        lambda f, n: f["ppca"].impute(ROWS, draws=n),
        lambda f, n: f["vae"].calibrate(rows=60, draws=n),
        lambda f, n: f["posterior"].calibrate(draws=n),
    ],
    "rows": [
        lambda f, n: f["vae"].audit(f["data"], rows=n),
        lambda f, n: f["vae"].calibrate(rows=n),
        lambda f, n: counterfactuals.diagnose(UNSEARCHED, rows=n),
    ],
    "refits": [
        lambda f, n: f["posterior"].calibrate(refits=n),
        lambda f, n: f["posterior"].bracket(refits=n),
    ],
    "count": [lambda f, n: f["vae"].evaluate(ROWS).worst_rows(n)],
    "components": [lambda f, n: taut.em(f["data"], components=n), lambda f, n: taut.PPCA(n)],
    "num_draws": [lambda f, n: taut.ELBO(n)],
    "num_steps": [lambda f, n: f["vae"].interpolate(X[0], X[1], num_steps=n)],
    "steps": [lambda f, n: taut.refit_prior(f["vae"], f["data"], prior="mixture:2", steps=n)],
    "max_iterations": [lambda f, n: taut.em(f["data"], max_iterations=n)],
    "restarts": [lambda f, n: taut.em(f["data"], restarts=n)],
    "batch_size": [
        lambda f, n: taut.em(f["data"], online=True, batch_size=n),
        lambda f, n: taut.fit(f["data"], batch_size=n),
    ],
    "latent_dim": [lambda f, n: taut.VAE(latent_dim=n)],
    "hidden": [lambda f, n: taut.VAE(hidden=(n,)), lambda f, n: taut.Flow(hidden=[n])],
    "num_answers": [lambda f, n: searched(f, num_answers=n)],
    "most_tries": [lambda f, n: searched(f, most_tries=n)],
    "image_shape": [lambda f, n: taut.load_data(X, image_shape=(n, 1))],
}


@pytest.mark.parametrize("count", ["3", 2.5, True], ids=repr)
@pytest.mark.parametrize(
    ("name", "door"),
    [(name, door) for name, doors in DOORS.items() for door in doors],
    ids=[f"{name}-{i}" for name, doors in DOORS.items() for i in range(len(doors))],
)
def test_it_is_refused_in_one_line(fits, name, door, count):
    with types_unchecked(), pytest.raises(taut.InputError) as refused:
        door(fits, count)
    message = str(refused.value)
    assert re.search(r"expected (a list, each )?(a )?whole numbers?, got ", message)
    assert repr(count) in message
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["vae", "ppca"])
def test_whole_numbers_of_numpy_are_taken(fits, name):
    three, fit = np.int64(3), fits[name]
    with types_unchecked():
        assert fit.sample(three).shape == (3, 3)
        assert fit.interpolate(X[0], X[1], num_steps=three).shape == (3, 3)
        assert fit.bound(ROWS, "elbo", num_repeats=three).count == len(ROWS)
