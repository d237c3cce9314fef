"""Answers as they are returned: on their grids, judged again, asked for more where rounding cost them.

An answer that rounding has cost the target is searched again to a level that is higher by

    m = 10, 30, 100, 300 tolerances      of a class 0.1, 0.3, 1 and 3 nats

until one of them keeps the target once it is rounded.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.brought_back import Codes, brought_back
from taut.counterfactuals.judged import densities, mapped, outputs_of, scores_of
from taut.counterfactuals.pool import all_ended
from taut.counterfactuals.result import (
    ALREADY,
    BROKEN,
    BUDGET,
    FOLLOWED,
    LEFT,
    NOT_FINITE,
    PLATEAU,
    REACHED,
    ROUNDED,
)
from taut.counterfactuals.row_state import RowState, with_rows

__all__ = ["Settled", "distances", "settled", "surer"]

_MARGINS = (10.0, 30.0, 100.0, 300.0)


class Settled(NamedTuple):
    """Ends of M searches; arrays are on the host.

    Attributes:
        ended: with the answers as they are returned, and their log-density; `tries` over all searches.
        outputs, scores: of the classifier on them, (M, C) and (M,).
        reasons: why each search ended, (M,).
        asked: queries of the classifier beside those of the tries, (M,).
        returned: whether the answer was found on the way back from a known row, (M,).
        margin: that s was asked to be above the level by, (M,).
    """

    ended: RowState
    outputs: np.ndarray
    scores: np.ndarray
    reasons: np.ndarray
    asked: np.ndarray
    returned: np.ndarray
    margin: np.ndarray

    @property
    def lost(self) -> np.ndarray:
        """Which of them rounding, or what follows a change, has cost the target."""
        return np.isin(self.reasons, (ROUNDED, FOLLOWED))

    @property
    def answered(self) -> np.ndarray:
        """Which of them are what was asked for."""
        return np.isin(self.reasons, (REACHED, ALREADY))

    def with_some(self, places: np.ndarray, other: "Settled") -> "Settled":
        """The same with the searches at these places from another one of as many."""
        return with_rows(self, places, other)


def settled(ascent: Ascent, own: np.ndarray, ended: RowState) -> Settled:
    """Searches at their end, with values of grids and one-hot groups.

    Arguments:
        ascent: what they share.
        own: the row of each search, (M, *shape).
        ended: as the ascent left them.
    """
    target, (ended, followed) = ascent.target, _repaired(ascent, own, ended)
    answers = np.asarray(ended.at.x)
    broken = np.zeros(len(answers), bool)
    if ascent.box is not None:
        broken = ascent.box.violated(answers, own)
    outputs = mapped(lambda v: outputs_of(ascent.classifier, v), answers)
    scores = np.asarray(scores_of(target, jnp.asarray(outputs)))
    lost = (ended.at.score >= target.level) & (scores < target.level)
    reasons = np.select(
        [broken, lost & followed, lost], [BROKEN, FOLLOWED, ROUNDED],
        _reasons(ascent, ended, scores),
    )  # fmt: skip
    return Settled(
        ended,
        outputs,
        scores,
        reasons,
        np.zeros(len(answers), int),
        np.zeros_like(broken),
        np.full(len(answers), float(ascent.margin)),
    )


def _repaired(ascent: Ascent, own: np.ndarray, ended: RowState) -> tuple[RowState, np.ndarray]:
    """Searches with values of grids and groups, and which have others after what follows a change."""
    box, found = ascent.box, np.asarray(ended.at.x)
    if box is None or not box.repairs:
        return ended, np.zeros(len(found), bool)
    answers, density = box.repaired(found, own), ended.at.log_density
    followed = (answers != box.rounded(found, own)).any(axis=1)
    if ascent.generator.density_of == "row":
        density = densities(ascent.generator, answers)
    return ended._replace(at=ended.at._replace(x=answers, log_density=density)), followed


def surer(
    ascent: Ascent,
    own: np.ndarray,
    starts: np.ndarray,
    codes: Codes,
    keys: Any,
    first: Settled,
    *,
    width: int,
) -> Settled:
    """The same with answers of searches to higher levels where rounding has cost the target.

    Arguments:
        ascent, own: as of `settled`.
        starts, codes, keys: where each search begins, the code of its row, and its key.
        first: how it ended.
        width: rows in a block.
    """
    for margin in _MARGINS:
        places = np.flatnonzero(first.lost)
        if not len(places):
            break
        further = jnp.asarray(margin * ascent.target.tolerance, starts.dtype)
        asked = eqx.tree_at(lambda a: a.margin, ascent, further)
        ended = all_ended(asked, own[places], starts[places], keys[places], width=width)
        of_places = jax.tree.map(lambda leaf, p=places: leaf[p], codes)
        ended = brought_back(asked, of_places, keys[places], ended)
        again = settled(asked, own[places], ended)
        tries = first.ended.tries[places] + again.ended.tries
        # Beside its tries a search asks at the point where it begins.
        queries = first.asked[places] + ascent.classifier.queries(starts.shape[1])
        again = again._replace(ended=again.ended._replace(tries=tries), asked=queries)
        good = again.answered
        first.ended.tries[places], first.asked[places] = tries, queries
        first = first.with_some(places[good], jax.tree.map(lambda leaf, g=good: leaf[g], again))
    return first


def distances(ascent: Ascent, x: Any, rows: np.ndarray) -> np.ndarray:
    """Squared distances of points from rows in units of the scale, (M,)."""
    moved = ((x - rows) / np.asarray(ascent.scale)).reshape(len(x), -1)
    return np.asarray((moved**2).sum(axis=1))


def _reasons(ascent: Ascent, ended: RowState, scores: np.ndarray) -> np.ndarray:
    """Why each search ended, judged by the classifier's outputs on what is returned."""
    at = ended.at
    scored = scores >= ascent.target.level
    dense = True if ascent.floor is None else at.log_density >= ascent.floor
    return np.select(
        [
            ~np.isfinite(at.value), scored & dense & (ended.tries == 0), scored & dense, scored,
            ended.tries >= ascent.most_tries,
        ],
        [NOT_FINITE, ALREADY, REACHED, LEFT, BUDGET], PLATEAU,
    )  # fmt: skip
