"""A model that was trained in NumPyro: a model and a guide, programs of a batch of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.functions import check_support
from taut.core import LOG_PRIOR, AbstractPair, Datum, InputError, Pair, as_proposal
from taut.core.compiling import kept_jit
from taut.data import Schema
from taut.guides.row_program import RowProgramGuide
from taut.models.row_program import RowProgram, row_sites, run_at

__all__ = ["RowPrograms"]

_LOOKED_AT = 16  # rows whose log-weights are looked at
_ROUNDING = 1e-4  # nats, and of them: float32 log-densities that are equal


@dataclass(frozen=True)
class RowPrograms(AbstractArchitecture):
    """Model and guide as NumPyro programs, whose one latent site has a value for each row.

    Attributes:
        model: function of a batch of rows, (N, *shape), that observes them.
        guide: function of the same batch, with a site of the name of the model's latent.
        params: what training found, by the names of param sites, as `svi.get_params` gives it.
    """

    name: ClassVar[str] = "row-programs"

    model: Callable[..., Any]
    guide: Callable[..., Any]
    params: Mapping[str, Any] = field(default_factory=dict, metadata={"flag": None})

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        params = jax.tree.map(jnp.asarray, dict(self.params))
        of_model = row_sites(self.model, params, schema.shape, name="model")
        of_guide = row_sites(self.guide, params, schema.shape, name="guide")
        first, second = ((s.latent, s.latent_shape) for s in (of_model, of_guide))
        if first != second:
            raise InputError(
                f"a guide of the model's latent '{first[0]}', of shape {first[1]} for each row",
                f"'{second[0]}' of shape {second[1]}", "one name and one shape in both", where="guide",
            )  # fmt: skip
        model = RowProgram(self.model, params, of_model, schema.shape)
        return Pair(model, RowProgramGuide(self.guide, params, of_guide))

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        """Refuse rows outside the support or without a finite log-weight; a prior that reads rows."""
        pair: Any = self.init(schema, jax.random.key(0))
        model, guide = pair.bind()
        if model.sites.observed:
            site = run_at(self.model, model.params, jnp.asarray(x))[model.sites.observed]
            check_support(site["fn"], np.asarray(site["value"]), where=where)
        few = jnp.asarray(x[:_LOOKED_AT], jnp.result_type(float))
        finite = np.isfinite(np.asarray(_log_weights(model, guide, few)))
        if not finite.all():
            raise InputError(
                "a finite log p(x, z) - log q(z | x) for every row", "none",
                "data in the units that the model was trained on",
                where=f"{where}, row {int(np.argmin(finite))}",
            )  # fmt: skip
        own, other = map(np.asarray, _log_priors(model, guide, few))
        moved = ~np.isclose(own, other, rtol=_ROUNDING, atol=_ROUNDING)
        if moved.any():
            row = int(np.argmax(moved))
            raise InputError(
                f"one prior of '{model.sites.latent}' for all rows, without which there is no p(x, z)",
                f"log p(z) of {own[row]:.4g} nats at the row and {other[row]:.4g} at another",
                "a model that reads its rows in observed sites alone", where=f"{where}, row {row}",
            )  # fmt: skip


@kept_jit
def _log_weights(model: RowProgram, guide: RowProgramGuide, rows: Any) -> Any:
    def one(row: Any) -> Any:
        q = as_proposal(guide(Datum(row)))
        z = q.draw(jax.random.key(0), 1).z[0]
        return model.log_joint(Datum(row), z) + sum(jnp.sum(t) for t in q.terms(z).values())

    return jax.vmap(one)(rows)


@kept_jit
def _log_priors(model: RowProgram, guide: RowProgramGuide, rows: Any) -> Any:
    """log p(z) at a draw of each row's guide, in a run of the program at that row and at zeros."""

    def one(row: Any) -> Any:
        z = as_proposal(guide(Datum(row))).draw(jax.random.key(0), 1).z[0]
        return tuple(model.terms(Datum(at), z)[LOG_PRIOR] for at in (row, jnp.zeros_like(row)))

    return jax.vmap(one)(rows)
