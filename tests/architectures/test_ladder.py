"""The ladder against its equations by hand: log-weight, KL by quadrature, what is shared."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import trapezoid
from scipy.stats import norm

import taut
from taut.architectures import Ladder
from taut.bounds import ELBO
from taut.core import LOG_PRIOR, NEG_LOG_Q, Datum, InputError, frozen, particles
from taut.data import Schema
from taut.models.ladder import Gaussians, Message, gaussians, message

SCHEMA = Schema(name="rows", kind="table", shape=(3,), support="real")
SMALL = Ladder(latent_dims=(1, 1), hidden=(4, 4), activation="tanh")
X = np.array([0.3, -1.2, 0.8])
FLOOR = 1e-3


def pair_of(architecture=SMALL, seed=0):
    """A ladder whose arrays are all away from where they start."""
    pair = architecture.init(SCHEMA, jax.random.key(seed))
    rng = np.random.default_rng(seed)

    def moved(leaf):
        return leaf + jnp.asarray(rng.normal(scale=0.5, size=leaf.shape), leaf.dtype)

    arrays, rest = eqx.partition(pair, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(moved, arrays), rest)


def network(mlp, x):
    """An MLP with tanh by NumPy."""
    for layer in mlp.layers[:-1]:
        x = np.tanh(x @ np.asarray(layer.weight) + np.asarray(layer.bias))
    return x @ np.asarray(mlp.layers[-1].weight) + np.asarray(mlp.layers[-1].bias)


def moments(features):
    loc, raw = np.split(np.asarray(features), 2)
    return loc, FLOOR + np.log1p(np.exp(raw + np.log(np.expm1(1 - FLOOR))))


def bottom_up(pair):
    """Shift and ratio of the level below, mean and scale of the top, by NumPy."""
    found, d = [], X
    for net, head in zip(pair.encoder.networks, pair.encoder.heads, strict=True):
        d = np.tanh(network(net, d))
        found.append(d @ np.asarray(head.weight) + np.asarray(head.bias))
    shift, raw = np.split(found[0], 2)
    return (shift, FLOOR + (1 - FLOOR) / (1 + np.exp(raw - 1))), moments(found[1])


@eqx.filter_jit
def minted(pair, num):
    """Particles, and -log q as the guide gives it to a latent that comes from elsewhere."""
    model, guide = pair.bind()
    datum = Datum(x=jnp.asarray(X))
    made = particles(model, guide, guide, datum, jax.random.key(1), num)
    return made, jax.vmap(guide(datum).terms)(made.z)[NEG_LOG_Q]


def by_hand(pair, z):
    """Terms of (z_1, z_2) from the paper's equations: log p and log q of each level."""
    ((shift, ratio), hat_2), (z_1, z_2) = bottom_up(pair), z
    p_1 = moments(network(pair.path.networks[0], np.array([z_2])))
    # The data's Gaussian of the level below, and its product with the path's.
    hat_1 = shift / (1 - ratio**2), p_1[1] * ratio / np.sqrt(1 - ratio**2)
    precision = hat_1[1] ** -2 + p_1[1] ** -2
    q_1 = (hat_1[0] / hat_1[1] ** 2 + p_1[0] / p_1[1] ** 2) / precision, precision**-0.5
    log_p = [norm.logpdf(z_1, *p_1).sum(), norm.logpdf(z_2)]
    log_q = [norm.logpdf(z_1, *q_1).sum(), norm.logpdf(z_2, *hat_2).sum()]
    return log_p, log_q


@pytest.mark.usefixtures("float64")
def test_the_log_weight_is_that_of_the_papers_equations():
    pair = pair_of()
    made, again = minted(pair, 4)
    np.testing.assert_allclose(made.terms[NEG_LOG_Q], again, rtol=1e-12)
    for k, z in enumerate(np.asarray(made.z)):
        log_p, log_q = by_hand(pair, z)
        np.testing.assert_allclose(made.terms[LOG_PRIOR][k], log_p, rtol=1e-12)
        np.testing.assert_allclose(made.terms[NEG_LOG_Q][k], -np.array(log_q), rtol=1e-12)
        mean = network(pair.decoder, z[:1])
        scale = FLOOR + np.log1p(np.exp(float(pair.likelihood.scale.raw)))
        likelihood = norm.logpdf(X, mean, scale).sum()
        np.testing.assert_allclose(made.log_w[k], likelihood + sum(log_p) - sum(log_q), rtol=1e-11)


@pytest.mark.usefixtures("float64")
def test_kl_of_each_level_is_its_integral():
    pair = pair_of()
    model, guide = pair.bind()
    datum = Datum(x=jnp.asarray(X))
    q, z = guide(datum), jnp.array([0.2, -0.7])
    nodes, weights = trapezoid(-60.0, 60.0, 0.05)
    found = np.asarray(model.kl(datum, q, z))
    for level in (0, 1):
        points = [(n, -0.7) if level == 0 else (0.0, n) for n in nodes]
        terms = [by_hand(pair, point) for point in points]
        log_p, log_q = (np.array([t[i][level] for t in terms]) for i in (0, 1))
        integrand = np.exp(log_q) * (log_q - np.maximum(log_p, -1e4))
        assert abs(np.sum(weights * np.exp(log_q)) - 1) < 1e-12
        np.testing.assert_allclose(found[level], np.sum(weights * integrand), rtol=1e-10)


