"""`taut.fit` and `Fit` as a Python user meets them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import polars as pl
import pytest

import taut
from taut.bounds import AbstractBound
from taut.core import Estimate, InputError
from taut.guides import MeanFieldGaussian
from taut.models.likelihoods import Gaussian
from taut.networks import MLP

QUICK = {"epochs": 2, "evidence_particles": 30}
TABLE = np.random.default_rng(0).normal(size=(120, 3)) * [1.0, 50.0, 0.01] + [0.0, 7.0, -3.0]


def _small(**choices):
    return taut.VAE(latent_dim=2, hidden=(8,), **choices)


@pytest.fixture(scope="module")
def fitted():
    return taut.fit("digits", model=_small(), key=0, **QUICK)


def test_estimates_say_what_they_are(fitted):
    found = fitted.estimates
    assert all(isinstance(e, Estimate) for e in found.values())
    assert found["elbo"].value == pytest.approx(found["reconstruction"].value - found["kl"].value)
    assert found["kl"].side == "exact"
    assert found["log_evidence"].side == "lower"
    assert found["bits_per_dimension"].side == "upper"
    bits = -found["log_evidence"].value / (64 * np.log(2))
    assert found["bits_per_dimension"].value == pytest.approx(bits)


def test_the_same_key_gives_the_same_fit_and_another_another(fitted):
    again = taut.fit("digits", model=_small(), key=0, **QUICK)
    assert again.estimates["elbo"].value == fitted.estimates["elbo"].value
    other = taut.fit("digits", model=_small(), key=1, **QUICK)
    assert other.estimates["elbo"].value != fitted.estimates["elbo"].value


def test_a_seed_is_the_key_under_the_name_of_the_command_line():
    short = {"model": _small(), "epochs": 1, "evidence_particles": 2}
    by_key, by_seed = (taut.fit(TABLE, **short, **of) for of in ({"key": 3}, {"seed": 3}))
    assert by_seed.recipe == by_key.recipe
    assert by_seed.estimates["elbo"].value == by_key.estimates["elbo"].value
    for both in ({"key": 3, "seed": 3}, {"key": jax.random.key(3), "seed": 3}):
        with pytest.raises(InputError, match="key or seed, which are one"):
            taut.fit(TABLE, **short, **both)
    with pytest.raises(InputError, match="a whole number"):
        taut.fit(TABLE, **short, seed="three")


def test_saved_and_loaded_is_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    loaded = taut.load(tmp_path / "run")
    rows = taut.load_data("digits").test
    np.testing.assert_array_equal(loaded.encode(rows), fitted.encode(rows))
    assert str(loaded.evidence(rows, num_particles=20)) == str(
        fitted.evidence(rows, num_particles=20)
    )
    assert loaded.history == fitted.history
    assert {n: str(e) for n, e in loaded.estimates.items()} == {
        n: str(e) for n, e in fitted.estimates.items()
    }
    with pytest.raises(InputError, match="holds a run"):
        fitted.save(tmp_path / "run")


def test_encode_and_decode_are_differentiable(fitted):
    x = jnp.asarray(taut.load_data("digits").test.x[0])
    z = fitted.encode(x)
    assert z.shape == (2,)
    assert fitted.decode(z).shape == (8, 8)

    def brightness(z):
        return jnp.sum(fitted.decode(z))

    # In float64 the difference over 2e-5 has nine digits.
    with jax.enable_x64(True):
        z, step = jnp.asarray(z, jnp.float64), 1e-5
        gradient = jax.jit(jax.grad(brightness))(z)
        differences = [
            float(brightness(z.at[i].add(step)) - brightness(z.at[i].add(-step))) / (2 * step)
            for i in range(2)
        ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6)
    jacobian = jax.jit(jax.jacobian(fitted.encode))(x)
    assert jacobian.shape == (2, 8, 8)
    assert float(jnp.abs(jacobian).max()) > 0


def test_one_row_or_many_and_a_wrong_shape(fitted):
    x = taut.load_data("digits").test.x
    assert fitted.encode(x[3]).shape == (2,)
    assert fitted.sample(5, key=1).shape == (5, 8, 8)
    assert fitted.interpolate(x[0], x[1], num_steps=4).shape == (4, 8, 8)
    with pytest.raises(InputError, match=r"expected one row of shape \(8, 8\) or many"):
        fitted.encode(np.zeros((3, 9)))
    for call, words in (
        (lambda: fitted.sample(0), "at least one sample"),
        (lambda: fitted.interpolate(x[0], x[1], num_steps=1), "at least two steps"),
        (lambda: fitted.evidence(x, method="guess"), "one of importance, monte-carlo"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_any_bound_can_be_measured_on_a_fit(fitted):
    rows = taut.load_data("digits").test
    elbo = fitted.bound(rows, taut.ELBO(), num_repeats=8)
    iwae = fitted.bound(rows, taut.IWAE(num_particles=20), num_repeats=8)
    assert elbo.side == iwae.side == "lower"
    assert iwae.value > elbo.value
    both = np.hypot(elbo.mc_error, fitted.estimates["elbo"].mc_error)
    assert abs(elbo.value - fitted.estimates["elbo"].value) < 5 * both


@pytest.mark.parametrize("as_frame", [False, True])
def test_arrays_and_frames_go_straight_in(as_frame):
    data = pl.DataFrame(TABLE, schema=["a", "b", "c"]) if as_frame else TABLE
    fitted = taut.fit(data, model=_small(), **QUICK)
    assert fitted.schema.support == "real"
    assert fitted.encode(data[:4]).shape == (4, 2)
    # Columns differ by a factor of 5000 in scale; each is sampled at its own.
    spread = np.asarray(fitted.sample(400)).std(axis=0)
    assert np.all((spread > 0.2 * TABLE.std(axis=0)) & (spread < 5 * TABLE.std(axis=0)))


def test_log_densities_are_in_the_original_units():
    """In units smaller by a power of two, which rounds no cell in another way."""
    wide, narrow = (
        taut.fit(TABLE * scale, model=_small(), key=0, precision="float64", **QUICK)
        for scale in (1, 1024)
    )
    gap = wide.estimates["elbo"].value - narrow.estimates["elbo"].value
    assert gap == pytest.approx(3 * np.log(1024), abs=1e-9)


class Wide(AbstractBound):
    """The ELBO less one nat: a bound of one's own."""

    name = "wide"
    linear = True
    minted = 2
    side = "lower"

    def __call__(self, particles):
        return taut.ELBO(num_draws=2)(particles) - 1.0

    def objective(self, particles, step):
        return self(particles)


