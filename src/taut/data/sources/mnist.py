"""`mnist:FOLDER`: the four IDX files of MNIST, or of a data set that took over their names.

The `train` files hold training and validation rows, the `t10k` files the test rows.
"""

from pathlib import Path

import numpy as np

from taut.data.sources.files import expanded
from taut.data.sources.idx import read_idx
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, refuse_columns, take_label
from taut.errors import InputError

__all__ = ["read_mnist"]


def read_mnist(source: str, request: Request) -> tuple[RawRows, ...]:
    """Two parts: the rows to train and validate on, and the test rows; the digit as label.

    Raises:
        InputError: no folder, a file that is missing or damaged, or labels that do not match.
    """
    folder = expanded(source.removeprefix("mnist:"))
    if not folder.is_dir():
        raise InputError(
            "a folder with the four idx files",
            f"no folder '{folder}'",
            "mnist:FOLDER with train-images-idx3-ubyte.gz and the other three in it",
            where=source,
        )
    refuse_columns(request, source, labels=["digit"])
    return tuple(_part(folder, prefix) for prefix in ("train", "t10k"))


def _part(folder: Path, prefix: str) -> RawRows:
    images = _find(folder, f"{prefix}-images", "idx3-ubyte")
    labels = _find(folder, f"{prefix}-labels", "idx1-ubyte")
    values = numeric_rows(read_idx(images), images)
    digits = take_label(read_idx(labels), len(values), labels)
    return RawRows(values=values, where=images, labels=digits.astype(np.int32), label_name="digit")


def _find(folder: Path, stem: str, ending: str) -> str:
    for joint in ("-", "."):
        for packed in (".gz", ""):
            file = folder / f"{stem}{joint}{ending}{packed}"
            if file.exists():
                return str(file)
    raise InputError(
        f"the file {stem}-{ending}, or {stem}-{ending}.gz",
        "neither",
        "fetching it into the folder",
        where=str(folder),
    )
