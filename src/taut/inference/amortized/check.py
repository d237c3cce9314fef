"""What cannot be fitted, found before a run begins: rows without a density, parts that do not fit."""

import equinox as eqx
import jax
import numpy as np

from taut.architectures import AbstractArchitecture
from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractPair, Datum, InputError, as_proposal, option
from taut.data import Dataset, RowSource
from taut.gradients import AbstractEstimator
from taut.models import ChainModel

__all__ = ["check_rows", "check_step", "refuse_kl_weights"]


def check_rows(architecture: AbstractArchitecture, rows: RowSource, *, where: str) -> None:
    """Refuse rows outside the likelihood's support, and missing cells that the model does not take; rows
    that come in parts are passed over once.

    Raises:
        InputError: names the first bad row, on disk by its number in the file, and its cell.
    """
    if rows.schema.kinds is not None and not architecture.takes_kinds:
        named = zip(rows.schema.columns or (), rows.schema.kinds, strict=True)
        text = [name for name, column in named if column.names or column.form]
        raise InputError(
            f"columns of one kind for the model {architecture.name}",
            ", ".join(sorted({"dates" if c.form else c.kind for c in rows.schema.kinds})),
            f"{option('drop', text) if text else option('columns', 'alike')}, or "
            f"{option('model', 'mixed')} or a VAE, which take them all", where=where,
        )  # fmt: skip
    if rows.schema.holes and not architecture.takes_holes:
        for part in rows.parts():
            refuse_holes(architecture, part, where=where)
    if isinstance(rows, Dataset) and not rows.coded:
        architecture.check(rows.schema, rows.x, where=where)
        return
    for part in rows.parts():
        try:
            architecture.check(rows.schema, part.x, where=where)
        except InputError:
            _name_first(architecture, part, where)
            raise


def check_step(
    pair: AbstractPair, bound: AbstractBound, gradient: AbstractEstimator, example: Datum
) -> None:
    """Refuse a bound, gradient and guide that do not go together; nothing is computed.

    Raises:
        InputError: as the estimator has it; a KL that is weighed, of a model that has none; several
            draws of what is certain.
    """

    def one(pair: AbstractPair, datum: Datum) -> object:
        model, guide = pair.bind()
        if isinstance(model, ChainModel):
            # What its layers say of z and x is no KL: weighed apart from the base it is no density.
            refuse_kl_weights(bound, "a chain of layers, whose log p(x) has no such part")
        if bound.minted > 1 and as_proposal(guide(datum)).exhaustive:
            count = "num_draws" if isinstance(bound, ELBO) else "num_particles"
            raise InputError(
                "one draw, as nothing is left to chance and the number is exact", f"{bound.minted}",
                f"{option('bound', 'elbo')} with {option('num_draws', 1)}", where=option(count),
            )  # fmt: skip
        key = jax.random.key(0)
        aux = gradient.init(key, datum, guide)
        return gradient(bound, model, guide, datum, key, aux=aux).surrogate

    eqx.filter_eval_shape(one, pair, example)


def refuse_kl_weights(bound: AbstractBound, model: str) -> None:
    """Refuse an objective that weighs the KL.

    Arguments:
        bound: what is maximised.
        model: what has no KL that could be weighed, in words.

    Raises:
        InputError: names the first option that weighs it.
    """
    for name in bound.kl_weights:
        raise InputError(
            f"a KL from the guide to the prior that moves, which {option(name)} weighs", model,
            f"leaving out {option(name)}", where=option(name),
        )  # fmt: skip


def refuse_holes(architecture: AbstractArchitecture, rows: Dataset, *, where: str) -> None:
    """Refuse missing cells, by their number and the first of them."""
    if rows.mask is None or rows.mask.all():
        return
    holes = np.argwhere(~rows.mask)
    row, *cell = holes[0].tolist()
    columns = rows.schema.columns
    column = f"column '{columns[cell[0]]}'" if columns and len(cell) == 1 else f"cell {cell}"
    raise InputError(
        f"a value in every cell for the model {architecture.name}",
        f"{len(holes)} missing, the first in row {rows.index[row]}, {column}",
        f"{option('missing', 'drop-rows')}, or a VAE, which takes such rows",
        where=where,
    )


def _name_first(architecture: AbstractArchitecture, part: Dataset, where: str) -> None:
    """Raise what is wrong with the first bad row of a part, under its number in the file."""
    for i in range(len(part)):
        try:
            architecture.check(part.schema, np.asarray(part.x[i : i + 1]), where=where)
        except InputError as error:
            place = (error.where or where).replace(", row 0", f", row {part.index[i]}")
            raise error.at(place) from None
