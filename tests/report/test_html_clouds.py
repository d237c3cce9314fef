"""Points on a page have the class of their own row, and every point has one."""

import re

import numpy as np

from taut.data import Schema
from taut.report.html.rows import _clouds

SCHEMA = Schema("t", "table", (2,), "real")


def test_numbers_are_told_in_five_parts_of_equal_size():
    label = np.random.default_rng(0).permutation(100) / 7
    clouds = _clouds(np.stack([label, -label], axis=1), label, SCHEMA)
    assert [len(cloud.x) for cloud in clouds] == [20] * 5
    for cloud in clouds:
        ends = re.fullmatch(r"(\S+) to (\S+)", cloud.label)
        assert ends is not None
        assert float(ends[1]) - 0.01 <= cloud.x.min() < cloud.x.max() <= float(ends[2]) + 0.01
        np.testing.assert_array_equal(cloud.y, -cloud.x)


def test_classes_are_told_by_their_names():
    label = np.take(["Ulm", "Bonn", "Kiel"], np.arange(30) % 3)
    number = {"Bonn": 0, "Kiel": 1, "Ulm": 2}
    u = np.asarray([[number[str(name)], 5.0] for name in label])
    clouds = _clouds(u, label, SCHEMA)
    assert {cloud.label: set(cloud.x.tolist()) for cloud in clouds} == {
        name: {float(place)} for name, place in number.items()
    }
    assert sum(len(cloud.x) for cloud in clouds) == 30
