"""`predictor.safetensors`: the arrays of what predicts a target, which tell its kind."""

from pathlib import Path
from typing import Any

import numpy as np

from taut.core import write_atomically
from taut.fitted.class_latent import ClassLatent
from taut.fitted.conditional import Conditional
from taut.fitted.heads import LogisticHead, RidgeHead
from taut.fitted.propagation import PropagatedHead
from taut.fitted.stacked import StackedHead
from taut.runs import reading
from taut.runs.packed import packed
from taut.runs.reading import read_arrays

__all__ = ["Predictor", "load_predictor", "save_predictor"]

Predictor = LogisticHead | PropagatedHead | RidgeHead | Conditional | ClassLatent | StackedHead
_PREDICTORS: dict[Any, Any] = {
    frozenset(kind._fields): kind
    for kind in (LogisticHead, PropagatedHead, RidgeHead, Conditional, ClassLatent)
}
_FILE = "predictor.safetensors"


def save_predictor(folder: Path, predictor: Predictor) -> None:
    """Write `predictor.safetensors` into an existing folder, in one step."""
    stacked = isinstance(predictor, StackedHead)
    content = predictor.arrays() if stacked else predictor._asdict()
    arrays = {name: np.asarray(array) for name, array in content.items()}
    write_atomically(folder / _FILE, lambda file: file.write(packed(arrays)))


def load_predictor(folder: Path) -> Predictor | None:
    """What `save_predictor` wrote; None where there is none.

    Raises:
        InputError: a damaged file.
    """
    if not (folder / _FILE).exists():
        return None
    arrays = read_arrays(folder / _FILE, sealed=True)
    with reading(folder / _FILE):
        stacked = StackedHead.from_arrays(arrays)
        return _PREDICTORS[frozenset(arrays)](**arrays) if stacked is None else stacked
