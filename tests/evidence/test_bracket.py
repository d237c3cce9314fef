"""Which number is quoted, what lies above it, which methods are run: by made-up methods and clocks."""

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import CALIBRATED, Datum, Estimate, InputError
from taut.evidence import Escalation, EscalationInterrupted, Evidence, Importance, Step
from taut.evidence.bracket import bracket_of
from taut.evidence.importance import COLUMNS, assembled

ROWS = 100


def evidence(
    value: float, *, error: float = 0.01, flagged: float = 0.0, upper: float | None = None
):
    """Rows around a value; `error` is that of the mean."""
    columns = {name: np.zeros(ROWS) for name in COLUMNS}
    columns["log_evidence"] = value + np.linspace(-1, 1, ROWS)
    columns["log_evidence_error"] = np.full(ROWS, error * math.sqrt(ROWS))
    columns["khat"] = np.where(np.arange(ROWS) < round(flagged * ROWS), 0.9, 0.1)
    found = assembled(columns, Datum(jnp.zeros(ROWS)), num_particles=1000)
    if upper is None:
        return found
    end = Estimate(upper, "none", 0.0, flags=frozenset({CALIBRATED}), count=ROWS)
    return replace(found, upper=end)


def bracket(**found: Evidence) -> Any:
    return bracket_of(tuple(Step(name, one) for name, one in found.items()))


def test_the_width_counts_the_errors_of_both_ends():
    found = bracket(a=evidence(-10, error=0.02, upper=-9.9))
    assert found.ends == (pytest.approx(-10 - 1.96 * 0.02), -9.9)
    assert found.width == pytest.approx(0.1 + 1.96 * 0.02)
    assert bracket(a=evidence(-10)).width == math.inf


def test_one_with_known_errors_is_preferred_and_of_these_the_last():
    known, later = evidence(-10), evidence(-10.02)
    flagged = evidence(-10.1, flagged=0.3)
    assert bracket(a=flagged, b=known).method == "b"
    assert bracket(a=known, b=flagged).method == "a"
    assert bracket(a=known, b=later).method == "b"
    assert bracket(a=flagged, b=evidence(-10.1, flagged=0.5)).method == "a"
    assert "not known" in bracket(a=flagged).why


@pytest.mark.parametrize("flagged", [0.0, 0.3])
def test_another_is_quoted_if_it_is_higher_by_more_than_both_can_be_off(flagged):
    """Known errors add up; an unknown one is below log(20) / 100 = 0.03, but once in twenty."""
    margin = 1.96 * 0.01 * math.sqrt(2) if not flagged else 1.96 * 0.01 + math.log(20) / ROWS
    last = evidence(-10, upper=-9.99)
    higher = bracket(a=evidence(-10 + margin + 0.001, flagged=flagged), b=last)
    assert higher.method == "a"
    assert higher.why == "it is higher than b by more than both can be off"
    # An end that lies below the number that is quoted holds nothing.
    assert higher.upper is None
    assert higher.width == math.inf
    assert bracket(a=evidence(-10 + margin - 0.001, flagged=flagged), b=last).method == "b"


def test_an_end_of_another_method_counts_where_the_quoted_one_has_none():
    found = bracket(a=evidence(-10.1, upper=-9.8), b=evidence(-10))
    assert (found.method, found.upper_method) == ("b", "a")
    assert found.width == pytest.approx(0.2 + 1.96 * 0.01)
    ends = {"a": evidence(-10.1, upper=-9.5), "b": evidence(-10.05, upper=-9.8)}
    found = bracket(**ends, c=evidence(-10))  # the later one costs more and can do more
    assert (found.method, found.upper_method, found.ends[1]) == ("c", "b", -9.8)


def test_an_exact_number_is_its_own_end():
    exact = evidence(-10)
    exact = replace(exact, log_evidence=replace(exact.log_evidence, side="exact", mc_error=0.0))
    found = bracket(a=exact)
    assert found.width == 0
    assert found.upper is found.lower


