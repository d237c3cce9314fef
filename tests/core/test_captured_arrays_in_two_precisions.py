"""NumPy arrays that a function captured, where it ran in one precision and is asked for in another."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import taut
from taut.core.traced import Traced

ROWS = np.random.default_rng(0).normal(size=(12, 2))


@pytest.mark.parametrize("first", [False, True])
def test_a_trace_has_the_precision_of_now(first):
    centre, scale = ROWS.mean(axis=0), ROWS.std(axis=0)

    def standardised(x):
        return (x - centre) / scale

    with jax.enable_x64(first):
        jax.jit(standardised)(jnp.ones(2))
    for wide in (not first, first, not first):
        with jax.enable_x64(wide):
            traced, captured = Traced.of(standardised, jnp.ones(2))
            (found,) = traced(captured, jnp.ones(2))
        precise = (1 - centre) / scale
        assert found.dtype == (np.float64 if wide else np.float32)
        np.testing.assert_allclose(found, precise, rtol=1e-15 if wide else 1e-6)


def test_a_type_error_of_the_function_is_its_own():
    def wrong(x):
        return jax.lax.add(x, x.astype(int))

    with pytest.raises(TypeError, match="same dtypes"):
        Traced.of(wrong, jnp.ones(2))


def test_a_program_that_ran_in_numpyro_is_inferred():
    centre, y = ROWS.mean(axis=0), ROWS.sum(axis=1)

    def program(y):
        w = numpyro.sample("w", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal((w * centre).sum() + w * ROWS[:, 0], 1.0), obs=y)

    def log_density(w):
        return numpyro.infer.util.log_density(program, (y,), {}, {"w": w})[0]

    jax.jit(log_density)(jnp.zeros(()))
    at = centre.sum() + ROWS[:, 0]
    cov = np.eye(12) + np.outer(at, at)
    exact = -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(2 * np.pi * cov)[1])
    for precision in ("float64", "float32", "float64"):
        found = taut.infer(
            program, data={"y": y}, precision=precision, num_starts=1, num_draws=500
        ).estimates["log_evidence"]
        assert abs(found.value - exact) < 5 * found.mc_error + 1e-4


@pytest.mark.parametrize("first", ["float32", "float64"])
def test_functions_are_wrapped_in_both_precisions(first):
    centre = ROWS.mean(axis=0)
    other = {"float32": "float64", "float64": "float32"}[first]
    for precision in (first, other, first):
        fit = taut.wrap_model(
            ROWS, precision=precision, encode=lambda x: (0.5 * (x - centre), 0.7 * jnp.ones(2)),
            decode=lambda z: dist.Normal(z + centre, 1.0).to_event(1),
        )  # fmt: skip
        found = fit.evaluate(ROWS, num_particles=200).elbo
        assert np.isfinite(found.value)
