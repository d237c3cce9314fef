"""Whether a density of fitted rows has an upper bound, or was raised on values that come up again.

A column that repeats values is safe where its values have probabilities. Where it has a density, that
has no bound as soon as the family can put a peak on each value:

    flows          always
    decoders       where the scale is below half a step of the column's grid; off a grid, below a
                   hundredth of the column's standard deviation

Exact models say it themselves, from what their floor decides.
"""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from taut.core import DENSITY, MASS, AbstractModel, as_proposal
from taut.core.compiling import kept_jit
from taut.data import Schema
from taut.evidence.importance import Evidence
from taut.models import ChainModel, LatentVariableModel

__all__ = ["bounded_or_not", "measure_notes", "unbounded_columns"]

_DRAWS = 64  # of z, for the scale that a decoder gives
_NARROW = 0.01  # standard deviations


def bounded_or_not(evidence: Evidence, model: AbstractModel, schema: Schema) -> Evidence:
    """The same numbers; those that hold log p(x) say so where its density has no bound."""
    if not unbounded_columns(model, schema):
        return evidence
    names = ("log_evidence", "elbo", "reconstruction")
    return replace(evidence, **{name: getattr(evidence, name).without_bound() for name in names})


def measure_notes(model: AbstractModel, schema: Schema) -> tuple[str, ...]:
    """What a reader should know of what densities are of, one sentence each."""
    notes, kinds = [], () if model.measure is None else model.measure.kinds
    if model.measure is not None and model.measure.masked:
        notes.append(
            "densities are of the observed cells and of which are missing, log p(x_o, s), and "
            "compare with no number that is of the observed cells alone"
        )
    if isinstance(model, ChainModel) and len(kinds) > 1:
        masses = [i for i, kind in enumerate(kinds) if kind == MASS]
        notes.append(
            "values that come up again and again, on a grid, have probabilities: "
            f"{schema.named(masses)}; the other columns have densities"
            if len(masses) < len(kinds)
            else "all columns have values on a grid, which have probabilities"
        )
    if unbounded := unbounded_columns(model, schema):
        notes.append(
            "no bound: the density was raised on values that come up again and again, in "
            f"{schema.named(unbounded)}; compare the number with no other density"
        )
    return tuple(notes)


def unbounded_columns(model: AbstractModel, schema: Schema) -> tuple[int, ...]:
    """The columns of a table that repeat values and whose density has no upper bound.

    Arguments:
        model: fitted.
        schema: of the rows that it was fitted to.
    """
    spikes = schema.spikes or ()
    repeated = sorted({*schema.gridded, *spikes})
    if not repeated or model.measure is None:
        return ()
    kinds = model.measure.kinds
    dense = [i for i in repeated if kinds[i if len(kinds) > 1 else 0] == DENSITY]
    if isinstance(model, ChainModel) or not dense:
        return tuple(dense)
    if not isinstance(model, LatentVariableModel):
        return ()
    scale = _scales(model)
    if scale is None:
        return ()
    steps = np.asarray(schema.steps)
    deviations = np.ones(schema.size) if schema.scale is None else np.asarray(schema.scale)
    least = np.where(steps > 0, steps / 2, _NARROW * deviations)
    return tuple(i for i in dense if scale[i] < least[i])


@kept_jit
def _drawn_scales(model: LatentVariableModel) -> Any:
    def one(key: Any) -> Any:
        z = as_proposal(model.prior()).draw(key, 1).z
        z = jax.tree.map(lambda leaf: leaf[0], z)
        likelihood: Any = model.likelihood(model.outputs(model.code(z)))
        return likelihood.scale

    return jax.vmap(one)(jax.random.split(jax.random.key(0), _DRAWS))


def _scales(model: LatentVariableModel) -> Float[np.ndarray, " D"] | None:
    """The scale of each column under the decoder, in the data's units; None for families without."""
    if model.likelihood.name not in ("gaussian", "student-t"):
        return None
    scales = np.median(np.asarray(_drawn_scales(model), np.float64), axis=0).reshape(-1)
    return scales if model.units is None else scales * np.asarray(model.units.scale).reshape(-1)
