"""The tables of `taut em`: components, responsibilities, loadings and the selection curve as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from taut.core import write_csv
from taut.data import Data, Dataset, label_names
from taut.fitted import Fit
from taut.models.exact import (
    AbstractFactorModel,
    AbstractMixture,
    ColumnMixture,
    GaussianMixture,
    LatentClass,
)
from taut.models.exact.columns import Described, named_apart

__all__ = ["write_tables"]

_POINT = {
    "components": "components",
    "validation log-evidence": "validation",
    "validation error": "validation_error",
    "training log-evidence": "training",
    "bic": "bic",
    "free parameters": "free_parameters",
}


def write_tables(fitted: Fit, source: Data | str, folder: Path) -> list[Path]:
    """Write what the model has learned.

    Arguments:
        fitted: the fit.
        source: the `Data` it was fitted to; the path of a file that stayed on disk.
        folder: where to write.

    Returns:
        the files: components.csv and responsibilities.csv of a mixture (all rows of the data, in the
        order of their source), loadings.csv of a factor model, selection.csv of a range.
    """
    model = fitted.model
    schema = fitted.schema
    columns = list(schema.columns or (f"x{i}" for i in range(schema.size)))
    # Those know themselves what they leave out.
    if not isinstance(model, LatentClass | ColumnMixture):
        constant = {cell for cell, _ in schema.constants()}
        columns = [column for i, column in enumerate(columns) if i not in constant]
    tables: dict[str, Mapping[str, Any]] = {}
    if isinstance(model, AbstractMixture):
        tables["components.csv"] = _components(model, columns, schema.categories)
        if isinstance(source, Data) and isinstance(source.train, Dataset):
            parts = (source.train, source.validation, source.test)
            tables["responsibilities.csv"] = _responsibilities(fitted, parts)
    if isinstance(model, AbstractFactorModel):
        tables["loadings.csv"] = _loadings(model, columns)
    if fitted.facts.em is not None and fitted.facts.em.selection:
        curve = fitted.facts.em.selection
        tables["selection.csv"] = {
            heading: [getattr(point, name) for point in curve] for heading, name in _POINT.items()
        }
    return [write_csv(folder / name, table) for name, table in tables.items()]


def _responsibilities(fitted: Fit, parts: Sequence[Dataset]) -> dict[str, Any]:
    """Of every row, in the order of the source: its label, if any, its component and p(z given x)."""
    numbers = np.concatenate([part.index for part in parts])
    order = np.argsort(numbers, kind="stable")
    r = np.concatenate([np.asarray(fitted.encode(part)) for part in parts])[order]
    rows: dict[str, Any] = {"row": numbers[order]}
    labels = [label_names(part) for part in parts if part.label is not None]
    if labels:
        rows["label"] = np.concatenate(labels)[order].tolist()
    rows["component"] = r.argmax(axis=1)
    return rows | {f"r{k}": r[:, k] for k in range(r.shape[1])}


def _loadings(model: AbstractFactorModel, columns: list[str]) -> dict[str, Any]:
    with jax.enable_x64(True):
        loadings, noise = np.asarray(model.loadings), np.asarray(model.noise)
    factors = {f"factor_{j}": loadings[:, j] for j in range(loadings.shape[1])}
    return {"column": columns, "mean": np.asarray(model.center), "noise_variance": noise} | factors


def _components(
    model: Any, columns: list[str], categories: tuple[tuple[str, ...], ...]
) -> dict[str, Any]:
    with jax.enable_x64(True):
        pi = np.exp(np.asarray(model.log_pi))
        table: dict[str, Any] = {"component": np.arange(len(pi)), "weight": pi}
        if isinstance(model, ColumnMixture):
            return table | model.described(columns, categories)
        if isinstance(model, GaussianMixture):
            scale, centers = jnp.asarray(model.scale), jnp.asarray(model.means)  # loaded: NumPy's
            variances = model.covariance.variances(scale, centers)
            means, deviations = np.asarray(model.means), np.sqrt(np.asarray(variances))
            table |= {f"mean_{c}": means[:, i] for i, c in enumerate(columns)}
            return table | {f"deviation_{c}": deviations[:, i] for i, c in enumerate(columns)}
        theta, values = np.exp(np.asarray(model.log_theta)), model.values() * model.top
    found = []
    for i, column in enumerate(columns):
        number = theta.shape[2] if model.codes is None else len(model.codes[i])
        first = 1 if number == theta.shape[2] == 2 and model.codes is None else 0
        for j in range(first, number):
            place = np.broadcast_to(values, theta.shape[1:])[i, j]
            named = (
                categories[i][round(float(place))] if categories[i] else str(round(float(place)))
            )
            found.append(Described(f"p({column}={named})", i, theta[:, i, j]))
    return table | named_apart(found)
