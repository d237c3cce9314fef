"""`PosteriorOptions`: what is refused, and that a dictionary holds all of it."""

import inspect
from dataclasses import fields

import pytest
from targets import types_unchecked

import taut
from taut.core import InputError
from taut.inference.posterior.options import PosteriorOptions

# One value unlike the default for each field; a field without one fails the law below.
OTHER = {
    "guide": "low-rank:4",
    "precision_nats": 0.25,
    "num_starts": 2,
    "init": "pathfinder",
    "num_draws": 500,
    "refine": "none",
    "subsample": {"rows": 1000},
    "precision": "float32",
}
NAMES = [f.name for f in fields(PosteriorOptions)]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_survives_a_dictionary(name):
    options = PosteriorOptions(**{name: OTHER[name]})
    assert options != PosteriorOptions()
    content = options.to_dict()
    assert content[name] == OTHER[name]
    assert None not in content.values()
    assert PosteriorOptions.from_dict(content) == options
    assert PosteriorOptions.from_dict({name: OTHER[name]}) == options


def test_the_options_are_the_keywords_of_infer_with_the_same_defaults():
    keywords = inspect.signature(taut.infer).parameters
    apart = {"target", "data", "support", "key", "out", "force", "resume", "devices"}
    apart |= {"hosts", "host_index", "host_count"}
    assert [n for n in keywords if n not in apart] == NAMES
    for name in NAMES:
        assert keywords[name].default == getattr(PosteriorOptions(), name)


def test_an_empty_table_of_plates_asks_for_all_rows():
    assert PosteriorOptions(subsample={}).subsample is None


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"precision_nats": 0.0}, r"^precision_nats: expected a positive number of nats, got 0\.0\."),
        ({"precision_nats": "1"}, r"^precision_nats: expected a positive .* got '1'\. Try 0\.1"),
        ({"num_starts": 0}, r"^num_starts: expected at least one start, got 0\. Try 4"),
        ({"num_starts": 2.5}, r"^num_starts: expected at least one start, got 2\.5\. Try 4"),
        ({"num_draws": 99}, r"^num_draws: expected at least 100 draws, got 99\. Try 10000"),
        ({"init": "mode"}, r"^init: expected random or pathfinder, got 'mode'\. Try pathfinder"),
        ({"precision": "half"}, r"^precision: expected float32 or float64, got 'half'\. Try float64"),
        ({"subsample": {"rows": 0}}, r"^subsample: expected at least one row of plate 'rows', got 0"),
        ({"num_start": 3}, r"^options: expected an option of taut infer, got 'num_start'\. Try 'num_s"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_used_are_refused(wish, message):
    with types_unchecked(), pytest.raises(InputError, match=message):
        PosteriorOptions.from_dict(wish)


def test_the_least_counts_are_accepted():
    least = PosteriorOptions(num_starts=1, num_draws=100, subsample={"rows": 1})
    assert (least.num_starts, least.num_draws, least.subsample) == (1, 100, {"rows": 1})
