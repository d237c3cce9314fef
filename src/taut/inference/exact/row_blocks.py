"""Rows in blocks: what a pass over a row source, in memory or on disk, gives to a compiled program.

A block is (chunks, rows of a chunk, *shape), padded with rows of weight 0, in float64; a compiled scan
over its chunks is what a pass over the data consists of. The number of rows of a chunk follows from how
many numbers the model holds for each; rows that are fewer make one chunk, filled up to a power of two,
so that folds and samples of other sizes share the program.

NaN is a cell that was not observed, in rows that may have such. In a pass for sums, rows are put
together by the number of their missing cells, since a model's work grows with the most of a block.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from taut.core import InputError, option
from taut.core.devices import num_devices, share
from taut.data import ColumnMoments, Dataset, RowSource, resolution, resolved_rows
from taut.data.resolution import RESOLVED_ROWS
from taut.inference.exact.distinct import distinct_rows
from taut.models import AbstractExactModel
from taut.models.exact import Holes, holes_of

__all__ = ["Block", "RowBlocks", "Spread"]

_CHUNK_CELLS = 2**18  # 2 MiB: what a core keeps near
_FEWEST = 2**8  # rows that take no time worth a program of their own
# Numbers of a pass: a program is made in the time of a few hundred passes over so many, which take 3 ms.
_WORTH_A_PROGRAM = 2**21
_MASK = 2**9  # numbers that rows with holes cost more, where all holes cost the same
_MANY_CELLS = 2**25  # of whole numbers, 256 MiB of float64: more are made block by block, each pass
_BLOCK_CELLS = 2**21  # 16 MiB of rows made at a time; several are there at once


class Block(NamedTuple):
    """Padded rows on the device.

    Attributes:
        x: (chunks, rows, *shape).
        weight: of a row, 1 where they have none, and 0 of padding, (chunks, rows).
        mask: True where a cell is observed, of the shape of x, which is 0 elsewhere; None when all are.
        places: of the missing cells, as of `Holes`, (chunks, rows, m); None where not asked for.
    """

    x: Float[Array, "M C ..."]
    weight: Float[Array, "M C"]
    mask: Bool[Array, "M C ..."] | None = None
    places: Int[Array, "M C m"] | None = None

    @property
    def holes(self) -> Holes | None:
        """Of one chunk."""
        if self.mask is None or self.places is None:
            return None
        return Holes(self.mask, self.places)


class Spread(NamedTuple):
    """What is known of each cell before a model is, from the rows where it is observed.

    Attributes:
        mean: of the row's shape, data units; 0 for a cell that never is observed.
        variance: dividing by their number; 0 exactly where the cell is constant, 1 where it never is
            observed.
        rounding: the variance that rounding of the values alone may cause.
        least: the variance that the resolution of the values leaves unknown, and at least `rounding`.
    """

    mean: Float[np.ndarray, "..."]
    variance: Float[np.ndarray, "..."]
    rounding: Float[np.ndarray, "..."]
    least: Float[np.ndarray, "..."]


class RowBlocks:
    """Rows to pass over, in float64.

    Arguments:
        rows: a row source, or an array (N, *shape) of numbers; real rows in memory stay on the device.
        where: what the rows are, for messages.
        holes: whether NaN in an array is a cell that was not observed; a row source tells itself.
        weight: how often each row in memory counts, (N,), above 0; once when None.
        numbers: of the rows of an array in the data that they came from, (N,); their places when None.
            A row source tells itself.
        once: whether there is one pass, for which whole numbers are not made real all together.

    Attributes:
        num_rows: N.
        total: the sum of the weights.
        weight: of the rows; None where each counts once.
        shape: of a row.

    Raises:
        InputError: no rows, or values that are not finite (found in the first pass).
    """

    def __init__(
        self,
        rows: RowSource | np.ndarray,
        where: str = "rows",
        *,
        holes: bool = False,
        weight: Float[np.ndarray, " N"] | None = None,
        numbers: Int[np.ndarray, " N"] | None = None,
        once: bool = False,
    ):
        self.weight, self._numbers = weight, numbers
        self._source = rows if isinstance(rows, RowSource) else None
        self.holes = holes if self._source is None else self._source.schema.holes
        many = _BLOCK_CELLS if once else _MANY_CELLS
        if isinstance(rows, Dataset) and not (rows.coded and rows.cells.size > many):
            rows = rows.x
            self.holes = self.holes and bool(np.isnan(rows).any())
        assert weight is None or isinstance(rows, np.ndarray)  # in memory
        self._rows: RowSource | np.ndarray = rows
        whole = rows.shape if isinstance(rows, np.ndarray) else (len(rows), *rows.schema.shape)
        if len(whole) < 2 or whole[0] < 1 or 0 in whole:
            raise InputError(
                "at least one row of at least one cell", f"shape {whole}", "rows on the first axis",
                where=where,
            )  # fmt: skip
        self.num_rows, self.shape, self.where = whole[0], whole[1:], where
        self.total = self.num_rows if self.weight is None else float(self.weight.sum())
        self._resident: tuple[Any, list[Block]] | None = None
        self._spread: Spread | None = None
        self._sample: np.ndarray | None = None
        self._distinct: tuple[np.ndarray, np.ndarray] | None = None
        self._most: int | None = None

    @property
    def in_parts(self) -> bool:
        """Whether the rows are read or made a part at a time, in every pass."""
        return not isinstance(self._rows, np.ndarray)

    @property
    def size(self) -> int:
        """Cells in a row."""
        return int(np.prod(self.shape))

    @property
    def alike(self) -> bool:
        """Whether each row counts once and has all its cells."""
        return not self.holes and self.weight is None

    def read(self, first: int, last: int) -> Float[np.ndarray, "N ..."]:
        """Rows first, ..., last - 1."""
        if isinstance(self._rows, np.ndarray):
            return np.asarray(self._rows[first:last], np.float64)
        return np.asarray(self._rows.read(first, last).x, np.float64)

    def take(self, positions: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n ..."]:
        """Rows by their positions."""
        if isinstance(self._rows, np.ndarray):
            return np.asarray(self._rows[positions], np.float64)
        return np.asarray(self._rows.take(positions).x, np.float64)

    def sample(self) -> Float[np.ndarray, "n ..."]:
        """Rows that tell what each column is like on its own.

        Random ones, by position; of weighted rows the quantiles of the sorted ones.
        """
        if self._sample is None and self.weight is None:
            self._sample = self.take(resolved_rows(self.num_rows))
        elif self._sample is None:
            x, weight = self.distinct()
            reached = np.cumsum(weight)
            share = (np.arange(RESOLVED_ROWS) + 0.5) / RESOLVED_ROWS
            self._sample = x[np.searchsorted(reached[:-1], share * reached[-1])]
        return self._sample

    def distinct(self) -> tuple[Float[np.ndarray, "n ..."], Float[np.ndarray, " n"]]:
        """The rows that differ, sorted, and their weights; of rows in memory that have some."""
        if self._distinct is None:
            assert self.weight is not None
            self._distinct = distinct_rows(self.read(0, self.num_rows), self.weight)
        return self._distinct

    def numbers(self, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The rows' numbers in the data that they came from."""
        if self._source is not None:
            return self._source.numbers(positions)
        return positions if self._numbers is None else self._numbers[positions]

    def number(self, position: int) -> int:
        """That of one row."""
        return int(self.numbers(np.array([position]))[0])

    def in_order(self, model: AbstractExactModel, *, width: int = 0) -> Iterator[Block]:
        """All rows once, in order, without the places of their holes.

        Arguments:
            model: that is applied to each row.
            width: numbers that will be held for each row of a chunk, at least.
        """
        own = model.width_with_holes(self.size) if self.holes else model.width
        yield from self._blocks(max(own, width), None)

    def blocks(self, model: AbstractExactModel) -> Iterator[Block]:
        """All rows once, for sums over them: in order where they have no holes.

        Arguments:
            model: whose sums; it tells how many numbers are held for each row of a chunk.
        """
        if not self.holes:
            yield from self._blocks(model.width, None)
        elif isinstance(self._rows, np.ndarray):
            name = (model.width, model.width_with_holes(self.size))
            yield from self._kept(name, lambda: self._grouped(model))
        else:
            most = max(1, self.most_missing)  # a model has no program for none
            yield from self._blocks(model.width_with_holes(most), most)

    def _blocks(self, width: int, most: int | None) -> Iterator[Block]:
        chunk = self._chunk(width, self.num_rows)

        def cut(first: int, last: int, num_chunks: int | None = None) -> Block:
            rows = self.read(first, last)
            return padded(
                rows, chunk, num_chunks=num_chunks, holes=self.holes, most=most,
                weight=None if self.weight is None else self.weight[first:last],
            )  # fmt: skip

        if isinstance(self._rows, np.ndarray):
            yield from self._kept(chunk, lambda: [cut(0, self.num_rows)])
            return
        height = max(1, _BLOCK_CELLS // (chunk * self.size)) * chunk
        height = min(height, -(-self.num_rows // chunk) * chunk)
        for first in range(0, self.num_rows, height):
            yield cut(first, min(first + height, self.num_rows), height // chunk)

    def _kept(self, name: Any, made: Callable[[], list[Block]]) -> list[Block]:
        """Blocks of rows in memory, kept on the device between passes."""
        if self._resident is None or self._resident[0] != name:
            self._resident = (name, made())
        return self._resident[1]

    def _grouped(self, model: AbstractExactModel) -> list[Block]:
        """Rows with as many missing cells, or nearly, in one block."""
        x, blocks = self.read(0, self.num_rows), []
        missing = np.isnan(x).reshape(len(x), -1).sum(axis=1)
        # Of columns that are independent given the component, all holes cost the same.
        even = model.width_with_holes(1) == model.width_with_holes(self.size)

        def width(most: int) -> int:
            return model.width_with_holes(most) if most else model.width

        def cost(most: int) -> int:
            return _MASK * (most > 0) if even else width(most)

        for few, most in _ranges(missing, cost):
            those = (missing >= few) & (missing <= most)
            chosen = x[those]
            chunk = self._chunk(width(most), len(chosen))
            weight = None if self.weight is None else self.weight[those]
            blocks.append(padded(chosen, chunk, holes=most > 0, most=most, weight=weight))
        return blocks

    def _chunk(self, width: int, num_rows: int) -> int:
        own = -(-num_rows // num_devices())
        most = max(1, _CHUNK_CELLS // max(width, self.size))
        return min(most, max(_FEWEST, 1 << (own - 1).bit_length()))

    @property
    def most_missing(self) -> int:
        """Missing cells of the row that has most; found in a pass."""
        if self._most is None:
            counts = (np.isnan(part).reshape(len(part), -1).sum(axis=1) for part in self.parts())
            self._most = max(int(count.max()) for count in counts)
        return self._most

    def spread(self) -> Spread:
        """What is known of every cell, from one pass.

        Raises:
            InputError: a value is not finite, or all rows are equal.
        """
        if self._spread is not None:
            return self._spread
        moments = ColumnMoments(self.size)
        first = 0
        for part in self.parts():
            bad = np.isinf(part) if self.holes else ~np.isfinite(part)
            if bad.any():
                place = tuple(np.argwhere(bad)[0].tolist())
                raise InputError(
                    "finite numbers", f"{part[place]} in row {self.number(first + place[0])}",
                    option("missing", "drop-rows"), where=self.where,
                )  # fmt: skip
            moments.add(
                part, None if self.weight is None else self.weight[first : first + len(part)]
            )
            first += len(part)
        if not (moments.varies & (moments.counts > 0)).any():
            raise InputError(
                "rows that differ", f"{self.num_rows} identical ones", "data with some variation",
                where=self.where,
            )  # fmt: skip
        seen = moments.counts > 0
        largest = np.where(seen, np.maximum(np.abs(moments.low), np.abs(moments.high)), 1.0)
        rounding = (8 * np.finfo(np.float64).eps * largest) ** 2
        mean = np.where(moments.varies, moments.mean, moments.low)
        variance = np.where(moments.varies, moments.variance, 0.0)
        variance = np.where(seen, variance, 1.0)
        least = self._resolution().ravel() ** 2 / 12
        found = (mean, variance, rounding, np.maximum(least, rounding))
        self._spread = Spread(*(a.reshape(self.shape) for a in found))
        return self._spread

    def _resolution(self) -> Float[np.ndarray, "..."]:
        """h of every cell; of weighted rows by some of those that differ.

        Quantiles of sorted rows would not do: they lie further apart in the column that sorts them.
        """
        if self.weight is None:
            return resolution(self.sample())
        x, weight = self.distinct()
        some = resolved_rows(len(x))
        return resolution(x[some], weight[some])

    def parts(self) -> Iterator[Float[np.ndarray, "n ..."]]:
        """All rows in order, some at a time."""
        height = max(1, _BLOCK_CELLS // self.size)
        for first in range(0, self.num_rows, height):
            yield self.read(first, min(first + height, self.num_rows))


def padded(
    x: Float[np.ndarray, "N ..."],
    chunk: int,
    *,
    num_chunks: int | None = None,
    holes: bool = False,
    most: int | None = None,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Block:
    """Rows cut into chunks; the padding repeats the first row, with weight 0.

    Arguments:
        x: the rows.
        chunk: rows of each chunk.
        num_chunks: as many as hold the rows when None; more where several devices share them, to the
            next number that these divide.
        holes: whether NaN is a missing cell.
        most: of them in a row, for their places; None for none.
        weight: of each row; 1 when None.
    """
    chunks = num_chunks or -(-len(x) // chunk)
    count = -(-chunks // num_devices()) * num_devices()
    missing = count * chunk - len(x)
    weight = np.concatenate([np.ones(len(x)) if weight is None else weight, np.zeros(missing)])
    if missing:
        x = np.concatenate([x, np.broadcast_to(x[:1], (missing, *x.shape[1:]))])
    mask = ~np.isnan(x) if holes else None
    places = None if mask is None or most is None else np.asarray(holes_of(mask, most).places)
    x = x if mask is None else np.where(mask, x, 0.0)

    def chunked(rows: np.ndarray | None) -> Any:
        if rows is None:
            return None
        chunks = rows.reshape(count, chunk, *rows.shape[1:])
        # Not jnp.asarray, which compiles a program for each shape.
        return jax.device_put(chunks) if num_devices() == 1 else share(chunks)

    return Block(*map(chunked, (x, weight, mask, places)))


def _ranges(missing: Int[np.ndarray, " N"], cost: Callable[[int], int]) -> list[tuple[int, int]]:
    """The least and most missing cells of the rows of each group, by what passes and programs cost.

    Arguments:
        missing: cells of each row.
        cost: numbers held for a row of a group whose rows miss so many cells at most.
    """
    values, counts = np.unique(missing, return_counts=True)
    least, first = [0], []  # cost of the rows up to each value, and where their last group begins
    for last, most in enumerate(values.tolist()):
        rows = np.cumsum(counts[last::-1])[::-1]  # of the group, by where it begins
        totals = np.asarray(least) + rows * cost(most) + _WORTH_A_PROGRAM
        first.append(int(np.argmin(totals)))
        least.append(int(totals[first[-1]]))
    ranges, last = [], len(values) - 1
    while last >= 0:
        ranges.append((int(values[first[last]]), int(values[last])))
        last = first[last] - 1
    return ranges[::-1]
