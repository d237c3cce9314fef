"""Columns with atoms: the density by SciPy and by its integral, exact EM, and draws on them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from taut.core import Datum
from taut.fitted.imputing import impute
from taut.inference.exact import Floor, RowBlocks, expectation_step, log_evidences, run_em
from taut.models import ColumnForm, ColumnMixture

ATOMS = ((0.0, 40.0), (0.0, 0.1, 0.25))
STEPS = (1.0, 0.05)
FORMS = (
    ColumnForm("count", shift=3.0, atoms=ATOMS[0], step=STEPS[0]),
    ColumnForm("real", scale=0.5, atoms=ATOMS[1], step=STEPS[1]),
    ColumnForm("binary"),
)


def generic() -> Any:
    generator = np.random.default_rng(0)
    model: Any = ColumnMixture.uniform(FORMS, 2)
    model = jax.tree.map(lambda a: jnp.asarray(a * np.exp(generator.normal(size=a.shape))), model)
    for i in range(3):
        theta = jax.nn.log_softmax(jnp.asarray(model.parts[i].log_theta))
        model = eqx.tree_at(lambda m, i=i: m.parts[i].log_theta, model, theta)
    return eqx.tree_at(lambda m: m.logits, model, jnp.array([0.0, 0.5]))


def rows(number: int = 60, share: float = 0.1) -> np.ndarray:
    generator = np.random.default_rng(1)
    group = generator.random(number) < 0.4
    own = generator.random((2, number)) < 0.3
    x = np.stack([
        np.where(own[0], generator.poisson(30, number), generator.choice(ATOMS[0], number)),
        np.where(own[1], generator.normal(size=number), generator.choice(ATOMS[1], number)),
        generator.random(number) < np.where(group, 0.2, 0.7),
    ], axis=1).astype(float)  # fmt: skip
    return np.where(generator.random(x.shape) < share, np.nan, x)


def scipy_cells(model: Any, x: np.ndarray) -> np.ndarray:
    """log p_k(x_nd), (N, K, D), by SciPy."""
    tables, counts, numbers = (jax.tree.map(np.asarray, part) for part in model.parts)
    mean, r = counts.base.means[:, 0], counts.base.inverse_dispersion[:, 0]
    smooth = (
        scipy.stats.nbinom.pmf(x[:, :1], r, r / (r + mean)),
        scipy.stats.norm.pdf(x[:, 1:2], numbers.base.means[:, 0], numbers.base.deviations[:, 0]),
    )
    cells = np.zeros((len(x), 2, 3))
    for d, part in enumerate((counts, numbers)):
        theta = np.exp(part.log_theta)
        p = theta[:, 0] * smooth[d]
        for j, value in enumerate(ATOMS[d]):
            p = p + np.where(x[:, d : d + 1] == value, theta[:, 1 + j] / STEPS[d], 0.0)
        cells[:, :, d] = np.log(p)
    code = np.nan_to_num(x[:, 2]).astype(int)
    cells[:, :, 2] = tables.log_theta[:, code].T
    return np.where(np.isnan(x)[:, None], 0.0, cells)


def test_the_density_is_scipys_and_integrates_to_one(float64):
    model, x = generic(), rows()
    log_joint = scipy_cells(model, x).sum(axis=2) + np.asarray(model.log_pi)
    wanted: Any = scipy.special.logsumexp(log_joint, axis=1)
    blocks = RowBlocks(x, holes=True)
    np.testing.assert_allclose(log_evidences(model, blocks), wanted, rtol=1e-11)
    found = expectation_step(model, blocks).statistics
    np.testing.assert_allclose(found.log_evidence, wanted.sum(), rtol=1e-11)
    grid = np.arange(-6, 6, 1e-3) + 5e-4
    real = np.column_stack([np.full((len(grid), 1), np.nan), grid, np.full(len(grid), np.nan)])
    total = np.exp(log_evidences(model, RowBlocks(real, holes=True))).sum() * 1e-3
    np.testing.assert_allclose(total, 1.0, rtol=1e-4)


@pytest.mark.parametrize("strength", [0.0, 2.0])
def test_em_climbs_its_objective(strength, float64):
    """To where one more step changes nothing; the latent behind an atom is one of the E-step's."""
    model, blocks = generic(), RowBlocks(rows(200), holes=True)
    floor = Floor(strength, pseudo_rows=True).of(model, blocks)
    result: Any = run_em(model, blocks, floor, tolerance=0.0, max_iterations=40, monotone=False)
    assert np.diff(result.objective).min() > -1e-9
    assert result.objective[-1] - result.objective[0] > 0.1
    counts: Any = result.model.parts[1]
    np.testing.assert_allclose(np.exp(counts.log_theta).sum(axis=1), 1.0)


def test_missing_cells_are_drawn_on_and_beside_the_atoms(float64):
    model, draws = generic(), 2000
    x = np.array([[np.nan, np.nan, 1.0]])
    found = impute(
        model, Datum(jnp.asarray(x), jnp.asarray(~np.isnan(x))), key=jax.random.key(0),
        num_draws=draws,
    )  # fmt: skip
    r = scipy.special.softmax(scipy_cells(model, x).sum(2) + np.asarray(model.log_pi), axis=1)[0]
    for d, part in ((0, model.parts[1]), (1, model.parts[2])):
        drawn, p = found.draws[:, 0, d], r @ np.exp(np.asarray(part.log_theta))
        error = 5 * found.deviation[0, d] / np.sqrt(draws)
        assert abs(drawn.mean() - found.mean[0, d]) < error
        # A count's other family meets its atoms too.
        for j, value in enumerate(ATOMS[d]) if d else ():
            assert abs((drawn == value).mean() - p[1 + j]) < 5 * np.sqrt(0.25 / draws)
        assert found.mode[0, d] in ATOMS[d] or p[0] >= 0.5
    assert (found.draws[:, 0, 0] % 1 == 0).all()
