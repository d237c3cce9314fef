"""VAEs whose prior averages their own posteriors over pseudo-inputs."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.special
import scipy.stats

import taut
from taut.architectures import VAE
from taut.bounds import ELBO
from taut.core import LOG_PRIOR, Datum, InputError, as_proposal, particles
from taut.data import Schema
from taut.models import VampPrior

ROWS = 12
SMALL: dict[str, Any] = {"latent_dim": 2, "hidden": (4,), "activation": "tanh"}
SCHEMAS = {
    "binary": Schema(name="bits", kind="table", shape=(3,), support="binary"),
    "count": Schema(name="counts", kind="table", shape=(3,), support="count"),
    "real": Schema(
        name="reals",
        kind="table",
        shape=(3,),
        support="real",
        shift=(5.0, -2.0, 0.0),
        scale=(2.0, 0.1, 1.0),
    ),
}


def rows_of(support: str) -> Datum:
    rng = np.random.default_rng(0)
    drawn = {
        "binary": rng.integers(0, 2, (ROWS, 3)),
        "count": rng.poisson(4.0, (ROWS, 3)) + 1,
        "real": [5.0, -2, 0] + rng.normal(size=(ROWS, 3)) * [2.0, 0.1, 1],
    }
    return Datum(np.asarray(drawn[support], float))


def pair_of(support: str, prior: str = "vamp:4", **options: Any) -> Any:
    architecture, schema = VAE(prior=prior, **SMALL, **options), SCHEMAS[support]
    pair = architecture.init(schema, jax.random.key(0))
    return architecture.start(pair, rows_of(support), schema=schema)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("support", SCHEMAS)
def test_the_prior_is_the_mean_of_posteriors_at_rows(support: str):
    model, guide = pair_of(support).bind()
    inputs = np.asarray(model.prior_family.pseudo_inputs)
    rows = rows_of(support).x[::3]
    if support == "binary":  # a little inside the range, where a sigmoid can move
        rows = np.clip(rows, 0.05, 0.95)
    np.testing.assert_allclose(inputs, rows, rtol=1e-12)
    z = np.asarray([0.4, -0.9])
    members = [guide(Datum(jnp.asarray(u))).base_dist for u in inputs]
    log_q = [scipy.stats.norm.logpdf(z, m.loc, m.scale).sum() for m in members]
    found = model.terms(Datum(jnp.asarray(rows[0])), jnp.asarray(z))[LOG_PRIOR]
    np.testing.assert_allclose(found, scipy.special.logsumexp(log_q) - np.log(4), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_pseudo_inputs_stay_where_data_can_be():
    for support, low, high in (("binary", 0, 1), ("count", 0, np.inf)):
        prior = pair_of(support).model.prior_family
        moved = eqx.tree_at(lambda p: p.free, prior, 3 * jnp.sign(prior.free) * (1 + prior.free**2))
        inputs = moved.pseudo_inputs
        assert np.all((inputs >= low) & (inputs <= high))


@pytest.mark.usefixtures("float64")
def test_cells_that_are_missing_start_at_the_mean_of_their_column():
    x = np.asarray([[1.0, 2, 3], [5, np.nan, 7]])
    prior = VampPrior(2, 2, schema=SCHEMAS["real"], key=jax.random.key(0))
    started = prior.started_at(Datum(x, np.isfinite(x)))
    np.testing.assert_allclose(started.pseudo_inputs, [[1, 2, 3], [5, 2, 7]], rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("guide", ["mean-field", "full-rank", "low-rank:1", "planar:1", "iaf:1"])
def test_the_bound_moves_the_encoder_through_the_prior_too(guide: str):
    """A change of the encoder moves log p(z) at z held fixed, as differences say."""
    pair = pair_of("binary", "vamp:3,weighted", guide=guide)
    datum, z = Datum(jnp.asarray([1.0, 0, 1])), jnp.asarray([0.2, -0.5])

    def log_prior(pair: Any) -> Any:
        return pair.bind()[0].terms(datum, z)[LOG_PRIOR]

    arrays, rest = eqx.partition(pair, eqx.is_inexact_array)
    direction = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size)).reshape(a.shape), arrays)
    only = jax.tree.map(jnp.zeros_like, arrays)

    @jax.jit
    def moved(step: Any, along: Any) -> Any:
        return log_prior(eqx.combine(jax.tree.map(lambda a, d: a + step * d, arrays, along), rest))

    slope_of = jax.jit(jax.grad(moved))
    for name, place in (
        ("encoder", lambda p: p.guide.encoder),
        ("inputs", lambda p: p.model.prior_family),
    ):
        along = eqx.tree_at(place, only, place(direction))
        slope = slope_of(0.0, along)
        ahead, behind = (moved(s * 1e-5, along) for s in (1, -1))
        assert abs(slope) > 1e-6, name
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)

    @jax.jit
    def elbo(arrays: Any) -> Any:
        model, bound_guide = eqx.combine(arrays, rest).bind()
        return ELBO()(particles(model, bound_guide, bound_guide, datum, jax.random.key(1), 3))

    assert np.isfinite(elbo(arrays))


@pytest.mark.usefixtures("float64")
def test_its_mass_is_one():
    pair = pair_of("real", "vamp:4,weighted")
    q = as_proposal(pair.bind()[0].prior())
    z, spacing = np.linspace(-30, 30, 1201, retstep=True)
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(-np.asarray(jax.jit(jax.vmap(q.terms))(jnp.asarray(grid))["-log_q"]))
    np.testing.assert_allclose(spacing**2 * density.sum(), 1, rtol=1e-9)


class Sloped(eqx.Module):
    """A guide of a user's own."""

    slope: Any

    def __call__(self, datum: Datum) -> Any:
        return dist.Normal(self.slope * datum.x[:2], 0.5).to_event(1)


