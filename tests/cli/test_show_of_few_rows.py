"""`taut show` tells how a table is read however few rows it has, also where no fit could split them."""

import json

import pytest

from taut.cli.main import main
from taut.data import DEFAULT_SPLIT, load_data
from taut.data.split import plan_of
from taut.errors import InputError

ROWS = ["1.5,2,x", "3,4,y", "0.5,1,x", "2.5,7,x", "4,0,y"]


def table(folder, rows, name="t.csv"):
    path = folder / name
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    return str(path)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_table(number, tmp_path, capsys):
    assert main(["show", table(tmp_path, ROWS[:number]), "--json"]) == 0
    columns = json.loads(capsys.readouterr().out)["columns"]
    kinds = [column["kind"] for column in columns.values()]
    assert kinds == (["constant"] * 3 if number == 1 else ["real", "count", "categorical"])


def test_a_part_of_training_rows_beside_one_of_test_rows():
    plan = plan_of([2, 3], DEFAULT_SPLIT, 0, "folder", unsplit=True)
    assert [(part, rows.tolist()) for part, rows in plan] == [(0, [0, 1]), (0, []), (1, [0, 1, 2])]


def test_the_kinds_of_its_columns_can_be_edited(tmp_path):
    out = tmp_path / "columns.toml"
    assert main(["show", table(tmp_path, ROWS[:2]), "--out", str(out)]) == 0
    assert 'kind = "count"' in out.read_text()


def test_a_fit_still_wants_a_row_in_every_part(tmp_path):
    with pytest.raises(
        InputError, match="expected at least one row in every part, got parts of 2, 0"
    ):
        load_data(table(tmp_path, ROWS[:2]))
