"""Every parameter has a name of its own in a table, however columns and categories are called."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.report.em_tables import write_tables
from taut.sklearn import Mixture

GENERATOR = np.random.default_rng(0)


def components(fit: Any, folder: Any) -> pl.DataFrame:
    write_tables(fit, "", folder)
    return pl.read_csv(folder / "components.csv")


def test_a_logarithm_and_a_column_called_like_it(tmp_path):
    incomes = np.exp(3 + 1.2 * GENERATOR.normal(size=200))
    table = pl.DataFrame({"x": incomes, "log_x": 100 + GENERATOR.normal(size=200)})
    fitted = Mixture(1, columns="mixed", n_init=1, max_iter=2, floor=0.0).fit(table)
    found = fitted.profiles_
    assert found["mean_log_x (column 0)"][0] == pytest.approx(np.log(incomes).mean())
    assert found["mean_log_x (column 1)"][0] == pytest.approx(table["log_x"].mean())
    written = components(fitted.fit_, tmp_path)
    assert written.columns == ["component", "weight", *found]
    assert len(found) == 4


def test_a_category_that_holds_the_sign_between_column_and_category(tmp_path):
    table = pl.DataFrame({
        "a": ["b=c", "d", "e"] * 20, "a=b": ["c", "f", "c", "g"] * 15,
    })  # fmt: skip
    fitted = Mixture(1, columns="mixed", n_init=1, max_iter=2, floor=0.0).fit(table)
    found = fitted.profiles_
    assert found["p(a=b=c) (column 0)"][0] == pytest.approx(1 / 3)
    assert found["p(a=b=c) (column 1)"][0] == pytest.approx(1 / 2)
    assert len(found) == 6


def test_codes_that_are_alike_in_six_digits(tmp_path):
    x = np.column_stack([np.repeat([1234561, 1234562], [30, 10]), np.tile([0, 1], 20)])
    fit = taut.em((x, x, x), model=taut.LCA(), components=1, restarts=1, floor=0.0)
    written = components(fit, tmp_path)
    assert written["p(x0=1234561)"][0] == pytest.approx(0.75)
    assert written["p(x0=1234562)"][0] == pytest.approx(0.25)