@pytest.mark.usefixtures("float64")
def test_a_guide_of_a_users_own_is_averaged_as_well():
    model, _ = pair_of("binary", guide=Sloped(jnp.asarray(0.7))).bind()
    u, z = np.asarray(model.prior_family.pseudo_inputs), np.asarray([0.4, -0.9])
    log_q = scipy.stats.norm.logpdf(z, 0.7 * u[:, :2], 0.5).sum(axis=1)
    found = model.terms(Datum(jnp.ones(3)), jnp.asarray(z))[LOG_PRIOR]
    np.testing.assert_allclose(found, scipy.special.logsumexp(log_q) - np.log(4), rtol=1e-12)


def test_a_fit_is_written_read_and_drawn_from(tmp_path):
    x = np.asarray(rows_of("binary").x.repeat(4, axis=0), np.float32)
    options = {**SMALL, "prior": "vamp:5", "epochs": 2, "evidence_particles": 20}
    fitted = taut.fit(x, model="vae", out=tmp_path / "run", **options)
    loaded = taut.load(tmp_path / "run")
    model: Any = loaded.model
    assert model.prior_family.pseudo_inputs.shape == (5, 3)
    np.testing.assert_array_equal(loaded.sample(6, key=1), fitted.sample(6, key=1))
    aggregated = loaded.aggregated_posterior(x)
    assert aggregated.num_rows == len(x)
    assert np.isfinite(aggregated.log_density(aggregated.sample(3, key=2))).all()
    kept = taut.fit(x, model="vae", **options)
    np.testing.assert_array_equal(kept.sample(6, key=1), fitted.sample(6, key=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prior": "vamp:50"},
            "prior: expected at least as many training rows as pseudo-inputs, which start at rows, got "
            "9 rows and 50 pseudo-inputs. Try vamp:9.",
        ),
        (
            {"prior": "vamp:5", "inference": "per-datum"},
            "per-datum: expected a prior of its own, as there is no encoder whose posteriors a "
            "VampPrior could average, got the prior vamp. Try prior=\"mixture:10\".",
        ),
        (
            {"prior": "vamp:5", "model": "flow", "layers": "maf:1"},
            "prior: expected a prior with parameters of its own, as this model has no encoder whose "
            "posteriors it could average, got 'vamp:5'. Try mixture:10.",
        ),
    ],
    ids=["few-rows", "per-datum", "flow"],
)  # fmt: skip
def test_what_has_no_encoder_or_too_few_rows_is_refused(options: Any, message: str):
    with pytest.raises(InputError) as caught:
        taut.fit(np.random.default_rng(0).normal(size=(11, 3)), **options)
    assert str(caught.value) == message


def test_by_itself_it_has_no_density():
    prior = VampPrior(2, 2, schema=SCHEMAS["real"], key=jax.random.key(0))
    with pytest.raises(
        InputError, match="within a model whose guide it averages, got one by itself"
    ):
        prior()
