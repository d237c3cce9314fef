"""What the floor decides: components whose density would grow without bound if it were taken away."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import Datum
from taut.core.compiling import shared_jit
from taut.core.devices import per_share, whole
from taut.inference.exact.row_blocks import RowBlocks
from taut.models import AbstractExactModel
from taut.models.exact import AbstractMixture

__all__ = ["Held", "held_components", "owned"]


class Held(NamedTuple):
    """A component whose density would grow without bound if the floor were taken away.

    Attributes:
        component: its number; None for the noise of a factor model, or a covariance that is shared.
        directions: in how many the floor decides its spread.
        rows: how many rows it holds, the sum of its responsibilities.
        row: number of the row that is most its own, in the data that the rows came from.
    """

    component: int | None
    directions: int
    rows: float
    row: int


def held_components(model: AbstractExactModel, floor: Any, rows: RowBlocks) -> tuple[Held, ...]:
    """What the floor decides: see `Held`."""
    with jax.enable_x64(True):
        directions = np.asarray(_held_directions(model, floor))
        if not directions.any():
            return ()
        if not isinstance(model, AbstractMixture) or len(directions) < model.num_components:
            return (Held(None, int(directions[0]), float(rows.total), rows.number(0)),)
        share, place = owned(model, rows)
    return tuple(
        Held(int(k), int(directions[k]), float(share[k]), rows.number(int(place[k])))
        for k in np.flatnonzero(directions)
    )


def owned(
    model: AbstractMixture, rows: RowBlocks
) -> tuple[Float[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """The rows that each component holds, and the position of the first that is most its own."""
    number = model.num_components
    held, best, place, first = np.zeros(number), np.full(number, -np.inf), np.zeros(number, int), 0
    for block in rows.in_order(model):
        log_r, weight = whole((_log_responsibilities(model, block.x, block.mask), block.weight))
        counted = weight.ravel() > 0
        log_r, weight = log_r.reshape(-1, number)[counted], weight.ravel()[counted]
        held += weight @ np.exp(log_r)
        at = np.argmax(log_r, axis=0)
        top = log_r[at, np.arange(number)]
        best, place = np.maximum(best, top), np.where(top > best, first + at, place)
        first += len(log_r)
    return held, place


@shared_jit
def _held_directions(model: AbstractExactModel, floor: Any) -> Array:
    return model.held_by_floor(floor)


@shared_jit
def _log_responsibilities(model: AbstractMixture, x: Array, mask: Array | None) -> Array:
    def one(row: Datum) -> Array:
        return jax.nn.log_softmax(model.log_pi + model.log_components(row))

    return per_share(lambda own: jax.lax.map(jax.vmap(one), own), Datum(x, mask))
