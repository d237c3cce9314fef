"""The number of free parameters is the rank of the Jacobian from parameters to many log-densities.

At a generic point each of those counted changes the density in a way of its own, and nothing else does,
where the model is identifiable; else the rank is smaller. BIC rests on the number.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from taut.architectures import ARCHITECTURES, FA, GMM, LCA, PPCA, Mixed
from taut.core import Datum
from taut.data import Column, Schema
from taut.inference import INFERENCES, AbstractExact
from taut.models.exact import COVARIANCES, ColumnMixture, LatentClass
from taut.models.exact.columns import Atoms, Counts, Numbers, Tables

REAL = {
    n: Schema(name="t", kind="table", shape=(n,), support="real", dtype="float64") for n in (3, 5)
}
BINARY = {
    n: Schema(name="b", kind="table", shape=(n,), support="binary", levels=2, dtype="float64")
    for n in (2, 5)
}
KINDS = Schema(
    name="k", kind="table", shape=(6,), support="mixed", dtype="float64",
    kinds=(
        Column("real"), Column("count", shift=1.0), Column("positive"),
        Column("categorical", names=("a", "b", "c")), Column("constant", shift=2.0),
        Column("real", atoms=(-1.0, 0.0), step=0.1),
    ),
)  # fmt: skip
# (architecture, schema, identifiable)
CASES: dict[str, tuple[Any, Schema, bool]] = {
    **{
        f"gmm {kind} {k}": (GMM(components=k, covariance=kind), REAL[3], True)
        for kind in COVARIANCES
        for k in ((1, 3) if kind == "full" else (3,))
    },
    **{f"ppca {q}": (PPCA(components=q), REAL[5], True) for q in (1, 3)},
    **{f"fa {q}": (FA(components=q), REAL[5], True) for q in (1, 2)},
    "fa, more factors than the covariances tell": (FA(components=3), REAL[5], False),
    **{f"lca {k}": (LCA(components=k, levels=2), BINARY[5], True) for k in (1, 2)},
    "lca 3 levels": (
        LCA(components=2, levels=3),
        Schema(name="c", kind="table", shape=(5,), support="count", dtype="float64"), True,
    ),
    **{f"mixed {k}": (Mixed(components=k), KINDS, True) for k in (1, 2)},
    "mixed, poisson": (Mixed(components=2, counts="poisson"), KINDS, True),
    "lca, more classes than two columns tell": (LCA(components=2, levels=2), BINARY[2], False),
}  # fmt: skip


def _jacobian(architecture: Any, schema: Schema) -> tuple[Any, np.ndarray]:
    """The model at a generic point, and d log p(x_n) / d parameters, (N, P)."""
    model, _ = architecture.init(schema, jax.random.key(0)).bind()
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    generator = np.random.default_rng(1)
    flat = flat + 0.5 * generator.normal(size=flat.shape)
    number = 4 * len(flat) + 40
    if schema.kinds is not None:
        columns = [
            generator.normal(size=number), generator.poisson(3.0, number),
            np.exp(generator.normal(size=number)), generator.integers(0, 3, number),
            np.full(number, 2.0), np.resize([0.0, -1.0, 0.7, 1.3, -2.1], number),
        ]  # fmt: skip
        x = np.stack(columns, axis=1).astype(float)
    elif schema.support == "real":
        x = 2.0 * generator.normal(size=(number, *schema.shape))
    else:
        levels = architecture.levels
        grid = np.stack(np.meshgrid(*[np.arange(levels)] * schema.size), -1).reshape(
            -1, schema.size
        )
        x = grid.astype(float)

    def log_p(parameters: Any) -> Any:
        built: Any = eqx.combine(unravel(parameters), static)
        if isinstance(built, LatentClass):  # whose tables of probabilities add up to one
            tables = jax.nn.log_softmax(built.log_theta, axis=-1)
            built = eqx.tree_at(lambda m: m.log_theta, built, tables)
        if isinstance(built, ColumnMixture):
            built = eqx.tree_at(lambda m: m.parts, built, tuple(map(_within, built.parts)))
        return jax.vmap(lambda row: built.log_evidence(Datum(row)))(jnp.asarray(x))

    return eqx.combine(unravel(flat), static), np.asarray(jax.jit(jax.jacfwd(log_p))(flat))


def _within(part: Any) -> Any:
    """A family of columns whose numbers may be any as one within its bounds, by as many of them."""
    if isinstance(part, Tables):
        cells = jnp.split(part.log_theta, np.cumsum(part.levels[:-1]), axis=1)
        tables = jnp.concatenate([jax.nn.log_softmax(c, axis=1) for c in cells], axis=1)
        return eqx.tree_at(lambda t: t.log_theta, part, tables)
    if isinstance(part, Atoms):
        moved = (_within(part.base), _within(part.which))
        return eqx.tree_at(lambda a: (a.base, a.which), part, moved)
    if isinstance(part, Numbers):
        return eqx.tree_at(lambda n: n.deviations, part, jnp.exp(part.deviations))
    assert isinstance(part, Counts)
    return jax.tree.map(jnp.exp, part)


def _rank(jacobian: np.ndarray) -> int:
    """Singular values above the rounding of the largest; the gap is wide at a generic point."""
    singular = np.linalg.svd(jacobian, compute_uv=False)
    rounding = max(jacobian.shape) * np.finfo(float).eps * singular[0]
    rank = int(np.sum(singular > 1e3 * rounding))
    assert rank == np.sum(singular > 10 * rounding)  # none lies between
    return rank


def test_every_exact_model_is_counted():
    exact = {
        name
        for name, cls in ARCHITECTURES.items()
        if issubclass(INFERENCES[cls.default_inference], AbstractExact)
    }
    assert {case[0].name for case in CASES.values()} == exact


@pytest.mark.parametrize("name", CASES)
def test_the_count_is_the_rank_of_the_jacobian(name, float64):
    architecture, schema, identifiable = CASES[name]
    model, jacobian = _jacobian(architecture, schema)
    if identifiable:
        assert model.num_parameters == _rank(jacobian)
    else:
        assert model.num_parameters > _rank(jacobian)


def test_a_wrong_count_is_caught(float64):
    """Parameters of the tied covariance counted once a component; loadings without their rotations."""
    _, jacobian = _jacobian(*CASES["gmm tied 3"][:2])
    full, _ = _jacobian(*CASES["gmm full 3"][:2])
    assert full.num_parameters != _rank(jacobian)
    factors, jacobian = _jacobian(*CASES["ppca 3"][:2])
    assert factors.loadings.size + 5 + 1 != _rank(jacobian)
