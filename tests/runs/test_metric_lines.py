"""The lines of steps are JSON, whatever the numbers, and come back as they went."""

import json

import numpy as np

from taut.core import Estimate
from taut.runs.metric_lines import append_lines, keep_lines, read_lines

BOUND = np.array([-1.5, np.nan, np.inf, -np.inf, 2.0])


def refused(word):
    raise AssertionError(f"{word} is no JSON")


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    validation = Estimate.from_rows([1.0, 3.0], side="lower")
    append_lines(path, 7, {"bound": BOUND, "norm": np.arange(5)}, validation)
    plain = [json.loads(line, parse_constant=refused) for line in path.read_text().splitlines()]
    assert [line["step"] for line in plain] == [7, 8, 9, 10, 11]
    assert [line["bound"] for line in plain] == [-1.5, None, None, None, 2.0]
    assert [line["norm"] for line in plain] == [0, 1, 2, 3, 4]
    assert ["validation" in line for line in plain] == [False, False, False, False, True]
    assert read_lines(path, "bound") == plain
    assert Estimate.from_dict(plain[-1]["validation"]).value == 2.0


def test_lines_from_a_step_on_are_dropped_with_one_that_was_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_lines(path, 0, {"bound": BOUND}, None)
    with path.open("a") as file:
        file.write('{"step": 5, "bo')
    assert len(read_lines(path)) == 5
    kept = keep_lines(path, 3, "bound")
    assert [line["step"] for line in kept] == [0, 1, 2]
    assert read_lines(path, "bound") == kept
