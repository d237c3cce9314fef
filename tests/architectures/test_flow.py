"""Flows by a line of layers: which number they give, densities by SciPy, what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import compilations
from scipy.stats import norm

import taut
from taut.architectures import Flow
from taut.architectures.passes import density_passes, sampling_passes
from taut.core import Datum, InputError, as_proposal, particles
from taut.data import Schema
from taut.gradients import StickingTheLanding
from taut.guides import ChainPair
from taut.transforms import ActNorm, Affine, Chain, Logit

RNG = np.random.default_rng(0)
TABLE = Schema("table", "table", (3,), "real", shift=(1.0, -2.0, 0.0), scale=(1.0, 3.0, 0.5))
GREY = Schema("grey", "image", (4, 4), "grey", levels=5)
TABLE2 = Schema("pairs", "table", (2,), "real")
COUNT = Schema("count", "table", (3,), "count")
ROWS = {
    "table": RNG.normal(size=(6, 3)),
    "grey": RNG.integers(0, 5, (6, 4, 4)) / 4,
    "count": RNG.poisson(4.0, (6, 3)).astype(float),
}


def pair_of(line, schema, **choices):
    architecture = Flow(layers=line, hidden=(4,), **choices)
    x = ROWS[schema.name]
    architecture.check(schema, x, where="rows")
    pair = architecture.init(schema, jax.random.key(0))
    return architecture.start(pair, Datum(jnp.asarray(x, jnp.float32)), schema=schema)


@pytest.mark.parametrize(
    ("line", "schema", "exact", "names"),
    [
        ("abs,affine-coupling:2", TABLE, True,
         ["standardize", "absolute-value", "coupling", "permute", "coupling"]),
        ("sort,slice:2,max-pool,affine", TABLE, True,
         ["standardize", "sorting", "slicing", "max-pooling", "affine"]),
        ("shuffle,affine", TABLE, True, ["standardize", "stochastic-permutation", "affine"]),
        ("augment:1,vae:2,affine", TABLE, False, ["standardize", "augmentation", "vae", "affine"]),
        ("dequantize,logit,squeeze,glow,multi-scale,squeeze,conv-coupling", GREY, False,
         ["dequantization", "logit", "squeeze", "actnorm", "invertible-conv", "coupling",
          "multi-scale"]),
        ("dequantize-variational,invertible-conv,vae:2", GREY, False,
         ["dequantization", "standardize", "reshape", "invertible-conv", "vae"]),
        ("vae:3,vae:2", GREY, False, ["vae", "vae"]),
        ("dequantize,affine", COUNT, False, ["dequantization", "actnorm", "affine"]),
        ("vae:2,affine", COUNT, False, ["vae", "affine"]),
    ],
)  # fmt: skip
def test_a_line_makes_a_chain_that_knows_its_number(line, schema, exact, names):
    pair = pair_of(line, schema)
    assert [layer.name for layer in pair.chain.layers] == names
    assert len(pair.chain.z_shape) == 1
    model, guide = pair.bind()
    x = jnp.asarray(ROWS[schema.name][0], jnp.float32)

    @eqx.filter_jit
    def run(pair):
        made = particles(model, guide, guide, Datum(x), jax.random.key(1), 2)
        z = as_proposal(model.prior()).draw(jax.random.key(2), 1).z[0]
        return made, model.sample(z, jax.random.key(3)), model.mean(z)

    made, drawn, mean = run(pair)
    assert made.exhaustive is exact
    assert np.isfinite(made.log_w).all()
    assert drawn.shape == mean.shape == schema.shape
    if schema is not TABLE:  # draws are on the grid, whatever the likelihood or the rounding
        steps = np.asarray(drawn) * (4 if schema is GREY else 1)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-5)


def test_layers_are_started_by_one_program():
    """And by that of another flow of the same layers."""
    architecture = Flow(layers="spline-coupling:2", hidden=(5,))
    rows = Datum(RNG.normal(size=(7, 3)).astype(np.float32))
    pairs = [architecture.init(TABLE, jax.random.key(seed)) for seed in range(2)]
    for pair, most in zip(pairs, (3, 0), strict=True):
        with compilations() as compiled:
            begun = architecture.start(pair, rows, schema=TABLE)
        assert len(compiled) <= most
        assert jax.tree.structure(begun) == jax.tree.structure(pair)


def moved(pair):
    """Affine layers away from the identity."""
    rng = np.random.default_rng(3)
    return eqx.tree_at(
        lambda p: [la.parameters.own for la in p.chain.layers if isinstance(la, Affine)],
        pair,
        replace_fn=lambda a: jnp.asarray(0.3 * rng.normal(size=a.shape)),
    )


def test_a_density_is_exact_and_in_the_units_of_the_data(float64):
    pair = moved(pair_of("affine", TABLE))
    model, guide = pair.bind()
    shift, log_scale = np.asarray(pair.chain.layers[-1].parameters.own).reshape(2, 3)
    x = ROWS["table"][0]
    made = particles(model, guide, guide, Datum(jnp.asarray(x)), jax.random.key(0), 1)
    loc = np.array(TABLE.shift) + np.array(TABLE.scale) * shift
    known = norm.logpdf(x, loc, np.array(TABLE.scale) * np.exp(log_scale)).sum()
    np.testing.assert_allclose(made.log_w, known, rtol=1e-12)


def test_bits_are_those_of_the_mass_of_a_grey_level(float64):
    """Cell by cell P(k) = Phi(t(k + 1)) - Phi(t(k)), t the logit of its level and the affine map."""
    pair = moved(pair_of("dequantize,logit,affine", GREY))
    model, guide = pair.bind()
    logit, affine = pair.chain.layers[1], pair.chain.layers[-1]
    assert isinstance(logit, Logit)
    assert (logit.low, logit.high) == (0.0, 5.0)
    shift, log_scale = np.asarray(affine.parameters.own).reshape(2, 16)
    k = np.rint(4 * ROWS["grey"][0]).reshape(-1)

    def t(v):
        u = 0.05 + 0.9 * v / 5
        return (np.log(u / (1 - u)) - shift) * np.exp(-log_scale)

    known = np.log(norm.cdf(t(k + 1)) - norm.cdf(t(k))).sum()
    x = jnp.asarray(ROWS["grey"][0])
    made = particles(model, guide, guide, Datum(x), jax.random.key(0), 20_000)
    w = np.exp(np.asarray(made.log_w) - known)
    error = w.std() / np.sqrt(w.size)
    assert error < 0.05
    assert abs(w.mean() - 1) < 5 * error
    # A volume of the grid, 16 log 4 nats, or of [0, 1), 16 log 5, would be seen.
    assert 16 * np.log(4) > 5 * error


@pytest.fixture(scope="module")
def greys():
    images = np.random.default_rng(1).integers(0, 5, (60, 2, 2)).astype(np.int16)
    return taut.fit(
        images, model="flow", layers="dequantize,affine", epochs=1, evidence_particles=30
    )


def test_a_bound_is_reported_as_one_with_bits(greys):
    assert set(greys.estimates) == {"elbo", "log_evidence", "bits_per_dimension"}
    assert greys.estimates["log_evidence"].side == "lower"
    bits = greys.estimates["bits_per_dimension"]
    assert bits.side == "upper"
    assert bits.value == pytest.approx(-greys.estimates["log_evidence"].value / (4 * np.log(2)))
    with pytest.raises(InputError, match="monte-carlo: expected a model of one latent"):
        greys.evaluate(np.zeros((1, 2, 2)), method="monte-carlo", num_particles=10)


def test_an_exact_fit_is_saved_and_loaded(tmp_path):
    rows = np.random.default_rng(2).normal(size=(80, 2)) * [1.0, 50.0]
    model = Flow(layers="spline-coupling", hidden=(4,), bins=4, prior="mixture:2")
    fitted = taut.fit(rows, model=model, epochs=1, precision="float64", out=tmp_path / "run")
    assert set(fitted.estimates) == {"log_evidence"}
    assert fitted.estimates["log_evidence"].side == "exact"
    assert fitted.estimates["log_evidence"].mc_error == 0
    loaded = taut.load(tmp_path / "run")
    assert loaded.architecture == model
    np.testing.assert_array_equal(loaded.encode(rows), fitted.encode(rows))
    np.testing.assert_allclose(loaded.decode(loaded.encode(rows)), rows, rtol=1e-9, atol=1e-9)
    assert loaded.sample(3).shape == (3, 2)


def test_layers_start_at_rows_from_all_over_a_sorted_file():
    x = np.linspace(0, 1, 20_000)[:, None] * [1.0, -3.0]
    flow = Flow(layers=Chain([ActNorm((2,)), Affine((2,))]))
    pair = flow.init(TABLE2, jax.random.key(0))
    layer = flow.start(pair, Datum(x), schema=TABLE2).chain.layers[0]
    z = jax.vmap(lambda row: layer.encode(row, jax.random.key(0)).z)(jnp.asarray(x))
    error = 5 / np.sqrt(2048)  # five standard errors of the mean of as many rows
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=error)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=error)


def test_a_users_chain_is_brought_again_on_loading(tmp_path):
    chain = Chain([ActNorm((2,)), Affine((2,))])
    rows = np.random.default_rng(2).normal(size=(80, 2)) * [1.0, 50.0]
    fitted = taut.fit(rows, layers=chain, epochs=1, out=tmp_path / "run")
    assert np.max(fitted.pair.chain.layers[0].log_scale) < 1
    assert np.min(fitted.pair.chain.layers[0].log_scale) < -3  # started at the rows
    with pytest.raises(
        InputError, match=r"the layers taut\.transforms\.chain\.Chain, which a user"
    ):
        taut.load(tmp_path / "run")
    loaded = taut.load(tmp_path / "run", like=Flow(layers=chain))
    np.testing.assert_array_equal(loaded.encode(rows), fitted.encode(rows))


def test_a_direction_of_many_passes_is_named():
    pair = pair_of("maf:2", TABLE)
    assert isinstance(pair, ChainPair)
    assert density_passes(pair, None) is None
    assert "8 passes one after the other through 4 layers" in sampling_passes(pair)
    assert sampling_passes(pair_of("affine-coupling:2", TABLE)) is None
    # An inverse autoregressive layer is turned round where data are to be scored.
    assert density_passes(pair_of("iaf", TABLE), None) is None
    model = taut.VAE(
        latent_dim=3, hidden=(4,), guide="iaf", prior="flow:maf", likelihood="gaussian"
    )
    vae = model.init(TABLE, jax.random.key(0))
    assert density_passes(vae, None) is None
    assert "gradient stl" in density_passes(vae, StickingTheLanding())
    assert sampling_passes(vae) == "a draw takes 3 passes one after the other through 1 layers"


@pytest.mark.parametrize(
    ("line", "schema", "message"),
    [
        ("spline-coupling:8", GREY,
         "makes reals of whole numbers.* got 'spline-coupling' on grey data. "
         'Try layers="dequantize,logit,spline-coupling:8"'),
        ("maf", COUNT, "got 'maf' on count data. Try layers=\"dequantize,maf\""),
        ("affine,dequantize", TABLE, "dequantize next to the data.* got it after affine"),
        ("affine,logit", TABLE, "logit on data in .* got it after affine on real data"),
        ("dequantize,logit", COUNT, "logit on data in .* got it after dequantize on count data"),
        ("affine,squeeze", TABLE, "squeeze: expected images"),
        ("affine,glow", TABLE, r"below glow, got affine, which gives the shape \(3,\)"),
        ("glow", TABLE, r"below glow, got the data, of shape \(3,\)"),
        ("dequantize,squeeze,squeeze,squeeze", GREY, "an even height and width.* got 1 x 1"),
        ("max-pool", TABLE, r"a window that divides the shape \(3,\)"),
        ("slice:3", TABLE, "a part of the last axis"),
    ],
)  # fmt: skip
def test_lines_that_do_not_fit_are_refused(line, schema, message):
    with pytest.raises(InputError, match=message):
        Flow(layers=line).init(schema, jax.random.key(0))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: Flow(layers="splin-coupling:8"), "got 'splin-coupling'. Try 'spline-coupling'"),
        (lambda: Flow(layers="vae"),
         "vae:K with K latent dimensions, a whole number of at least 1, got 'vae'"),
        (lambda: Flow(layers="abs:3"), "abs without a number, got 'abs:3'"),
        (lambda: Flow(layers="glow:0"), "glow:K with K steps, a whole number of at least 1"),
        (lambda: Flow(layers=3), "a line of layers or a Chain, got int"),
        (lambda: Flow(hidden=(0,)), "hidden: expected a whole number"),
        (lambda: Flow(bins=0), "bins: expected a whole number"),
        (lambda: Flow(box=0.0), "box: expected a positive number"),
        (lambda: Flow(prior="flw"), "prior: expected one of"),
        (lambda: Flow(layers=Chain([Affine((2,))])).init(TABLE, jax.random.key(0)),
         r"the data's shape \(3,\), got affine, which takes \(2,\)"),
        (lambda: pair_of("generative-abs", TABLE), "a number of at least 0 in every cell"),
        (lambda: pair_of("generative-sort", TABLE), "rising entries in every row"),
        (lambda: pair_of("dequantize", TABLE), "an integer in every cell to dequantize"),
        (lambda: Flow(layers="dequantize").check(GREY, np.full((1, 4, 4), 0.3), where="rows"),
         "rows, row 0, cell .0, 0.: expected k/4, k = 0, ..., 4, in every cell.* got 0.3"),
        (lambda: Flow().check(TABLE, np.arange(6.0).reshape(2, 3), where="rows"),
         'whole numbers in every cell. Try layers="dequantize,spline-coupling:8"'),
        (lambda: Flow(layers="lu").start(
            Flow(layers="lu").init(TABLE, jax.random.key(0)), Datum(np.ones((4, 3))), schema=TABLE),
         "the same number in all training rows of columns 0, 1, 2, counted from 0"),
        (lambda: taut.fit(np.ones((9, 2)), model="vae", layers="lu"), '`layers` with model="flow"'),
        (lambda: taut.fit(np.ones((9, 2)), model="flwo"), "got 'flwo'. Try 'flow'"),
        (lambda: pair_of("lu", TABLE).bind()[1](Datum(np.ones(3), np.ones(3, bool))),
         "rows without missing cells"),
    ],
)  # fmt: skip
def test_messages(act, message):
    with pytest.raises(InputError, match=message):
        act()
