"""Columns with atoms: the density by SciPy and by its integral, exact EM, and draws on them."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from taut.core import Datum
from taut.data.atoms import atoms_of
from taut.fitted.imputing import impute
from taut.inference.exact import Floor, RowBlocks, expectation_step, log_evidences, run_em
from taut.models import ColumnForm, ColumnMixture

ATOMS = ((0.0, 40.0), (0.0, 0.1, 0.25), (), (1.0,), (3.0, 5.0, 6.0, 9.0))
STEPS = (1.0, 0.05, 0.0, 0.01, 1.0)
KINDS = ("count", "real", "binary", "positive", "count")
SHIFTS, SCALES = (3.0, 0.0, 0.0, 0.5, 2.0), (1.0, 0.5, 1.0, 1.0, 1.0)
FORMS = tuple(
    ColumnForm(kind, shift=shift, scale=scale, atoms=atoms, step=step)
    for kind, shift, scale, atoms, step in zip(KINDS, SHIFTS, SCALES, ATOMS, STEPS, strict=True)
)


def generic() -> Any:
    generator = np.random.default_rng(0)
    model: Any = ColumnMixture.uniform(FORMS, 2)
    # By NumPy: JAX would compile each operation by itself.
    model = jax.tree.map(
        lambda a: jnp.asarray(np.asarray(a) * np.exp(generator.normal(size=a.shape))), model
    )
    tables, numbers, counts = model.parts
    parts = (
        normalised(tables),
        *(replace(part, which=normalised(part.which)) for part in (numbers, counts)),
    )
    return replace(model, parts=parts, logits=jnp.array([0.0, 0.5]))


def normalised(tables: Any) -> Any:
    columns = np.split(np.asarray(tables.log_theta), np.cumsum(tables.levels)[:-1], axis=1)
    theta = np.concatenate([scipy.special.log_softmax(c, axis=1) for c in columns], axis=1)
    return replace(tables, log_theta=jnp.asarray(theta))


def rows(number: int = 60, share: float = 0.1) -> np.ndarray:
    generator = np.random.default_rng(1)
    group = generator.random(number) < 0.4
    smooth = (
        generator.poisson(30, number), generator.normal(size=number),
        generator.random(number) < np.where(group, 0.2, 0.7),
        generator.lognormal(size=number), generator.poisson(5, number),
    )  # fmt: skip
    x = np.stack([
        np.where(generator.random(number) < 0.3, own, generator.choice(atoms, number))
        if atoms else own for own, atoms in zip(smooth, ATOMS, strict=True)
    ], axis=1).astype(float)  # fmt: skip
    return np.where(generator.random(x.shape) < share, np.nan, x)


def scipy_cells(model: Any, x: np.ndarray) -> np.ndarray:
    """log p_k(x_nd), (N, K, D), by SciPy."""
    tables, *atoms = (jax.tree.map(np.asarray, part) for part in model.parts)
    cells = np.zeros((len(x), 2, 5))
    for part, places in zip(atoms, ((1, 3), (0, 4)), strict=True):
        thetas = np.split(np.exp(part.which.log_theta), [1 + len(ATOMS[places[0]])], axis=1)
        for i, (d, theta) in enumerate(zip(places, thetas, strict=True)):
            p = theta[:, 0] * smooth_density(part.base, i, KINDS[d], x[:, d : d + 1])
            for j, value in enumerate(ATOMS[d]):
                at = np.abs(x[:, d : d + 1] - value) < STEPS[d] / 2
                p = p + np.where(at, theta[:, 1 + j] / STEPS[d], 0.0)
            cells[:, :, d] = np.log(p)
    code = np.nan_to_num(x[:, 2]).astype(int)
    cells[:, :, 2] = tables.log_theta[:, code].T
    return np.where(np.isnan(x)[:, None], 0.0, cells)


def smooth_density(base: Any, i: int, kind: str, x: np.ndarray) -> Any:
    mean = base.means[:, i]
    if kind == "count":
        r = base.inverse_dispersion[:, i]
        return scipy.stats.nbinom.pmf(x, r, r / (r + mean))
    deviation = base.deviations[:, i]
    if kind == "positive":
        return scipy.stats.lognorm.pdf(x, deviation, scale=np.exp(mean))
    return scipy.stats.norm.pdf(x, mean, deviation)


def test_the_density_is_scipys_and_integrates_to_one(float64):
    model, x = generic(), rows()
    log_joint = scipy_cells(model, x).sum(axis=2) + np.asarray(model.log_pi)
    wanted: Any = scipy.special.logsumexp(log_joint, axis=1)
    blocks = RowBlocks(x, holes=True)
    np.testing.assert_allclose(log_evidences(model, blocks), wanted, rtol=1e-11)
    found = expectation_step(model, blocks).statistics
    np.testing.assert_allclose(found.log_evidence, wanted.sum(), rtol=1e-11)
    grid = np.arange(-6, 6, 1e-3) + 5e-4
    real = np.full((len(grid), 5), np.nan)
    real[:, 1] = grid
    total = np.exp(log_evidences(model, RowBlocks(real, holes=True))).sum() * 1e-3
    np.testing.assert_allclose(total, 1.0, rtol=1e-4)


@pytest.mark.parametrize("strength", [1e-3, 2.0])
def test_em_climbs_its_objective(strength, float64):
    """To where one more step changes nothing; the latent behind an atom is one of the E-step's."""
    model, blocks = generic(), RowBlocks(rows(200), holes=True)
    floor = Floor(strength, pseudo_rows=True).of(model, blocks)
    result: Any = run_em(model, blocks, floor, tolerance=0.0, max_iterations=40, monotone=False)
    assert np.diff(result.objective).min() > -1e-9
    assert result.objective[-1] - result.objective[0] > 0.1
    counts: Any = result.model.parts[2]
    np.testing.assert_allclose(np.exp(counts.which.log_theta).sum(axis=1), 2.0)  # of two columns


def test_missing_cells_are_drawn_on_and_beside_the_atoms(float64):
    model, draws = generic(), 2000
    x = np.array([[np.nan, np.nan, 1.0, np.nan, np.nan]])
    found = impute(
        model, Datum(jnp.asarray(x), jnp.asarray(~np.isnan(x))), key=jax.random.key(0),
        num_draws=draws,
    )  # fmt: skip
    r = scipy.special.softmax(scipy_cells(model, x).sum(2) + np.asarray(model.log_pi), axis=1)[0]
    shares = [r @ np.exp(np.asarray(part.which.log_theta)) for part in model.parts[1:]]
    for d, p in ((0, shares[1][:3]), (1, shares[0][:4]), (3, shares[0][4:]), (4, shares[1][3:])):
        drawn = found.draws[:, 0, d]
        error = 5 * found.deviation[0, d] / np.sqrt(draws)
        assert abs(drawn.mean() - found.mean[0, d]) < error
        # A count's other family meets its atoms too.
        for j, value in enumerate(ATOMS[d]) if KINDS[d] != "count" else ():
            assert abs((drawn == value).mean() - p[1 + j]) < 5 * np.sqrt(0.25 / draws)
        assert found.mode[0, d] in ATOMS[d] or p[0] >= 0.5
    assert (found.draws[:, 0, [0, 4]] % 1 == 0).all()


def test_values_that_differ_by_rounding_alone_are_no_atoms():
    values = np.where(np.arange(40) % 2 == 0, 0.3, 0.1 + 0.2)
    assert atoms_of(values, "real") == ((), 0.0)