def test_a_sharper_path_does_not_silence_the_data():
    """The noise of z_1 and the data's share of it shrink together only at a price in KL."""
    said = Message(jnp.array([0.5]), jnp.array([0.8]))
    kls = []
    for scale in (1.0, 0.01):
        path = Gaussians(jnp.array([0.0]), jnp.array([scale]))
        q = said.times(path)
        np.testing.assert_allclose([q.loc[0], q.scale[0]], [0.5, 0.8 * scale], rtol=1e-6)
        kls.append(float(q.kl(path)))
    assert kls[1] > 1000 * kls[0]


def test_extreme_features_have_finite_divergences():
    def kl(features):
        path = gaussians(jnp.array([0.0, -1e4]))
        return message(features).times(path).kl(path)

    for raw in (-1e4, 1e4):
        value, gradient = jax.value_and_grad(kl)(jnp.array([1e-3, raw]))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.usefixtures("float64")
def test_the_path_is_in_one_place_and_learns_from_both_sides():
    pair = pair_of()
    arrays, rest = eqx.partition(pair, eqx.is_inexact_array)
    datum = Datum(x=jnp.asarray(X))

    def weight(arrays, side):
        model, guide = eqx.combine(arrays, rest).bind()
        model = frozen(model) if side == "guide" else model
        guide = frozen(guide) if side == "model" else guide
        return particles(model, guide, guide, datum, jax.random.key(3), 2).log_w.mean()

    @jax.jit
    def gradients(arrays):
        return [jax.grad(weight)(arrays, side).path for side in ("both", "guide", "model")]

    both, as_guide, as_model = gradients(arrays)
    for whole, *parts in zip(*map(jax.tree.leaves, (both, as_guide, as_model)), strict=True):
        np.testing.assert_allclose(whole, sum(parts), rtol=1e-9, atol=1e-12)
        assert all(np.any(part != 0) for part in parts)


@pytest.mark.usefixtures("float64")
def test_one_level_is_a_vae():
    from taut.guides import AmortizedGuide, MeanFieldGaussian
    from taut.models import LatentVariableModel, StandardNormal

    pair = pair_of(Ladder(latent_dims=(2,), hidden=(4,), activation="tanh"))
    ladder_model, ladder_guide = pair.bind()
    model = LatentVariableModel(StandardNormal(2), pair.decoder, pair.likelihood, (3,))

    def encoder(x):
        loc, scale = ladder_guide(Datum(x=x)).top
        return jnp.concatenate([loc, jnp.log(scale)])

    guide = AmortizedGuide(encoder, MeanFieldGaussian(2))
    datum, z = Datum(x=jnp.asarray(X)), jnp.array([0.4, -1.1])
    np.testing.assert_allclose(model.log_joint(datum, z), ladder_model.log_joint(datum, z))
    q, ladder_q = guide(datum), ladder_guide(datum)
    np.testing.assert_allclose(-q.log_prob(z), ladder_q.terms(z)[NEG_LOG_Q][0])
    from taut.core import as_proposal

    np.testing.assert_allclose(
        model.kl(datum, as_proposal(q), z).sum(), ladder_model.kl(datum, ladder_q, z).sum()
    )


@pytest.mark.usefixtures("float64")
def test_free_bits_are_counted_by_level():
    made, _ = minted(pair_of(), 3)
    assert made.kl.shape == (3, 2)
    by_level = np.asarray(made.kl).mean(axis=0)
    free = float(by_level.mean())  # between the two
    plain, clipped = (
        float(ELBO(num_draws=3, free_bits=bits).objective(made, 0)) for bits in (0.0, free)
    )
    np.testing.assert_allclose(plain - clipped, np.maximum(free - by_level, 0).sum(), rtol=1e-9)


def test_fit_encode_sample_and_load(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 3)) @ np.diag([1.0, 5.0, 0.2])
    fitted = taut.fit(
        rows, model=dataclasses.replace(SMALL, latent_dims=(2, 1)), epochs=1, evidence_particles=10,
        out=tmp_path / "run",
    )  # fmt: skip
    again = taut.load(tmp_path / "run")
    z = again.encode(rows[:5])
    assert z.shape == (5, 3)
    np.testing.assert_array_equal(z, fitted.encode(rows[:5]))
    assert again.reconstruct(rows[:5]).shape == (5, 3)
    assert again.sample(4).shape == (4, 3)


def test_a_start_knows_the_columns_and_next_to_nothing_of_the_layers_above(float64):
    binary = Schema(name="bits", kind="table", shape=(3,), support="binary")
    rows = Datum(x=np.array([[0.0, 1, 1], [0, 0, 1], [0, 1, 1], [0, 1, 1]]))
    pair = SMALL.start(SMALL.init(binary, jax.random.key(0)), rows, schema=binary)
    odds = np.log([0.001 / 0.999, 3, 999])
    np.testing.assert_allclose(pair.decoder.layers[-1].bias, odds, rtol=1e-9)
    locs = jax.vmap(lambda z: pair.path.given(0, z).loc)(jnp.linspace(-2, 2, 5)[:, None])
    assert np.max(np.abs(locs)) < 0.2
    real = SMALL.start(SMALL.init(SCHEMA, jax.random.key(0)), rows, schema=SCHEMA)
    np.testing.assert_allclose(real.bind()[0].mean(jnp.zeros(1)), rows.x.mean(axis=0), rtol=1e-9)


def test_levels_and_widths_must_match():
    with pytest.raises(InputError, match=r"one width for each of 2 levels, got 3\. Try 256,128"):
        Ladder(latent_dims=(4, 2), hidden=(8, 8, 8))
    with pytest.raises(InputError, match="at least one level"):
        Ladder(latent_dims=())
