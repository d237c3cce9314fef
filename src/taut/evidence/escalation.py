"""From cheap to costly methods, until the evidence lies in a bracket that is narrow enough.

Each method gives a lower end. Where its errors are known, the same method then gives both ends for
rows that the model makes, and the gap between these an upper end for the rows at hand (`calibrated`).
The next method begins only if the bracket (`bracket`) is still too wide. Each number is that of the
method alone, with the same key; the clock decides only which methods are run. An interrupt ends the last
one, and what the others found is handed on with it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax

from taut.core import Datum, InputError, num_rows, option
from taut.core.hosts import told_by_first
from taut.core.kept_rows import clock
from taut.core.memory import TooMuchMemory
from taut.evidence.abstract import AbstractMethod
from taut.evidence.bidirectional import calibrated
from taut.evidence.bracket import Bracket, Step, Stopped, bracket_of
from taut.evidence.importance import Evidence
from taut.signals import Interrupted

__all__ = ["Escalation", "EscalationInterrupted"]

_PILOT_ROWS = 16  # a block of most methods
_ENDS = 2  # that a method gives of simulated rows, where it gives one of others


class EscalationInterrupted(Interrupted):
    """An interrupt after some methods were done.

    Arguments:
        bracket: that these give.
        interrupt: what ended the next one.
    """

    def __init__(self, bracket: Bracket, interrupt: KeyboardInterrupt):
        super().__init__(bracket.why_stopped, Interrupted.of(interrupt).number)
        self.bracket = bracket


@dataclass(frozen=True)
class Escalation:
    """How far to go.

    Attributes:
        precision_nats: width of the bracket of the mean at which it is narrow enough, nats per row.
        seconds: that all methods may take. One that would take longer than what is left, by the time
            that it takes for a few rows, is not begun; one that has begun is finished, and so is the
            first. Where a number with known errors stands, only an upper end narrows the bracket, and
            its simulated rows are part of the price.
        clock: seconds that go by.
    """

    precision_nats: float | int = 0.1
    seconds: float | int = 300.0
    clock: Callable[[], float] = clock

    def __post_init__(self):
        for name, unit in (("precision_nats", "nats"), ("seconds", "seconds")):
            value = getattr(self, name)
            if not value > 0:
                default = type(self).__dataclass_fields__[name].default
                raise InputError(
                    f"a number of {unit} above 0", f"{value}", f"{default}", where=option(name)
                )

    def __call__(
        self,
        methods: Sequence[AbstractMethod],
        rows: Datum,
        *,
        measured: Callable[[AbstractMethod, Datum], Evidence],
        known: Callable[[AbstractMethod], Evidence],
        num_simulated: int,
        begun: Callable[[str], None] | None = None,
    ) -> Bracket:
        """The bracket of the rows' mean.

        Arguments:
            methods: in the order of their cost.
            rows: a batched datum.
            measured: a method's evidence of rows.
            known: its evidence of simulated rows, with both ends.
            num_simulated: how many those are.
            begun: told the name of each method that is begun.

        Raises:
            InputError: no method takes the model; that of the first one.
            EscalationInterrupted: Ctrl-C after some methods were done.
        """
        run = _Run(rows, measured, known, num_simulated, self.seconds, self.clock, self.clock())
        steps: tuple[Step, ...] = ()
        bracket, refused = None, None
        for i, method in enumerate(methods):
            try:
                before = self.clock()
                if bracket is not None:
                    if why := _no_use(method, methods[:i], steps):
                        steps += (Step(method.label, reason=why),)
                        continue
                    if why := run.too_long(method, bracket):
                        steps += (Step(method.label, reason=why),)
                        return _ended(bracket, steps, "seconds", why)
                if begun is not None:
                    begun(method.label)
                step = run.step(method, before)
            except InputError as error:
                refused = refused or error
                steps += (Step(method.label, reason=_not_for(error)),)
                continue
            except KeyboardInterrupt as interrupt:
                if bracket is None:
                    raise
                why = f"interrupted in {method.label}: what the methods before it found stands"
                steps += (Step(method.label, reason="interrupted"),)
                ended = _ended(bracket, steps, "interrupted", why)
                raise EscalationInterrupted(ended, interrupt) from None
            standing, bracket = bracket, bracket_of((*steps, step))
            assert bracket is not None
            raised = math.nan if standing is None else bracket.lower.value - standing.lower.value
            steps += (replace(step, raised=raised, width=bracket.width),)
            if reason := self._reason_to_stop(bracket, run):
                return _ended(bracket, steps, *reason)
        if bracket is None:
            assert refused is not None
            raise refused
        return _ended(bracket, steps, "methods", "no other method applies")

    def _reason_to_stop(self, bracket: Bracket, run: "_Run") -> tuple[Stopped, str] | None:
        """Why no other method is needed, or allowed, and the same in words."""
        if bracket.lower.side == "exact":
            return "exact", "it is exact"
        if told_by_first(bracket.width) <= self.precision_nats:
            return "precision", f"the bracket is at most {self.precision_nats:g} nats wide"
        if run.left() <= 0:
            return "seconds", f"{self.seconds:g} s are spent"
        return None


@dataclass(frozen=True)
class _Run:
    """One escalation: rows, and the time that goes by.

    Attributes:
        rows, measured, known, num_simulated: as of `Escalation.__call__`.
        seconds, clock: as of `Escalation`.
        started: what the clock said at the beginning.
    """

    rows: Datum
    measured: Callable[[AbstractMethod, Datum], Evidence]
    known: Callable[[AbstractMethod], Evidence]
    num_simulated: int
    seconds: float | int
    clock: Callable[[], float]
    started: float

    def left(self) -> float:
        """Seconds that all other methods may take."""
        return self.seconds - (self.clock() - self.started)

    def step(self, method: AbstractMethod, before: float) -> Step:
        """What a method finds, with an upper end if there is time for one.

        Arguments:
            method: that is run.
            before: what the clock said when its turn came.

        Raises:
            InputError: the method does not take the model.
        """
        evidence = self.measured(method, self.rows)
        more = _ENDS * self.num_simulated
        in_time = (self.clock() - before) * more / num_rows(self.rows) <= self.left()
        if not in_time and self.left() > 0:  # of few rows most of the time is that of a compiler
            in_time = self._needed(method, more) <= self.left()
        evidence = _with_upper(evidence, method, self.known, in_time=in_time)
        return Step(method.label, evidence, self.clock() - before)

    def too_long(self, method: AbstractMethod, bracket: Bracket) -> str:
        """Why a method would not end in time; empty where it would, by what a few rows take."""
        needed, more = 0.0, num_rows(self.rows) - _PILOT_ROWS
        if more > _PILOT_ROWS:
            known_errors = math.isfinite(bracket.lower.mc_error)
            more += _ENDS * self.num_simulated if known_errors else 0
            needed = self._needed(method, more)
        if needed <= self.left():
            return ""
        return (
            f"{method.label} would take about {needed:.0f} s of the "
            f"{max(self.left(), 0):.0f} s that are left"
        )

    def _needed(self, method: AbstractMethod, more: int) -> float:
        """Seconds for so many more rows, as far as it matters; 0 for a method that takes none."""
        few = jax.tree.map(lambda leaf: leaf[:_PILOT_ROWS], self.rows)
        needed = math.inf
        # The first time a program is compiled, too: the second tells more, where it could decide.
        for _ in range(2):
            before = self.clock()
            try:
                self.measured(method, few)
            except InputError:
                return 0.0
            needed = (self.clock() - before) * more / num_rows(few)
            if needed <= self.left():
                break
        return needed


def _ended(bracket: Bracket, steps: tuple[Step, ...], stopped: Stopped, why: str) -> Bracket:
    return replace(bracket, steps=steps, stopped=stopped, why_stopped=why)


def _no_use(method: AbstractMethod, others: Sequence[AbstractMethod], steps: Sequence[Step]) -> str:
    """Why a longer run of the method before it would narrow no bracket; empty where it may.

    Rows that are harder than simulated ones stay so, and the end above them is withheld again.
    """
    last = steps[-1].evidence if steps else None
    if not (last is not None and last.harder and type(method) is type(others[-1])):
        return ""
    if not math.isfinite(last.log_evidence.mc_error):
        return ""
    return f"no upper end by more of {steps[-1].method}: the rows are harder than simulated ones"


def _with_upper(
    evidence: Evidence,
    method: AbstractMethod,
    known: Callable[[AbstractMethod], Evidence],
    *,
    in_time: bool,
) -> Evidence:
    """The evidence with a calibrated end, or with the reason why it has none."""
    if evidence.log_evidence.side == "exact" or evidence.upper is not None:
        return evidence
    if not math.isfinite(evidence.log_evidence.mc_error):
        why = "its errors over draws are not known"
    elif not in_time:
        why = "no time is left for simulated rows"
    else:
        try:
            return calibrated(evidence, known(method))
        except InputError as error:
            why = _not_for(error)
    return replace(evidence, notes=(*evidence.notes, f"no upper end: {why}"))


def _not_for(error: InputError) -> str:
    """Why a method does not apply, in words."""
    if isinstance(error, TooMuchMemory):
        return "it takes more memory than there is"
    return f"not for {error.parts[1]}"
