"""`Measure`: what the log-probabilities of a model of rows are taken with respect to, column by column.

    mass       log of the probability of the cell's value: a bit, a count, a category, a grey level
    density    log of the density at the cell's value, per unit of the data
    nothing    the column is left out

Two numbers on the same rows differ by how well two models know the rows only where they agree in this: a
probability is below one, a density has no upper bound and changes with the unit.
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

__all__ = ["DENSITY", "MASS", "NOTHING", "CellKind", "Measure"]

CellKind = Literal["mass", "density", "nothing"]
MASS, DENSITY, NOTHING = get_args(CellKind)
_WORDS = {
    MASS: "probabilities of values",
    DENSITY: "densities at values",
    NOTHING: "nothing, as what is constant is left out,",
}


@dataclass(frozen=True)
class Measure:
    """The kind of every column.

    Attributes:
        kinds: one `CellKind` for each column of a table, or one for all cells.
        masked: which cells are missing has a probability, too.
    """

    kinds: tuple[str, ...]
    masked: bool = False

    def apart(self, other: "Measure") -> tuple[int, ...]:
        """The columns in which two measures differ; (0,) where one kind stands for all cells."""
        width = max(len(self.kinds), len(other.kinds))
        pairs = zip(self._wide(width), other._wide(width), strict=True)
        masked = self.masked != other.masked
        return tuple(i for i, (a, b) in enumerate(pairs) if a != b or masked)

    def words(self, column: int) -> str:
        """The kind of a column in words."""
        kind = _WORDS[cast(CellKind, self.kinds[column if len(self.kinds) > 1 else 0])]
        return f"{kind} and of what is missing" if self.masked else kind

    def _wide(self, width: int) -> tuple[str, ...]:
        return self.kinds * width if len(self.kinds) == 1 else self.kinds
