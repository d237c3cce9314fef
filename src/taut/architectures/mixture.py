"""Mixtures with exact posterior and evidence: `GMM` for numbers, `LCA` for binary and other codes."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.closed_form import AbstractClosedForm, refuse_discrete
from taut.core import AbstractPair, InputError, nearest, option
from taut.data import Schema, cell_words
from taut.guides import ExactPair
from taut.models.exact import COVARIANCES, GaussianMixture, LatentClass, varying

__all__ = ["GMM", "LCA"]

_SHOWN = 8  # values that a message names


@dataclass(frozen=True)
class GMM(AbstractClosedForm):
    """A Gaussian mixture, with exact evidence.

    Attributes:
        components: number of Gaussians.
        covariance: `full`, `tied` (one for all components), `diag`, or `spherical`.
    """

    name: ClassVar[str] = "gmm"
    default_inference: ClassVar[str] = "em"

    covariance: str = "full"

    def __post_init__(self):
        super().__post_init__()
        if self.covariance not in COVARIANCES:
            raise InputError(
                f"one of {', '.join(COVARIANCES)}", repr(self.covariance),
                nearest(self.covariance, COVARIANCES), where="covariance",
            )  # fmt: skip

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        refuse_discrete(schema, where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        constants = schema.constants()
        shift, scale = (
            varying(jnp.broadcast_to(v, schema.size), constants) for v in schema.shift_scale()
        )
        noise = jax.random.normal(key, (self.components, len(shift)))
        model = GaussianMixture(
            logits=jnp.zeros(self.components),
            means=(shift + scale * noise).astype(float),
            scale=COVARIANCES[self.covariance].isotropic(scale.astype(float), self.components),
            kind=self.covariance,
            shape=schema.shape,
            constants=constants,
        )
        return ExactPair(model)


@dataclass(frozen=True)
class LCA(AbstractClosedForm):
    """Latent class analysis, a mixture for binary or categorical data, with exact evidence.

    Attributes:
        components: number of classes.
        levels: number of values that every cell can take, coded from 0; None for what the data have:
            in a table of whole numbers each column its own.
        codes: the values of each column of a table, by rising code; found in the data.
    """

    name: ClassVar[str] = "lca"
    default_inference: ClassVar[str] = "em"
    default_floor: ClassVar[float | None] = 1.0  # Laplace's rule, as of independent columns
    takes_kinds: ClassVar[bool] = True
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "codes": lambda v: tuple(map(tuple, v))
    }

    levels: int | None = None
    codes: tuple[tuple[int, ...], ...] | None = field(default=None, metadata={"flag": None})

    def __post_init__(self):
        super().__post_init__()
        if self.levels is not None and self.levels < 2:
            raise InputError("at least two levels", f"{self.levels}", "2", where="levels")

    def with_codes(self, schema: Schema, parts: Iterable[np.ndarray]) -> "LCA":
        """The choices with the values that each column of a table takes in these rows.

        Unchanged where the number of levels was chosen, or where cells lie on a grid of their own.
        """
        coded = schema.kind == "table" and schema.support in ("count", "mixed")
        if self.levels is not None or not coded:
            return self
        found = [np.zeros(0)] * schema.size
        for x in parts:
            columns = (c[~np.isnan(c)] for c in x.reshape(len(x), -1).T)
            found = [np.union1d(f, c) for f, c in zip(found, columns, strict=True)]
        # A column without a value has one that nobody has seen.
        return replace(self, codes=tuple(tuple(map(int, c)) if len(c) else (0,) for c in found))

    def resolved(self, schema: Schema) -> tuple["LCA", dict[str, str]]:
        if self.levels is not None or self.codes is not None:
            return self, {}
        levels = 2 if schema.support == "binary" else schema.levels
        if levels is None:
            raise InputError(
                "cells with a known number of values", f"support '{schema.support}'",
                f"{option('levels', 5)} for codes 0 to 4", where="levels",
            )  # fmt: skip
        return replace(self, levels=levels), {"levels": f"{schema.support} cells"}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        named = zip(schema.columns or (), schema.kinds or (), strict=False)
        if numbers := [name for name, column in named if column.kind in ("real", "positive")]:
            raise InputError(
                "columns of categories or whole numbers", f"real ones: {', '.join(numbers[:_SHOWN])}",
                f"{option('model', 'mixed')}, which takes them all" + (
                    f", or {option('drop', tuple(numbers))}" if len(numbers) < schema.size else ""
                ),
                where=where,
            )  # fmt: skip
        if schema.support in ("real", "unit"):
            raise InputError(
                "binary, grey, count or categorical cells", f"{schema.support} ones",
                _as_categories(schema, x) or option("model", "gmm"),
                where=where,
            )  # fmt: skip
        architecture, _ = self.resolved(schema)
        if architecture.codes is not None:
            architecture._check_codes(schema, x, where)
            return
        largest = float(np.fmax.reduce(x, axis=None, initial=0.0)) * architecture._top(schema)
        if round(largest) >= (architecture.levels or 0):
            raise InputError(
                f"values 0..{(architecture.levels or 0) - 1}", f"{largest:g}",
                option("levels", round(largest) + 1), where=where,
            )  # fmt: skip

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        architecture, _ = self.resolved(schema)
        codes = architecture.codes
        values = architecture.levels if codes is None else max(map(len, codes))
        shape = (self.components, math.prod(schema.shape), values or 0)
        noise = jax.random.normal(key, shape)
        if codes is not None:
            numbers = np.asarray(list(map(len, codes)))
            noise = jnp.where(np.arange(values or 0) < numbers[:, None], noise, -jnp.inf)
        log_theta = jax.nn.log_softmax(noise, axis=2)
        logits = jnp.zeros(self.components)
        top = architecture._top(schema)
        return ExactPair(LatentClass(logits, log_theta, schema.shape, top, codes))

    def _top(self, schema: Schema) -> int:
        """Grey levels are held as multiples of 1 / (levels - 1), everything else as codes."""
        return (self.levels or 0) - 1 if schema.support == "grey" else 1

    def _check_codes(self, schema: Schema, x: np.ndarray, where: str) -> None:
        for i, (codes, column) in enumerate(
            zip(self.codes or (), x.reshape(len(x), -1).T, strict=True)
        ):
            unknown = np.flatnonzero(~np.isin(column, codes) & ~np.isnan(column))
            if unknown.size:
                name = f"'{schema.columns[i]}'" if schema.columns else f"{i}, counted from 0"
                known = [cell_words(schema, i, code) for code in codes[:_SHOWN]]
                shown = ", ".join(known) + (", ..." if len(codes) > _SHOWN else "")
                raise InputError(
                    f"one of the values {shown} that column {name} had when the model was fitted",
                    cell_words(schema, i, float(column[unknown[0]])),
                    "leaving out such rows, or fitting to data that has the value",
                    where=f"{where}, row {unknown[0]}",
                )  # fmt: skip


def _as_categories(schema: Schema, x: np.ndarray) -> str:
    """How to have whole numbers that are stored as reals read as values; empty for other numbers."""
    if schema.kind != "table" or len(schema.whole or ()) < schema.size:
        return ""
    shift, scale = schema.shift_scale()
    if np.nanmin(x * scale + shift, initial=0.0) > -0.5:
        return option("support", "count")
    if schema.columns is None:
        return "codes 0, 1, ... in their place"
    return option("kind", tuple(f"{name}=categorical" for name in schema.columns))
