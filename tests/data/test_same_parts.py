"""A file that is named for two parts of three is told, for its rows are then in both."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse

from taut.data import load_data

RNG = np.random.default_rng(0)
NUMBERS = [RNG.normal(size=(20, 3)) for _ in range(3)]
for rows in NUMBERS:
    rows[::5, 1] = np.nan
TABLES = [
    pl.DataFrame({"a": x[:, 0], "b": pl.Series(x[:, 1]).fill_nan(None), "c": list("mmfx" * 5)})
    for x in NUMBERS
]
COUNTS = [scipy.sparse.csr_array(RNG.poisson(0.5, (20, 6))) for _ in range(3)]
TRAINED = "what is called held out was trained on"
TOLD = {
    (0, 1, 2): [],
    (0, 1, 1): ["validation and test rows are the same: what is chosen on them is measured on"],
    (0, 1, 0): [f"training and test rows are the same: {TRAINED}"],
    (0, 0, 1): [
        "training and validation rows are the same: what is chosen on them is chosen on rows"
    ],
    (0, 0, 0): ["training and validation rows are", TRAINED, "validation and test rows are"],
}


@pytest.mark.parametrize("kind", [NUMBERS, TABLES, COUNTS], ids=["numbers", "table", "sparse"])
@pytest.mark.parametrize("chosen", TOLD)
def test_parts_of_the_same_rows_are_told(kind, chosen):
    notes = [n for n in load_data(tuple(kind[i] for i in chosen)).notes if "are the same" in n]
    assert len(notes) == len(TOLD[chosen])
    for note, words in zip(notes, TOLD[chosen], strict=True):
        assert words in note


def test_files_are_known_by_their_rows(tmp_path):
    first, second = (str(tmp_path / f"{name}.csv") for name in "ab")
    for path in (first, second):
        TABLES[0].write_csv(path)
    assert any(TRAINED in note for note in load_data(f"{first},{first},{second}").notes)


def test_rows_in_another_order_or_with_another_category_are_others():
    shuffled = TABLES[0].reverse()
    renamed = TABLES[0].with_columns(c=pl.col("c").replace("m", "q"))
    for other in (shuffled, renamed):
        notes = load_data((TABLES[0], TABLES[1], other)).notes
        assert not any("are the same" in note for note in notes)
