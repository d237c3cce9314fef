"""`Counterfactuals`: answers row by row, each with the reason why its search ended."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from taut.counterfactuals.ascent import Ascent
from taut.errors import counted

__all__ = [
    "ALREADY",
    "BROKEN",
    "BUDGET",
    "FOLLOWED",
    "LEFT",
    "NOT_FINITE",
    "PLATEAU",
    "REACHED",
    "ROUNDED",
    "Counterfactuals",
]

REACHED, ALREADY = "reached", "reached already"
PLATEAU, BUDGET, LEFT = "plateau", "budget", "left the manifold"
NOT_FINITE, BROKEN, ROUNDED = "not finite", "breaks a constraint", "lost by rounding"
FOLLOWED = "lost by what follows"


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """What would have to change in N rows, in A answers to each; arrays are on the host.

    Attributes:
        x: the rows, (N, *shape), in the data's units.
        reconstruction: g of their codes, (N, *shape).
        answers: (N, A, *shape); where a search failed, its best attempt.
        z: codes of the answers, (N, A, d); of x-space the cells themselves.
        z0: codes of the rows, (N, d).
        reasons: why each search ended, (N, A): `reached`; `reached already` by the reconstruction;
            `plateau`, where no step raises the score; `budget`; `left the manifold`, where the score is
            reached and the log-density stays below the floor; `not finite`; `lost by rounding` to whole
            numbers or one-hot groups; `lost by what follows` in a causal order; `breaks a constraint`.
        outputs: of the classifier on rows, reconstructions and answers: (N, C), (N, C), (N, A, C).
        scores: of the target on the same, (N,), (N,), (N, A).
        level: that a score is to reach.
        log_density: of reconstructions and answers, (N,) and (N, A), nats; None where it is not known.
        floor: least log-density of an answer, nats; None where none was asked for.
        density_of: `row`, or `code` where it is the prior's of z.
        queries: how often the classifier was asked, (N, A).
        tries: steps tried, (N, A).
        drift: largest 1 - cos between a step and the gradient by z, (N, A).
        margin: that s was asked to be above the level by, where rounding took the target, (N, A).
        returned: whether an answer was found on the way back from a known row, (N, A).
        seconds: of the search, compilation included.
        geometry: name.
        notes: what a reader must know, one sentence each.
        ascent, keys: what the search shared, and the key of each row's first answer, (N,), by which
            `diagnose` walks the same way again.
    """

    x: np.ndarray
    reconstruction: np.ndarray
    answers: np.ndarray
    z: np.ndarray
    z0: np.ndarray
    reasons: np.ndarray
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray]
    scores: tuple[np.ndarray, np.ndarray, np.ndarray]
    level: float
    log_density: tuple[np.ndarray, np.ndarray] | None
    floor: float | None
    density_of: str | None
    queries: np.ndarray
    tries: np.ndarray
    drift: np.ndarray
    margin: np.ndarray
    returned: np.ndarray
    seconds: float
    geometry: str
    ascent: Ascent
    keys: Any
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{n} {r}" for r, n in Counter(self.reasons.ravel().tolist()).most_common()
        )
        said = f"{counted(self.reasons.size, 'answer')} to {counted(len(self), 'row')}, {self.geometry}"
        return f"Counterfactuals({said}: {counts})"

    @property
    def reached(self) -> np.ndarray:
        """Which answers are what was asked for, (N, A)."""
        return np.isin(self.reasons, (REACHED, ALREADY))

    @property
    def answered(self) -> np.ndarray:
        """Rows with at least one answer, (N,): the coverage is their mean."""
        return np.asarray(self.reached.any(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Reasons and numbers row by row, as JSON holds them; what is not finite is None."""
        names = ("row", "reconstruction", "answer")
        rows = [
            {
                "reasons": self.reasons[i].tolist(),
                "scores": {n: _plain(s[i]) for n, s in zip(names, self.scores, strict=True)},
                "log_density": None if self.log_density is None else {
                    n: _plain(v[i]) for n, v in zip(names[1:], self.log_density, strict=True)
                },
                "queries": self.queries[i].tolist(),
                "drift": _plain(self.drift[i]),
            }
            for i in range(len(self))
        ]  # fmt: skip
        counts = Counter(self.reasons.ravel().tolist())
        return {
            "geometry": self.geometry,
            "level": self.level,
            "floor": self.floor,
            "density_of": self.density_of,
            "coverage": float(self.answered.mean()),
            "reasons": dict(counts.most_common()),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "rows": rows,
        }


def _plain(value: Any) -> Any:
    """Numbers for JSON, which has none that are not finite."""
    number = np.asarray(value, np.float64).astype(object)
    number[~np.isfinite(np.asarray(value, np.float64))] = None
    return number.tolist()
