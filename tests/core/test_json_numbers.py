"""What JSON has no number for is a word that is read back, or nothing."""

import json
import math

import pytest

from taut.core.json_numbers import finite_or_none, number_or_word


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.1, -0.0, 3.0])
def test_numbers_come_back_from_strict_json(value):
    def refused(word):
        raise AssertionError(f"{word} is no JSON")

    written = json.dumps(number_or_word(value), allow_nan=False)
    back = float(json.loads(written, parse_constant=refused))
    assert str(back) == str(value)


def test_what_is_not_finite_is_left_open():
    assert [finite_or_none(v) for v in (math.inf, -math.inf, math.nan, 0.1)] == [None] * 3 + [0.1]
