"""`digits`: 1797 handwritten digits, 8 x 8 grey values 0..16, which scikit-learn carries.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998 (the
test part).
"""

from typing import Any

import numpy as np

from taut.data.sources.rows import Request, Rows, refuse_columns

__all__ = ["read_digits"]


def read_digits(source: str, request: Request) -> tuple[Rows, ...]:
    """All rows in one part, with the digit as label."""
    from sklearn.datasets import load_digits

    refuse_columns(request, source, labels=["digit"])
    bunch: Any = load_digits()
    return (
        Rows(
            values=np.asarray(bunch["images"]).astype(np.int32),
            where=source,
            labels=np.asarray(bunch["target"]),
            label_name="digit",
        ),
    )
