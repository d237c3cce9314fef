"""Cells that were not observed enter no density: not by their value, not by their column's units.

The density of what was observed integrates to one in the data's own units, whatever the shift and the
scale of the cells that were not.
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.architectures import ARCHITECTURES
from taut.core import LOG_LIKELIHOOD, Datum, particles
from taut.data import Schema
from taut.models import AbstractExactModel, LatentVariableModel, Units

SCHEMA = Schema(
    name="t", kind="table", shape=(3,), support="real", shift=(7.0, -3.0, 0.5), scale=(50.0, 0.01, 2.0),
    dtype="float64",
)  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "vae": {"latent_dim": 1, "hidden": (3,)},
    "ladder": {"latent_dims": (2, 1), "hidden": (3, 3)},
    "discrete": {"latents": "bernoulli:2", "hidden": (3,)},
    "mixture-vae": {"components": 2, "latent_dim": 1, "hidden": (3,)},
    "vq": {"latents": "1x2", "code_dim": 2, "hidden": (3,)},
    "gmm": {"components": 2},
    "ppca": {"components": 1},
    "fa": {"components": 1},
}
# Of codes, not of numbers; of columns that differ in kind, tried as such; and layers between data and
# latents, which no rows with holes are given to.
APART = {"lca", "mixed", "flow"}
MASK = np.asarray([True, False, True])
X = np.asarray([20.0, -3.005, 1.0])


def _log_density(pair: Any, z: Any, datum: Datum) -> Any:
    """log p(x | z) of what was observed, or log p(x) where it is exact."""
    model, _ = pair.bind()
    datum = jax.tree.map(jnp.asarray, datum)
    if isinstance(model, AbstractExactModel):
        return model.log_evidence(datum)
    return jnp.sum(model.terms(datum, z)[LOG_LIKELIHOOD])


@functools.cache
def _case(name: str) -> tuple[Any, Any]:
    """A pair, and a draw of its latents where it has some; all tests look at it in float64."""
    pair = ARCHITECTURES[name](**OPTIONS[name]).init(SCHEMA, jax.random.key(0))
    model, guide = pair.bind()
    if isinstance(model, AbstractExactModel):
        return pair, None
    mint = eqx.filter_jit(particles)
    minted = mint(model, guide, guide, Datum(jnp.asarray(X)), jax.random.key(1), 1)
    return pair, jax.tree.map(lambda leaf: leaf[0], minted.z)


def test_every_architecture_has_a_case():
    assert set(OPTIONS) | APART == set(ARCHITECTURES)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_value_of_a_masked_cell_moves_no_bit(name, float64):
    pair, z = _case(name)
    density = jax.jit(lambda x, mask: _log_density(pair, z, Datum(x, mask)))
    found = density(X, MASK)
    assert np.isfinite(found)
    for value in (0.0, 1e6):
        other = np.where(MASK, X, value)
        assert density(other, MASK) == found
        assert density(other, np.ones(3, bool)) != found


@pytest.mark.parametrize("name", OPTIONS)
def test_what_was_observed_integrates_to_one(name, float64):
    """Over the first cell alone, on a grid wide and fine enough for its scale of 50."""
    pair, z = _case(name)
    grid = np.linspace(7 - 3000, 7 + 3000, 60_001)
    rows = np.stack([grid, np.full_like(grid, X[1]), np.full_like(grid, X[2])], axis=1)
    alone = np.asarray([True, False, False])
    log_p = jax.jit(jax.vmap(lambda x: _log_density(pair, z, Datum(x, alone))))(rows)
    # The integrand and its derivatives vanish at both ends: the trapezoidal rule is exact to rounding.
    assert float(np.exp(log_p).sum() * (grid[1] - grid[0])) == pytest.approx(1.0, abs=1e-9)


def _with_units(pair: Any, column: int, factor: float) -> Any:
    """The pair with the scale of one column multiplied."""

    def scaled(node: Any) -> Any:
        if not isinstance(node, Units):
            return node
        return Units(node.shift, node.scale.at[column].multiply(factor))

    return jax.tree.map(scaled, pair, is_leaf=lambda node: isinstance(node, Units))


NETWORKED = ("vae", "ladder", "discrete", "mixture-vae", "vq")


@pytest.mark.parametrize("name", NETWORKED)
def test_the_scale_of_a_masked_cell_enters_no_density(name, float64):
    pair, z = _case(name)
    arrays, static = eqx.partition(pair, eqx.is_array)

    @jax.jit
    def density(arrays: Any, mask: Any) -> Any:
        return _log_density(eqx.combine(arrays, static), z, Datum(X, mask))

    wide, whole = _with_units(arrays, 1, 7.0), np.ones(3, bool)
    assert density(wide, MASK) == density(arrays, MASK)
    assert density(wide, whole) != density(arrays, whole)


def test_units_that_count_masked_cells_are_caught(float64, monkeypatch):
    volume = Units.log_volume
    monkeypatch.setattr(Units, "log_volume", lambda self, mask=None: volume(self))
    assert isinstance(_case("vae")[0].bind()[0], LatentVariableModel)
    with pytest.raises(AssertionError):
        test_the_scale_of_a_masked_cell_enters_no_density("vae", None)
    with pytest.raises(AssertionError):
        test_what_was_observed_integrates_to_one("vae", None)
