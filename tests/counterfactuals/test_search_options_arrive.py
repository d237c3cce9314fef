"""Every option of `search`, given a value unlike its default, changes what is found as it says."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Datum, InputError
from taut.counterfactuals import Constraints, search

ROWS = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32) @ np.array(
    [[1.0, 0.6], [0.0, 0.5]], np.float32
)
TOLD = {"classifier", "target"}  # which have no default


def linear(x: Any) -> Any:
    return jnp.array([0.0, 1.0]) * (2 * x[0] - x[1])


def of_many(x: Any) -> Any:
    return np.outer(2 * x[:, 0] - x[:, 1], [0.0, 1.0])


@pytest.fixture(scope="module")
def fit() -> taut.Fit:
    return taut.fit(
        ROWS, model=taut.VAE(latent_dim=2, hidden=(8,), likelihood="gaussian"), epochs=600, patience=0,
        evidence_particles=2, key=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(fit) -> Any:
    """What is found with every default."""
    return found(fit)


def found(fit: taut.Fit, **options: Any) -> Any:
    given: dict[str, Any] = {"confidence": 0.8, "most_unexplained": 2.0, **options}
    classifier = of_many if options.get("black_box") else linear
    return search(given.pop("generator", fit), ROWS[:6], classifier=classifier, target=1, **given)


ROUND = (lambda x: x, lambda z: z, lambda z: -jnp.sum(z**2))  # codes are rows, most probable at 0

# By option: what stands beside it in both searches, its value, and what then differs.
BESIDE: dict[str, dict[str, Any]] = {
    "spread": {"num_answers": 2},
    "key": {"num_answers": 2},
    "quantile": {"plausible": ROWS, "confidence": 0.55},
    "nearest": {"plausible": ROWS, "quantile": 0.3, "generator": ROUND},
}
VALUES: dict[str, Any] = {
    "confidence": 0.95,
    "geometry": "normalised",
    "black_box": True,
    "refinements": 30,
    "num_answers": 3,
    "spread": 0.1,
    "proximity": 0.5,
    "sparsity": 0.5,
    "plausible": ROWS,
    "quantile": 0.6,
    "nearest": False,
    "constraints": Constraints(immutable=[1]),
    "most_tries": 1,
    "most_unexplained": 1e-6,
    "key": 7,
}


def test_no_option_is_left_out():
    parameters = inspect.signature(search).parameters.values()
    options = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY} - TOLD
    assert set(VALUES) == options


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"most_unexplained"}))
def test_an_option_changes_what_is_found(name, fit, plain):
    beside = BESIDE.get(name, {})
    with_it = found(fit, **{**beside, name: VALUES[name]})
    without = found(fit, **beside) if beside else plain
    assert with_it.answers.shape != without.answers.shape or not np.array_equal(
        with_it.answers, without.answers
    )


def test_reconstructions_are_held_to_what_was_asked(fit):
    with pytest.raises(InputError, match="reconstructions that miss at most"):
        found(fit, most_unexplained=VALUES["most_unexplained"])


def test_refinements_climb_the_joint_density_from_the_codes_of_the_rows(fit):
    codes = [found(fit, refinements=number).z0 for number in (0, 30)]
    plain, refined = (
        jax.vmap(lambda x, z: fit.model.log_joint(Datum(x), z))(ROWS[:6], z) for z in codes
    )
    assert (refined > plain).all()
