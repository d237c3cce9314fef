"""Labels that are a code or a word for a missing cell: refused or dropped, and of a target no label."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.core import InputError
from taut.data import has_label, load_rows

_EVERY_FIFTH = np.arange(40) % 5 == 0
LABELS: dict[str, np.ndarray] = {
    "whole": np.where(_EVERY_FIFTH, -999, np.arange(40) % 2),
    "real": np.where(_EVERY_FIFTH, -999.0, np.arange(40) / 7),
    "float32": np.where(_EVERY_FIFTH, -999.0, np.arange(40) / 7).astype(np.float32),
    "text": np.where(_EVERY_FIFTH, "-999", np.array(["no", "yes"])[np.arange(40) % 2]),
    "spelled": np.where(_EVERY_FIFTH, " -999.0 ", np.array(["no", "yes"])[np.arange(40) % 2]),
    **{
        word: np.where(_EVERY_FIFTH, word, np.array(["no", "yes"])[np.arange(40) % 2])
        for word in ("?", " NA", "null", "")
    },
}


def _with_label(door: str, label: np.ndarray, folder: Path) -> Any:
    x = np.random.default_rng(0).normal(size=(40, 2))
    if door == "npz":
        np.savez(folder / "t.npz", x=x, y=label)
        return f"{folder / 't.npz'}:x"
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": label})
    if door == "csv":
        frame.write_csv(folder / "t.csv")
        return folder / "t.csv"
    return frame


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("door", ["csv", "polars", "npz"])
def test_codes_and_words_of_missing_cells_are_no_labels(tmp_path, door, label):
    source = _with_label(door, LABELS[label], tmp_path)
    codes: dict[str, Any] = {"missing_codes": -999}
    with pytest.raises(InputError, match="8 infinite cell or empty labels in 8 rows"):
        taut.load_data(source, label="y", **codes)
    data = taut.load_data(source, label="y", missing="drop-rows", **codes)
    assert sum(map(len, (data.train, data.validation, data.test))) == 32
    assert data.schema.classes in (None, ("no", "yes"))
    again = load_rows(source, data.schema, missing="drop-rows", **codes)
    np.testing.assert_array_equal(np.sort(again.index), np.flatnonzero(~_EVERY_FIFTH))
    data = taut.load_data(source, target="y", **codes)
    labels = [part[:].label for part in data.parts().values()]
    assert sum((~has_label(label)).sum() for label in labels if label is not None) == 8


@pytest.mark.parametrize("label", ["whole", "real", "float32", "far"])
@pytest.mark.parametrize("door", ["csv", "polars", "pandas", "npz", "objects"])
def test_whole_numbers_beside_empty_ones_stay_whole(tmp_path, door, label):
    """A type of whole numbers has no place for an empty one, which leaves with its row."""
    numbers = {**LABELS, "far": np.where(_EVERY_FIFTH, -999.0, 2.0**40)}[label]
    empty = [None if e else v for e, v in zip(_EVERY_FIFTH, numbers.tolist(), strict=True)]
    x, codes = np.random.default_rng(0).normal(size=(40, 2)), ()
    if door == "objects":
        source: Any = (x, np.array(empty, dtype=object))
    elif door == "pandas":
        source = pytest.importorskip("pandas").DataFrame({"a": x[:, 0], "b": x[:, 1], "y": empty})
    else:
        source, codes = _with_label(door, numbers, tmp_path), (-999,)
    own = {} if door == "objects" else {"label": "y"}
    data = taut.load_data(source, missing="drop-rows", missing_codes=codes, **own)
    wanted = numbers[data.train.index]
    kind = "i" if label == "whole" else "f"
    found: Any = data.train.label
    assert found.dtype.kind == kind
    np.testing.assert_array_equal(found, wanted.astype(found.dtype))
    again = load_rows(source, data.schema, missing="drop-rows", missing_codes=codes)
    assert again.label is not None
    assert again.label.dtype == found.dtype