class Widened(eqx.Module):
    """A guide of one's own: any callable from a datum to a distribution."""

    scale: jax.Array

    def __call__(self, datum):
        return dist.Normal(jnp.zeros(2), jnp.exp(self.scale)).to_event(1)


class Linear(eqx.Module):
    """A network of one's own."""

    weight: jax.Array

    def __call__(self, x):
        return x.reshape(-1) @ self.weight


def _own_parts():
    laplace = dist.Laplace(jnp.zeros(2), jnp.ones(2)).to_event(1)
    networks = {
        "encoder": Linear(jnp.ones((3, 4)) * 0.1),
        "decoder": MLP(2, (5,), 3, key=jax.random.key(0)),
    }
    return {
        "prior": {"prior": laplace},
        "likelihood": {"likelihood": Gaussian(shape=(3,), scale="dimension")},
        "networks": networks,
        "guide": {"guide": Widened(jnp.zeros(2))},
    }


@pytest.mark.parametrize("part", ["prior", "likelihood", "networks", "guide"])
def test_every_part_can_be_a_users_own(part, tmp_path):
    model = _small(**_own_parts()[part])
    fitted = taut.fit(
        TABLE, model=model, bound=Wide(), optimizer=optax.sgd(1e-3), clip_norm=1.0, **QUICK
    )
    assert np.isfinite(fitted.estimates["log_evidence"].value)
    fitted.save(tmp_path / "run")
    with pytest.raises(InputError, match="which a user wrote"):
        taut.load(tmp_path / "run")
    loaded = taut.load(tmp_path / "run", like=model)
    np.testing.assert_array_equal(loaded.encode(TABLE[:5]), fitted.encode(TABLE[:5]))


def test_parts_that_do_not_fit_are_named():
    for choices, words in (
        ({"encoder": Linear(jnp.ones((3, 5)))}, r"encoder: expected an encoder with 4 outputs"),
        ({"decoder": Linear(jnp.ones((2, 7)))}, r"decoder: expected a decoder with 3 outputs"),
        ({"prior": dist.Normal(jnp.zeros(3), 1.0).to_event(1)}, r"prior: expected a prior over"),
        ({"guide": MeanFieldGaussian(3)}, r"guide: expected a family over 2"),
    ):
        with pytest.raises(InputError, match=words):
            taut.fit(TABLE, model=_small(likelihood="gaussian", **choices), **QUICK)


def test_float64_all_the_way():
    fitted = taut.fit(TABLE, model=_small(), precision="float64", **QUICK)
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(fitted.pair, eqx.is_array))} == {
        np.dtype("float64")
    }
    assert fitted.encode(TABLE).dtype == np.float64
    np.testing.assert_allclose(fitted.encode(TABLE)[3], fitted.encode(TABLE[3]), rtol=1e-9)
    assert np.isfinite(fitted.evidence(TABLE, num_particles=10).value)
    assert jnp.ones(1).dtype == np.float32  # nothing global was switched


def test_what_differs_from_the_bound_is_reported():
    bound = taut.ELBO(beta=0.5, warmup_steps=1000, free_bits=0.1)
    fitted = taut.fit(TABLE, model=_small(), bound=bound, **QUICK)
    words = fitted.facts.objective_departure
    for part in ("beta = 0.5", "warm-up was at step", "0.1 nats"):
        assert part in words
    assert not taut.fit(TABLE, model=_small(), **QUICK).facts.objective_departure


def test_dynamic_binarization_draws_anew():
    data = taut.load_data("digits", binarize="dynamic")
    fitted = taut.fit(data, model=_small(), **QUICK)
    assert fitted.architecture.likelihood == "bernoulli"
    assert set(np.unique(np.asarray(fitted.sample(4)))) <= {0.0, 1.0}


def test_a_library_fit_is_silent(capsys):
    taut.fit(TABLE, model=_small(), **QUICK)
    out, err = capsys.readouterr()
    assert out == err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"epochs": 0}, "epochs"),
        ({"patience": -1}, "patience"),
        ({"evidence_particles": 1}, "two particles"),
        ({"batch_size": 1000}, "1000"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        taut.fit(TABLE, model=_small(), **{**QUICK, **options})