class Clock:
    """Time that passes only when something is done."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """Methods that find what they are told to, at a price for each row."""

    def __init__(self, *found: Evidence | None, price: float = 0.01, compiled: bool = True):
        self.clock, self.price, self.done = Clock(), price, []
        self.found, self.compiled = found, compiled
        self.methods = [Importance(10 + i) for i in range(len(found))]

    def measured(self, method: Any, rows: Datum) -> Evidence:
        number = method.num_particles - 10
        found, count = self.found[number], len(rows.x)
        self.clock.now += self.price * count * 10**number
        if not self.compiled:
            self.clock.now, self.compiled = self.clock.now + 10, True
        self.done.append((number, count))
        if found is None:
            raise InputError("latents that move", "latents that do not", "another", where="made up")
        return found

    def known(self, method: Any) -> Evidence:
        self.clock.now += self.price * 10 ** (method.num_particles - 10)
        lower = evidence(-8)
        return replace(lower, upper=evidence(-7.99).log_evidence)

    def __call__(self, *, rows: int = ROWS, num_simulated: int = 1, **options: Any) -> Any:
        how_far = Escalation(clock=self.clock, **options)
        return how_far(
            self.methods, Datum(jnp.zeros(rows)),
            measured=self.measured, known=self.known, num_simulated=num_simulated,
        )  # fmt: skip


FLAGGED, FINE = evidence(-11, flagged=0.5), evidence(-10)


def test_it_stops_at_the_first_bracket_that_is_narrow_enough():
    rig = Rig(FLAGGED, FINE, FINE)
    found = rig()
    assert found.stopped == "precision"
    assert [s.method for s in found.steps] == ["importance"] * 2
    assert found.lower.value == FINE.log_evidence.value
    assert FLAGGED.log_evidence.value < found.ends[0] < -10 < found.ends[1]
    assert found.steps[1].raised == pytest.approx(1)
    assert found.steps[0].evidence.notes == ("no upper end: its errors over draws are not known",)
    assert Rig(FLAGGED, FINE, FINE)(precision_nats=1e-4).stopped == "methods"


def test_what_does_not_apply_is_left_out_with_its_reason():
    found = Rig(FLAGGED, None, FINE)()
    assert found.steps[1].reason == "not for latents that do not"
    assert found.stopped == "precision"
    with pytest.raises(InputError, match="latents that do not"):
        Rig(None, None)()


@pytest.mark.parametrize(("seconds", "begun"), [(0.5, 1), (5, 1), (15, 2), (500, 3)])
def test_a_method_that_would_take_longer_than_what_is_left_is_not_begun(seconds, begun):
    """For 100 rows they take 1, 10 and 100 s, as 16 of them tell; the first one runs in any case."""
    rig = Rig(FLAGGED, FLAGGED, FLAGGED)
    found = rig(seconds=seconds)
    assert [number for number, count in rig.done if count == ROWS] == list(range(begun))
    assert found.stopped == ("methods" if begun == 3 else "seconds")
    assert rig.clock.now <= max(seconds, 1) + 2 * 0.16 * 10 ** min(begun, 2)


def test_the_time_of_a_compiler_is_not_that_of_more_rows():
    """Ten seconds for one row are not a thousand for a hundred simulated ones."""
    found = Rig(FINE, compiled=False)(rows=1, num_simulated=100, seconds=20)
    assert found.stopped == "precision"
    slow = Rig(FINE, price=1.0)(rows=1, num_simulated=100, seconds=20)
    assert slow.upper is None
    assert slow.steps[0].evidence.notes == ("no upper end: no time is left for simulated rows",)


def test_no_longer_run_of_a_method_whose_end_the_rows_withhold():
    harder = replace(FINE, notes=("no upper end: the rows are harder",), harder=True)

    def tried(first: Evidence) -> Any:
        rig = Rig(first, evidence(-10, upper=-9.99))
        how_far = Escalation(clock=rig.clock, precision_nats=1e-4)

        def ended(method: Any) -> Evidence:
            raise InputError("made-up ends", "rows without", "another", where="made up")

        return how_far(
            rig.methods, Datum(jnp.zeros(ROWS)), measured=rig.measured, known=ended, num_simulated=1
        )

    found = tried(harder)
    assert found.stopped == "methods"
    assert "harder than simulated ones" in found.steps[1].reason
    # Of unknown errors the number may be mended; and elsewhere the end may come.
    assert tried(replace(FLAGGED, harder=True)).steps[1].evidence is not None
    assert tried(FINE).steps[1].evidence is not None


def test_the_simulated_rows_are_part_of_the_price_where_only_an_end_is_wanted():
    """A second method for 100 rows takes 10 s; both ends of 100 simulated ones 20 s."""
    wide = evidence(-10, error=1.0)
    options: Any = {"num_simulated": 100, "seconds": 25, "precision_nats": 1e-4}
    assert Rig(wide, FINE)(**options).steps[1].evidence is None
    assert Rig(FLAGGED, FINE)(**options).steps[1].evidence is not None
    assert Rig(wide, FINE)(**(options | {"seconds": 60})).steps[1].evidence is not None


def test_an_interrupt_keeps_what_was_done():
    rig = Rig(FLAGGED, FINE, FINE)
    whole = rig.measured

    def interrupted(method: Any, rows: Datum) -> Evidence:
        if method.num_particles == 12:
            raise KeyboardInterrupt
        return whole(method, rows)

    rig.measured = interrupted
    with pytest.raises(EscalationInterrupted) as caught:
        rig(precision_nats=1e-4)
    kept = caught.value.bracket
    assert kept.stopped == "interrupted"
    assert kept.lower.value == FINE.log_evidence.value
    assert [s.evidence is not None for s in kept.steps] == [True, True, False]
    assert caught.value.exit_code == 130
    rig.measured = lambda method, rows: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt) as first:
        rig()
    assert not isinstance(first.value, EscalationInterrupted)


@pytest.mark.parametrize(
    "options", [{"precision_nats": 0.0}, {"seconds": -1.0}, {"seconds": math.nan}]
)
def test_what_cannot_be_reached_is_refused(options):
    with pytest.raises(InputError, match=f"{next(iter(options))}: expected a number of .* above 0"):
        Escalation(**options)
