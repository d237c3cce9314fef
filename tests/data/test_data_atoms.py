"""Which values of a column recur more often than a smooth density has them."""

import numpy as np
import pytest

from taut.data.atoms import atoms_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.normal(size=2000), "real"),
        (np.round(RNG.normal(50, 10, 2000)), "real"),
        (np.exp(RNG.normal(size=2000)), "positive"),
        (RNG.poisson(4, 2000), "count"),
        (RNG.negative_binomial(2, 0.1, 2000), "count"),
        (np.arange(300) % 150, "count"),
    ],
)
def test_smooth_columns_have_none(values, kind):
    assert atoms_of(values.astype(float), kind) == ((), 0.0)


def test_spikes_and_columns_of_few_values_have_some():
    hours = np.where(RNG.random(2000) < 0.5, 40, RNG.poisson(38, 2000)).astype(float)
    atoms, step = atoms_of(hours, "count")
    assert 40.0 in atoms
    assert step == 1.0
    gains = np.where(RNG.random(2000) < 0.9, 0, RNG.integers(1, 10**6, 2000)).astype(float)
    assert atoms_of(gains, "count") == ((0.0,), 1.0)
    few = RNG.choice([0.0, 0.1, 0.25, 0.4], 500)
    atoms, step = atoms_of(few, "real")
    assert atoms == (0.0, 0.1, 0.25, 0.4)
    np.testing.assert_allclose(step, 0.1)


@pytest.mark.parametrize("kind", ["count", "real"])
def test_weights_are_rows_repeated(kind):
    generator = np.random.default_rng(3)
    values = np.where(generator.random(300) < 0.4, 40, generator.integers(0, 400, 300)).astype(
        float
    )
    weight = generator.integers(0, 4, 300)
    assert atoms_of(values, kind, weight.astype(float)) == atoms_of(np.repeat(values, weight), kind)
    assert 40.0 in atoms_of(values, kind)[0]
    assert 40.0 not in atoms_of(values, kind, np.where(values == 40, 1e-3, 1.0))[0]


@pytest.mark.parametrize("kind", ["real", "positive"])
def test_units_do_not_matter(kind):
    generator = np.random.default_rng(4)
    fine = np.exp(generator.normal(size=1500))
    spike = np.where(generator.random(1500) < 0.1, 2.5, fine)
    assert atoms_of(spike, kind)[0] == (2.5,)
    for values in (spike, fine, np.round(fine, 1) + 0.1):
        atoms, step = atoms_of(values, kind)
        for unit in (1e-3, 1e4):
            scaled, of_scaled = atoms_of(unit * values, kind)
            np.testing.assert_allclose(scaled, unit * np.asarray(atoms), rtol=1e-12)
            assert of_scaled == pytest.approx(unit * step)
