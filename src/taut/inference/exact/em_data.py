"""The rows that `taut.em` works on: a data set in memory, or a `.npy` file that stays on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from taut.core import InputError
from taut.data import Data, Dataset, Schema, load_data
from taut.inference.exact.row_blocks import Rows

__all__ = ["EMData", "in_memory", "on_disk"]

_HELD_OUT = 10_000  # rows of a file on disk that decide, and as many that are reported
_SAMPLE = 20_000  # rows that online EM starts from


@dataclass(frozen=True, eq=False)
class EMData:
    """Training, validation and test rows.

    Attributes:
        train: what parameters are fitted to; on disk also the held-out rows, which get no weight.
        validation: what the number of components is decided on.
        test: what is reported.
        schema: the form of a row.
        train_index: the training rows' numbers in their source.
        test_index: the test rows' numbers.
        held_out: sorted numbers of the rows of `train` without weight; None where all have some.
        notes: what a reader should know of how the data were read.
        source: the string that loads the data again.
    """

    train: Rows
    validation: Rows
    test: Rows
    schema: Schema
    train_index: Int[np.ndarray, " N"]
    test_index: Int[np.ndarray, " n"]
    held_out: Int[np.ndarray, " h"] | None
    notes: tuple[str, ...]
    source: str | None

    def parts(self) -> Mapping[str, Float[np.ndarray, "n ..."]]:
        """Rows to check, by the name of their part; of a file on disk, the held-out ones."""
        held = {
            "validation": self.validation.read(0, self.validation.num_rows),
            "test": self.test.read(0, self.test.num_rows),
        }
        if self.held_out is not None:
            return held
        return {"training": self.train.read(0, self.train.num_rows), **held}

    def sample(self, seed: int) -> Float[np.ndarray, "n ..."]:
        """Random training rows, at most 20,000."""
        numbers = np.arange(self.train.num_rows)
        if self.held_out is not None:
            numbers = np.delete(numbers, self.held_out)
        if len(numbers) > _SAMPLE:
            generator = np.random.default_rng(seed)
            numbers = np.sort(generator.choice(numbers, _SAMPLE, replace=False))
        return self.train.take(numbers)

    @property
    def num_train(self) -> int:
        """Training rows that have weight."""
        return self.train.num_rows - (0 if self.held_out is None else len(self.held_out))


def in_memory(data: Any) -> EMData:
    """A `Data`, or whatever `load_data` takes, in float64.

    Raises:
        InputError: rows that are binarized anew for each batch, or that stay on disk.
    """
    data = data if isinstance(data, Data) else load_data(data, dtype=np.float64, stream="no")
    if not isinstance(data.train, Dataset):
        raise InputError(
            "rows in memory",
            f"{len(data.train)} training rows that stay on disk",
            "--online with the .npy file, or --stream no",
            where="data",
        )
    if data.schema.binarize == "dynamic":
        raise InputError(
            "rows that stay as they are",
            "--binarize dynamic",
            "--binarize static",
            where="binarize",
        )
    return EMData(
        train=Rows(data.train.x),
        validation=Rows(data.validation.x),
        test=Rows(data.test.x),
        schema=data.schema,
        train_index=data.train.index,
        test_index=data.test.index,
        held_out=None,
        notes=data.notes,
        source=data.source,
    )


def on_disk(source: Any, *, seed: int = 0) -> EMData | None:
    """A `.npy` file of real numbers that is never read whole; None for anything else.

    Held-out rows are random ones, 10,000 for validation and as many for the test, or a tenth each.
    """
    if not isinstance(source, str | Path) or Path(source).suffix != ".npy":
        return None
    rows = Rows(source)
    held = min(_HELD_OUT, rows.num_rows // 10)
    if held < 1 or len(rows.shape) != 1:
        raise InputError(
            "a table of at least ten rows", f"shape {(rows.num_rows, *rows.shape)}",
            "leaving out --online", where=str(source),
        )  # fmt: skip
    chosen = np.random.default_rng(seed).choice(rows.num_rows, 2 * held, replace=False)
    validation, test = np.sort(chosen[:held]), np.sort(chosen[held:])
    spread = rows.spread()
    scale = np.where(spread.variance > 0, np.sqrt(spread.variance), 1.0)
    schema = Schema(
        name=Path(source).stem,
        kind="table",
        shape=rows.shape,
        support="real",
        shift=tuple(spread.mean.tolist()),
        scale=tuple(scale.tolist()),
        dtype="float64",
    )
    return EMData(
        train=rows,
        validation=Rows(rows.take(validation)),
        test=Rows(rows.take(test)),
        schema=schema,
        train_index=np.arange(rows.num_rows),
        test_index=test,
        held_out=np.sort(chosen),
        notes=("held-out rows were drawn at random from the file",),
        source=str(source),
    )
