"""Causal order of columns: what is downstream of a change follows it by the model's conditional.

    c_1 > c_2 > ... > c_K        the order; c_m is the first of them that an answer moves
    x_k = x_0k + Q_k(r | x_1, ..., x_(k-1)) - Q_k(r | x_01, ..., x_0(k-1)),       k > m
    r = F_k(x_0k | x_01, ..., x_0(k-1))                                          rank of the row

F_k and Q_k are distribution and quantile function of a column given those before it in the order, under
the model: a row keeps its rank among rows like it, as under a structural equation that rises with its
noise. Columns before c_m stay as they are: what is downstream moves nothing upstream. They are estimated
from the nearest of rows drawn from the model, so that the conditional is one given a few columns alone.
A column counts as moved from a twentieth of its standard deviation on; what moves less is put back.

Source: Plečko and Meinshausen, Fair data adaptation with quantile preservation (JMLR 2020), section 2.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["NUM_DRAWS", "CausalOrder"]

NUM_DRAWS = 16_384  # rows of the model
_NEAREST = 1024  # of them, that tell the conditional at a point
_MOVED = 0.05  # standard deviations
_ROUNDING = 1e-5


class CausalOrder(NamedTuple):
    """The order of some columns, and rows of the model.

    Attributes:
        places: of the columns, causes first.
        draws: their cells in rows drawn from the model, (S, K).
        scale: their standard deviations, (K,).
        step, origin: of their grids, (K,); step 0 for none.
    """

    places: tuple[int, ...]
    draws: Float[np.ndarray, "S K"]
    scale: Float[np.ndarray, " K"]
    step: Float[np.ndarray, " K"]
    origin: Float[np.ndarray, " K"]

    @classmethod
    def of(
        cls, places: tuple[int, ...], rows: np.ndarray, step: np.ndarray, origin: np.ndarray
    ) -> "CausalOrder":
        """From rows of the model, (S, D), and the grids of all columns, (D,)."""
        draws = np.asarray(rows, np.float64)[:, list(places)]
        sd = draws.std(axis=0)
        scale = np.where(sd > 0, sd, 1.0)
        return cls(places, draws, scale, step[list(places)], origin[list(places)])

    def followed(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Answers (N, D) to rows (N, D) in which the columns follow the first that is moved."""
        x = np.array(x)
        columns = list(self.places)
        for row, row0 in zip(x, x0, strict=True):
            own, own0 = row[columns].astype(np.float64), row0[columns].astype(np.float64)
            moved = np.abs(own - own0) > _MOVED * self.scale
            first = int(moved.argmax()) if moved.any() else len(columns)
            own[:first] = own0[:first]
            for k in range(first + 1, len(columns)):
                value = own0[k] + self._shift(k, own, own0)
                if self.step[k]:
                    places = np.rint((value - self.origin[k]) / self.step[k])
                    value = self.origin[k] + self.step[k] * places
                own[k] = x.dtype.type(value)  # as the columns behind it will find it in the answer
            row[columns] = own
        return x

    def violated(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Which answers do not follow, (N,)."""
        columns = list(self.places)
        off = np.abs(self.followed(x, x0) - x)[:, columns]
        slack = _ROUNDING * (self.scale + np.abs(x[:, columns]))
        return np.asarray((off > slack).any(axis=1))

    def _shift(self, k: int, own: np.ndarray, own0: np.ndarray) -> float:
        """By how much the k-th column follows those before it."""
        (before, low), (after, high) = (self._conditional(k, at) for at in (own0, own))
        rank = np.interp(own0[k], before, low)
        return float(np.interp(rank, high, after) - np.interp(rank, low, before))

    def _conditional(self, k: int, at: np.ndarray) -> Any:
        """Values of the k-th column among the draws nearest to a point, and their middle ranks."""
        apart = ((self.draws[:, :k] - at[:k]) / self.scale[:k]) ** 2
        count = min(_NEAREST, len(self.draws))
        nearest = np.argpartition(apart.sum(axis=1), count - 1)[:count]
        values, counts = np.unique(self.draws[nearest, k], return_counts=True)
        return values, (np.cumsum(counts) - 0.5 * counts) / count
