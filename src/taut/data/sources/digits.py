"""`digits`: 1797 handwritten digits, 8 x 8 grey values 0..16, which scikit-learn carries.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998 (the
test part).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from taut.data.sources.raw_rows import RawRows, Request, refuse_columns

__all__ = ["read_digits"]

_FILE = Path("datasets", "data", "digits.csv.gz")


def read_digits(source: str, request: Request) -> tuple[RawRows, ...]:
    """All rows in one part, with the digit as label."""
    refuse_columns(request, source, labels=["digit"])
    images, digits = _images_and_digits()
    return (
        RawRows(
            values=images.astype(np.int32),
            where=source,
            labels=digits.astype(np.int64),
            label_name="digit",
        ),
    )


def _images_and_digits() -> tuple[np.ndarray, np.ndarray]:
    """The numbers of `sklearn.datasets.load_digits`.

    They are read from its file, where that is in place, because importing scikit-learn takes longer
    than everything else before a first training step.
    """
    package = find_spec("sklearn")
    path = Path(package.origin).parent / _FILE if package and package.origin else _FILE
    if path.exists():
        table = np.loadtxt(path, delimiter=",")
        return table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return np.asarray(bunch["images"]), np.asarray(bunch["target"])
