"""Models from elsewhere: functions of a row and of a latent, and the numbers of the model they are.

The linear Gaussian model has its evidence, its posteriors and what a diagonal guide costs in closed
form, here by NumPy and SciPy.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats

import taut

RNG = np.random.default_rng(5)
LOADINGS = RNG.normal(size=(6, 2))
NOISE = 0.5
PRECISION = np.eye(2) + LOADINGS.T @ LOADINGS / NOISE**2
WEIGHT = np.linalg.solve(PRECISION, LOADINGS.T) / NOISE**2
TRAIN, HELD_OUT = (
    RNG.normal(size=(n, 2)) @ LOADINGS.T + NOISE * RNG.normal(size=(n, 6)) for n in (40, 30)
)
BITS = (HELD_OUT > 0).astype(float)


def values(fit, rows, **how) -> Any:
    return fit.evidence(rows, num_particles=30, **how).values


def posterior(x):
    return dist.MultivariateNormal(WEIGHT @ x, precision_matrix=PRECISION)


def mean_field(x):
    return WEIGHT @ x, jnp.asarray(np.diagonal(PRECISION) ** -0.5)


def row(z):
    return dist.Normal(LOADINGS @ z, NOISE)


def wrapped_with(data=TRAIN, **changed):
    parts: Any = {"encode": mean_field, "decode": row, "precision": "float64"}
    return taut.wrap_model(data, **(parts | changed))


def log_evidence(x):
    covariance: Any = LOADINGS @ LOADINGS.T + NOISE**2 * np.eye(6)
    return scipy.stats.multivariate_normal(np.zeros(6), covariance).logpdf(x)


def test_the_posterior_as_encoder_gives_the_evidence_of_each_row():
    wrapped = wrapped_with(encode=posterior)
    np.testing.assert_allclose(values(wrapped, HELD_OUT), log_evidence(HELD_OUT), rtol=1e-9)


def test_logits_with_a_name_and_the_distribution_itself_are_one_model():
    def evidence(decode, **named):
        wrapped = wrapped_with(BITS, decode=decode, **named)
        return values(wrapped, BITS, key=1)

    named = evidence(lambda z: LOADINGS @ z, likelihood="bernoulli")
    returned = evidence(lambda z: dist.BernoulliLogits(LOADINGS @ z).to_event(1))
    np.testing.assert_allclose(named, returned, rtol=1e-9)


def test_the_audit_finds_what_a_diagonal_guide_costs():
    audit = taut.audit_model(
        TRAIN, held_out=HELD_OUT, encode=mean_field, decode=row, precision="float64", rows=30
    )
    cost = 0.5 * (np.log(np.diagonal(PRECISION)).sum() - np.linalg.slogdet(PRECISION)[1])
    gaps: Any = audit.held_out
    assert cost > 0.1
    assert gaps.approximation.value == pytest.approx(cost, abs=5 * gaps.approximation.mc_error)
    assert gaps.amortization.value == pytest.approx(0, abs=1e-3)
    assert [finding.name for finding in audit.findings][:1] == ["approximation"]


def test_a_saved_one_is_loaded_with_its_functions(tmp_path):
    wrapped = wrapped_with(encode=posterior)
    wrapped.save(tmp_path / "run")
    loaded = taut.load(tmp_path / "run", like=wrapped.architecture)
    np.testing.assert_array_equal(values(wrapped, HELD_OUT), values(loaded, HELD_OUT))
    with pytest.raises(taut.InputError, match="like="):
        taut.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"decode": lambda z: LOADINGS[:, :1] @ z[:3]}, r"z of shape \(2,\), as encode gives"),
        ({"decode": lambda z: np.ones((4, 3)) @ z}, r"z of shape \(2,\), as encode gives"),
        ({"decode": lambda z: dist.Normal(LOADINGS[:4] @ z, 1)}, r"\(6,\).*\(4,\)"),
        ({"decode": lambda z: LOADINGS[:4] @ z, "likelihood": "gaussian"}, r"\(6,\).*\(4,\)"),
        ({"decode": lambda z: LOADINGS @ z}, "no likelihood"),
        ({"likelihood": "gaussian"}, "a Normal from `decode`"),
        ({"encode": lambda x: np.ones((2, 5)) @ x}, r"row of shape \(6,\)"),
        ({"encode": lambda x: WEIGHT @ x}, "an ShapeDtypeStruct|a ShapeDtypeStruct"),
        ({"encode": lambda x: (WEIGHT @ x, jnp.ones(3))}, r"\(2,\) and \(3,\)"),
        ({"encode": lambda x: (x[None] @ WEIGHT.T, jnp.ones((1, 2)))}, r"\(1, 2\)"),
        ({"encode": lambda x: (WEIGHT @ x, jnp.full(2, -1.5))}, r"positive scales.*got -1\.5"),
        ({"encode": lambda x: (WEIGHT @ x * jnp.nan, jnp.ones(2))}, "finite numbers, means"),
        ({"prior": dist.Normal(0, 1).expand([3]).to_event(1)}, r"\(2,\).*\(3,\)"),
        ({"precision": "float16"}, "float32 or float64"),
        ({"data": TRAIN.tolist()}, "an array"),
        ({"data": np.zeros((0, 1, 2, 3))}, "at least one row"),
        ({"data": np.where(TRAIN > 1, np.nan, TRAIN)}, "NaN or infinity in row"),
        ({"decode": lambda z: dist.LogNormal(LOADINGS @ z, 1)}, "support of the LogNormal"),
        (
            {"data": BITS * 0, "decode": lambda z: jnp.full(6, 0.05), "likelihood": "bernoulli"},
            "logits.*0.05.*BernoulliProbs",
        ),
        (
            {"data": BITS / 2, "decode": lambda z: LOADINGS @ z, "likelihood": "bernoulli"},
            "0 or 1 in every cell",
        ),
    ],
)  # fmt: skip
def test_what_does_not_meet_is_named(changed, named):
    with pytest.raises(taut.InputError, match=named) as caught:
        wrapped_with(**changed)
    assert "\n" not in str(caught.value)


def test_no_held_out_rows_are_refused():
    with pytest.raises(taut.InputError, match="held-out rows"):
        taut.audit_model(TRAIN, encode=mean_field, decode=row, precision="float64")


PARAMS = {
    "loadings": LOADINGS,
    "encoder": {"weight": WEIGHT},
    "tril": np.linalg.cholesky(np.linalg.inv(PRECISION)),
}


def program(x):
    loadings = numpyro.param("loadings", jnp.ones((6, 2)))
    with numpyro.plate("rows", len(x)), numpyro.handlers.scale(scale=0.3):
        z = numpyro.sample("z", dist.Normal(0, 1).expand([2]).to_event(1))
        numpyro.sample("x", dist.Normal(z @ loadings.T, NOISE).to_event(1), obs=x)


def amortized(x):
    weight = numpyro.param("encoder", {"weight": jnp.ones((2, 6))})["weight"]
    tril = numpyro.param("tril", jnp.eye(2))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("z", dist.MultivariateNormal(x @ weight.T, scale_tril=tril))


def test_programs_of_rows_are_the_functions_of_one():
    programs = {"model": program, "guide": amortized, "params": PARAMS}
    wrapped = taut.wrap_model(TRAIN, **programs, precision="float64")
    np.testing.assert_allclose(values(wrapped, HELD_OUT), log_evidence(HELD_OUT), rtol=1e-9)
    functions = wrapped_with(encode=posterior)
    np.testing.assert_allclose(wrapped.encode(HELD_OUT), functions.encode(HELD_OUT), rtol=1e-9)
    z = np.ones((3, 2))
    np.testing.assert_allclose(wrapped.decode(z), functions.decode(z), rtol=1e-12)
    assert wrapped.sample(4).shape == (4, 6)


def of_all_rows(x):
    z = numpyro.sample("z", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.sample("x", dist.Normal(z @ LOADINGS.T, NOISE).to_event(1), obs=x)


def of_another(x):
    numpyro.sample("u", dist.Normal(x @ WEIGHT.T, 1.0).to_event(1))


def of_others(x, other):
    numpyro.sample("z", dist.Normal(x @ WEIGHT.T, other).to_event(1))


def with_a_prior_of_the_row(x):
    with numpyro.plate("rows", len(x)):
        z = numpyro.sample("z", dist.Normal(x[:, :2], 1).to_event(1))
        numpyro.sample("x", dist.Normal(z @ LOADINGS.T, NOISE).to_event(1), obs=x)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"params": {}}, "parameter 'loadings'.*svi.get_params"),
        ({"model": with_a_prior_of_the_row}, r"row 0: expected one prior of 'z' for all rows"),
        ({"model": of_all_rows}, r"'z' of shape \(2,\), for two rows"),
        ({"guide": of_another}, "'u' of shape"),
        ({"guide": of_others}, r"rows of shape \(6,\).*other"),
        ({"guide": None}, "model, params"),
        ({"encode": mean_field}, "encode, model, guide, params"),
        ({"model": None, "guide": None, "params": None}, "neither"),
    ],
)  # fmt: skip
def test_programs_that_are_not_of_rows_are_refused(changed, named):
    parts: Any = {"model": program, "guide": amortized, "params": PARAMS, "precision": "float64"}
    with pytest.raises(taut.InputError, match=named):
        taut.wrap_model(TRAIN, **(parts | changed))
