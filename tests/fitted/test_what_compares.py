"""Numbers are subtracted only where they are of one measure: no probability from a density."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from scipy.stats import multivariate_normal

import taut
from taut.cli.main import main
from taut.core import DENSITY, FREE_CONSTANT, MASS, InputError, Measure
from taut.models.program import NumPyroProgram

RNG = np.random.default_rng(0)
GREY = (RNG.random((200, 3, 3)) * 17).astype(np.uint8)
QUICK = {"epochs": 1, "evidence_particles": 2}


def _vae(data, **options):
    return taut.fit(data, model=taut.VAE(latent_dim=1, hidden=(4,), **options), **QUICK)


def test_a_probability_of_grey_levels_and_a_density_of_them_are_refused(tmp_path, capsys):
    masses = _vae(taut.load_data(GREY))
    densities = taut.em(taut.load_data(GREY, dtype="float64"), model=taut.FA(1))
    assert masses.facts.measure == Measure((MASS,))
    assert densities.facts.measure == Measure((DENSITY,))
    words = "probabilities of values in {} and densities at values in {}"
    with pytest.raises(InputError, match=words.format("the first", "the second")):
        taut.compare(masses, densities)
    for name, fit in (("vae", masses), ("fa", densities)):
        fit.save(tmp_path / name)
    assert main(["compare", str(tmp_path / "fa"), str(tmp_path / "vae")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"densities at values in {tmp_path / 'fa'} and probabilities of values in" in line
    flow = taut.fit(taut.load_data(GREY), model="flow", layers="dequantize,logit,affine", **QUICK)
    assert set(taut.compare(masses, flow)) >= {"log_evidence"}


def test_masses_compare_with_masses_and_densities_with_densities():
    bits = taut.load_data(RNG.integers(0, 2, (200, 4)))
    classes = taut.em(taut.load_data(bits.train.x, dtype="float64"), model=taut.LCA(2), restarts=1)
    vae = _vae(taut.load_data(bits.train.x))
    assert vae.facts.measure == classes.facts.measure == Measure((MASS,))
    assert "log_evidence" in taut.compare(vae, classes)
    x = RNG.normal(size=(200, 2))
    one, other = (
        _vae(taut.load_data(x)),
        taut.em(taut.load_data(x, dtype="float64"), model=taut.PPCA(1)),
    )
    assert one.facts.measure == other.facts.measure == Measure((DENSITY,))
    assert "log_evidence" in taut.compare(one, other)


def test_a_constant_that_one_side_leaves_out_is_named():
    x = np.column_stack([RNG.normal(size=(200, 2)), np.full(200, 7.0)])
    one, other = (
        _vae(taut.load_data(x)),
        taut.em(taut.load_data(x, dtype="float64"), model=taut.FA(1)),
    )
    with pytest.raises(
        InputError,
        match=r"densities at values in the first and nothing, as .* for column 2, counted from 0",
    ):
        taut.compare(one, other)


@pytest.mark.parametrize(
    ("kinds", "others", "apart"),
    [
        ((MASS,), (DENSITY,), (0,)),
        ((MASS,), (MASS, MASS), ()),
        ((DENSITY, MASS), (DENSITY,), (1,)),
        ((DENSITY, MASS, MASS), (MASS, MASS, DENSITY), (0, 2)),
    ],
)
def test_columns_in_which_measures_differ(kinds, others, apart):
    assert Measure(kinds).apart(Measure(others)) == Measure(others).apart(Measure(kinds)) == apart


Y = np.array([0.3, -0.5, 1.2, 0.4])


def proper(y, sd=3.0):
    numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, sd)), 1), obs=y)


def improper(y):
    mu = numpyro.sample("mu", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def improper_vector(y):
    mu = numpyro.sample("mu", dist.ImproperUniform(constraints.real, (2,), ()).to_event(1))
    numpyro.sample("y", dist.Normal(mu.sum(), 1), obs=y)
    numpyro.sample("both", dist.Normal(mu, 1).to_event(1), obs=jnp.zeros(2))


def _infer(program, **options):
    return taut.infer(program, data={"y": Y}, guide="laplace", num_draws=2000, **options)


def test_a_free_constant_is_said_beside_the_evidence_and_refused_in_a_difference(tmp_path, capsys):
    known, unknown = _infer(proper), _infer(improper)
    exact = multivariate_normal(np.zeros(4), 9 + np.eye(4)).logpdf(Y)
    log_evidence = known.estimates["log_evidence"]
    assert abs(log_evidence.value - exact) < 5 * log_evidence.mc_error
    assert FREE_CONSTANT not in known.estimates["log_evidence"].flags
    for posterior in (unknown, _infer(improper_vector), _log_joint()):
        for estimate in (
            posterior.estimates["log_evidence"],
            posterior.evidence(num_particles=100),
        ):
            assert FREE_CONSTANT in estimate.flags
            assert "free constant" in str(estimate)
    for pair in ((known, unknown), (unknown, known), (unknown, unknown)):
        with pytest.raises(
            InputError, match="whose constant is known, got one known up to a constant"
        ):
            taut.compare(*pair)
    known.save(tmp_path / "known")
    unknown.save(tmp_path / "unknown")
    assert main(["show", str(tmp_path / "unknown")]) == 0
    assert "free constant" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "known"), str(tmp_path / "unknown")]) == 2
    assert f"in {tmp_path / 'unknown'}: a prior that is improper" in capsys.readouterr().err


def _log_joint():
    return taut.infer(lambda mu, y: -0.5 * jnp.sum((y - mu) ** 2), data={"y": Y},
                      support={"mu": "real"}, guide="laplace", num_draws=2000)  # fmt: skip


def test_saved_posteriors_are_of_the_same_data_by_their_arrays(tmp_path):
    _infer(proper).save(tmp_path / "one")
    taut.infer(proper, data={"y": Y + 1}, guide="laplace", num_draws=2000).save(tmp_path / "other")
    with pytest.raises(InputError, match="expected two runs on the same data"):
        taut.compare(tmp_path / "one", tmp_path / "other")
    _infer(lambda y: proper(y, 30.0)).save(tmp_path / "wide")
    found = taut.compare(tmp_path / "one", tmp_path / "wide")["log_evidence"]
    exact = [multivariate_normal(np.zeros(4), s**2 + np.eye(4)).logpdf(Y) for s in (3.0, 30.0)]
    assert abs(found.value - exact[0] + exact[1]) < 5 * found.mc_error


def counted(y):
    numpyro.sample("y", dist.Poisson(numpyro.sample("m", dist.Gamma(1.0))), obs=y)


def fewer(y):
    proper(y[:2])


@pytest.mark.parametrize(
    ("second", "words"),
    [(counted, "4 probabilities and 0 densities"), (fewer, "0 probabilities and 2 densities")],
)
def test_evidences_of_other_values_are_refused(second, words, tmp_path):
    counts = np.array([1.0, 2.0, 2.0, 5.0])

    one, two = (
        taut.infer(program, data={"y": counts}, guide="laplace", num_draws=500, refine="none")
        for program in (proper, second)
    )
    expected = f"same values, got 0 probabilities and 4 densities, .* in .* and {words}"
    with pytest.raises(InputError, match=expected):
        taut.compare(one, two)
    with pytest.raises(InputError, match=expected):
        taut.compare(one.save(tmp_path / "one"), two.save(tmp_path / "two"))


def test_programs_with_other_arguments_compare_where_they_observe_the_same(tmp_path):
    def line(y, x):
        slope = numpyro.sample("slope", dist.Normal(0.0, 3.0))
        numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    x = np.arange(4.0)
    sloped = taut.infer(line, data={"y": Y, "x": x}, guide="laplace", num_draws=2000)
    level = _infer(proper)
    exact = [
        multivariate_normal(np.zeros(4), 9 * np.outer(a, a) + np.eye(4)).logpdf(Y)
        for a in (x, np.ones(4))
    ]
    sides = [(sloped, level), (sloped.save(tmp_path / "s"), level.save(tmp_path / "l"))]
    for pair in sides:
        found = taut.compare(*pair)["log_evidence"]
        assert abs(found.value - exact[0] + exact[1]) < 5 * found.mc_error


def test_what_a_program_observes_is_its_values_without_hidden_cells_and_constraints():
    def program(y, keep):
        m = numpyro.sample("m", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", 3), numpyro.handlers.mask(mask=keep):
            numpyro.sample("y", dist.Normal(m, 1.0), obs=y)
        numpyro.sample("k", dist.Categorical(jnp.ones(3) / 3), obs=2)

    def constrained(y, keep):
        program(y, keep)
        m = numpyro.sample("n", dist.Normal(0.0, 1.0))
        numpyro.sample("zero", dist.Normal(0.0, 1.0), obs=m)

    data = {"y": np.array([3.0, 9.0, 1.0]), "keep": np.array([True, False, True])}
    model, datum = NumPyroProgram.of(program, data)
    masses, densities = model.observed(datum)
    np.testing.assert_array_equal(masses, [2.0])
    np.testing.assert_array_equal(densities, [1.0, 3.0])
    model, datum = NumPyroProgram.of(constrained, data)
    assert model.observed(datum) is None
