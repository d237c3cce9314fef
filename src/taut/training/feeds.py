"""Feeds: where the rows of the next steps come from.

    ResidentFeed    all training rows on the device; a step picks its rows by number
    StreamedFeed    rows on disk, or in memory as whole numbers; the rows of the next steps are gathered
                    and sent while the device works on the present ones

Either hands the loop rows on the device and row numbers into them, which the one compiled program takes.
Which rows step t sees is a function of (seed, t) alone. Streamed rows come in chunks of K steps, chunk c
holding those of steps c K, ..., c K + K - 1, so that how the loop cuts its dispatches changes nothing.
"""

import abc
import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np

from taut.core import Datum, num_rows, padded_block
from taut.core.devices import current_mesh, on_all
from taut.data import (
    Dataset,
    Gatherer,
    RowSource,
    StreamedRows,
    batch_indices,
    label_strata,
    observed,
)

__all__ = ["MOST_STEPS", "AbstractFeed", "ResidentFeed", "StreamedFeed", "Supply", "feed_of"]

MOST_STEPS = 512  # per dispatch: the size of the compiled row-number buffer
_SMALL_BYTES = 2**24  # rows that are copied before they are sent
_CHUNK_BYTES = 2**25  # of streamed rows; two chunks are on the device at a time


class Supply(NamedTuple):
    """What a dispatch works on.

    Attributes:
        rows: on the device.
        order: places in them, (most steps, batch size), of which the first `num_steps` rows are valid.
        num_steps: steps that it suffices for.
    """

    rows: Datum
    order: np.ndarray
    num_steps: int


class AbstractFeed(abc.ABC):
    """Rows for consecutive steps."""

    num_rows: int

    @abc.abstractmethod
    def supply(self, first_step: int, most: int) -> Supply:
        """The rows of steps first_step, first_step + 1, ..., at least of one and at most of `most`."""


class ResidentFeed(AbstractFeed):
    """All rows on the device.

    Arguments:
        rows: training rows, a batched datum; where few of them have a label, batches and weights are
            those of `label_strata`.
        batch_size: rows a step.
        seed: of their order, that of `batch_indices`.
    """

    def __init__(self, rows: Datum, *, batch_size: int, seed: int):
        self.num_rows = num_rows(rows)
        self._strata = label_strata(rows.label, batch_size)
        if self._strata is not None:
            weights = self._strata.weights.astype(rows.x.dtype)
            rows = eqx.tree_at(lambda r: r.weight, rows, weights, is_leaf=lambda leaf: leaf is None)
        if sum(leaf.nbytes for leaf in jax.tree.leaves(rows)) <= _SMALL_BYTES:
            # The program is compiled for the number of rows: one for each doubling. No step picks these.
            rows, _ = padded_block(rows, 0, width=1 << (self.num_rows - 1).bit_length())
        self._rows = on_all(rows) if current_mesh() else jax.device_put(rows)
        self._batch_size, self._seed = batch_size, seed

    def supply(self, first_step: int, most: int) -> Supply:
        count = min(most, MOST_STEPS)
        order = np.zeros((MOST_STEPS, self._batch_size), np.int32)
        if self._strata is not None:
            order[:count] = self._strata.indices(self._seed, first_step, count)
        else:
            order[:count] = batch_indices(
                self._seed, first_step, count, self.num_rows, self._batch_size
            )
        return Supply(self._rows, order, count)


class StreamedFeed(AbstractFeed):
    """Rows that are read or made as they are needed, one chunk ahead of the device.

    Arguments:
        rows: training rows.
        batch_size: rows a step.
        seed: of their order, that of `taut.data.row_order`.
        num_steps: steps in all; none beyond them is prepared.
    """

    def __init__(self, rows: RowSource, *, batch_size: int, seed: int, num_steps: int):
        self.num_rows = len(rows)
        self._schema = rows.schema
        assert isinstance(rows, StreamedRows | Dataset)
        self._gatherer = (
            Gatherer(rows, batch_size, seed)
            if isinstance(rows, StreamedRows)
            else _Picked(rows, batch_size, seed)
        )
        self._batch_size, self._num_steps = batch_size, num_steps
        self._steps = max(1, min(MOST_STEPS, _CHUNK_BYTES // (batch_size * rows.row_bytes)))
        self._places = np.arange(self._steps * batch_size, dtype=np.int32)
        self._chunks: dict[int, Future[Datum]] = {}
        # One worker: gathering goes through the windows in order, and holds one at a time.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="taut-feed")

    def supply(self, first_step: int, most: int) -> Supply:
        chunk, done = divmod(first_step, self._steps)
        for old in [c for c in self._chunks if c not in (chunk, chunk + 1)]:
            self._chunks.pop(old).cancel()
        for wanted in (chunk, chunk + 1):
            if wanted not in self._chunks and wanted * self._steps < self._num_steps:
                self._chunks[wanted] = self._submit(wanted)
        order = np.roll(self._places.reshape(-1, self._batch_size), -done, axis=0)
        return Supply(self._chunks[chunk].result(), order, min(most, self._steps - done))

    def _submit(self, chunk: int) -> "Future[Datum]":
        # The switch holds for one thread; the worker is another.
        precise = jax.dtypes.canonicalize_dtype(np.float64) == np.float64

        def prepare() -> Datum:
            x, index = self._gatherer.gather(chunk * self._steps, self._steps)
            mask = observed(x, self._schema)
            with jax.enable_x64(precise):
                rows = Datum(x, mask, index=index)
                return on_all(rows) if current_mesh() else jax.device_put(rows)

        # Of this thread: over which devices the rows are shared out.
        return self._worker.submit(partial(contextvars.copy_context().run, prepare))


class _Picked:
    """The rows of consecutive steps in the order of `batch_indices`, made of what is held of them."""

    def __init__(self, rows: Dataset, batch_size: int, seed: int):
        self._rows, self._batch_size, self._seed = rows, batch_size, seed

    def gather(self, first_step: int, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of steps first_step, ..., first_step + num_steps - 1 and their numbers."""
        order = batch_indices(self._seed, first_step, num_steps, len(self._rows), self._batch_size)
        rows = self._rows.take(order.ravel())
        return rows.x, rows.index


def feed_of(rows: Datum | RowSource, *, batch_size: int, seed: int, num_steps: int) -> AbstractFeed:
    """The feed for rows on the device, or for a source that holds them in another form."""
    if isinstance(rows, Datum):
        return ResidentFeed(rows, batch_size=batch_size, seed=seed)
    return StreamedFeed(rows, batch_size=batch_size, seed=seed, num_steps=num_steps)
