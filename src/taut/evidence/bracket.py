"""The evidence as a bracket: which of several numbers to quote, and how far above it the truth may lie.

    low = lower - 1.96 errors over draws                 high = upper + 1.96 errors over draws

`lower` is in expectation at most log p(x). `upper` is the same number where log p(x) is known exactly;
else it is calibrated (`bidirectional`), no bound, and holds as far as the rows are like those that the
model makes; its errors are within it, and high is the end itself. Both are means over rows, and so are
low, high and the width between them.

Which lower end is quoted. The largest of several noisy numbers is too large, so that a number is not
taken for being the largest. Later methods cost more and can do more: the last one whose errors are
known (k-hat above its threshold for no more rows than chance puts there) is quoted, or, where none has
known errors, the one with the fewest such rows. Another is quoted in its place only if it is higher by
more than both can be off:

    1.96 sqrt(errors^2 + other errors^2)     of two known errors
    1.96 errors + log(20) / N                where one is unknown, over N rows

the second by Markov's inequality: the N estimates are independent and each unbiased for p(x), so that
P(mean of logs > mean of log p + s) <= exp(-N s), whatever the tails of the weights; s = log(20) / N
makes it 0.05.
The number in whose place it is quoted has then missed a part of the posterior.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from taut.core import CALIBRATED, Estimate
from taut.core.json_numbers import finite_or_none
from taut.evidence.importance import Evidence

__all__ = ["Bracket", "Step", "Stopped", "bracket_of"]

Stopped = Literal["exact", "precision", "seconds", "methods", "interrupted"]

_NORMAL = 1.96
_CHANCE = 0.05


@dataclass(frozen=True)
class Step:
    """What one method did.

    Attributes:
        method: its name.
        evidence: what it found; None where it was not run.
        seconds: that it took, its upper end included.
        reason: why it was not run; empty where it was.
        raised: by how much it raised the number to quote, nats; NaN for the first number.
        width: of the bracket after it, nats; infinite without an upper end.
    """

    method: str
    evidence: Evidence | None = None
    seconds: float = 0.0
    reason: str = ""
    raised: float = math.nan
    width: float = math.inf

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        content: dict[str, Any] = {"method": self.method, "seconds": round(self.seconds, 2)}
        if self.evidence is None:
            return content | {"reason": self.reason}
        found = self.evidence
        content |= {
            "log_evidence": found.log_evidence.to_dict(),
            "upper": found.upper and found.upper.to_dict(),
            "share_unreliable": found.share_unreliable,
            "raised": finite_or_none(self.raised),
            "width": finite_or_none(self.width),
        }
        return content | ({"notes": list(found.notes)} if found.notes else {})


@dataclass(frozen=True)
class Bracket:
    """The number to quote, an end above it, and how both were found.

    Attributes:
        lower: the number to quote, nats per row.
        upper: the end above it; None where no method gave one.
        method: that gave the number.
        upper_method: that gave the end above; empty without one.
        why: the number is quoted, in words.
        steps: all methods, in the order in which they were tried.
        stopped: `exact`, the `precision` is reached, the `seconds` are spent, no other `methods`, or
            `interrupted`.
        why_stopped: the same in words.
    """

    lower: Estimate
    upper: Estimate | None
    method: str
    upper_method: str
    why: str
    steps: tuple[Step, ...]
    stopped: Stopped | None = None
    why_stopped: str = ""

    @property
    def evidence(self) -> Evidence:
        """All that the method found whose number is quoted, with the end above it."""
        found = next(s.evidence for s in self.steps if s.evidence and s.method == self.method)
        return replace(found, log_evidence=self.lower, upper=self.upper)

    @property
    def ends(self) -> tuple[float, float]:
        """low and high, nats per row; infinite where an error or the upper end is not known."""
        error = _NORMAL * self.lower.mc_error
        low = self.lower.value - error if math.isfinite(error) else -math.inf
        if self.upper is None:
            return low, math.inf
        if CALIBRATED in self.upper.flags:
            return low, self.upper.value
        if not math.isfinite(self.upper.mc_error):
            return low, math.inf
        return low, self.upper.value + _NORMAL * self.upper.mc_error

    @property
    def width(self) -> float:
        """high - low, nats per row; infinite where one of them is not known."""
        low, high = self.ends
        return high - low if math.isfinite(low) and math.isfinite(high) else math.inf

    def without_bound(self) -> "Bracket":
        """The same of a density without a bound."""
        return self._with(Estimate.without_bound, Evidence.without_bound)

    def noted(self, *notes: str, flag: str) -> "Bracket":
        """The same with notes beside what each method found, and a flag on each number."""
        return self._with(lambda e: e.flagged(flag), lambda found: found.noted(*notes, flag=flag))

    def _with(
        self, number: Callable[[Estimate], Estimate], evidence: Callable[[Evidence], Evidence]
    ) -> "Bracket":
        steps = (replace(s, evidence=s.evidence and evidence(s.evidence)) for s in self.steps)
        return replace(
            self,
            lower=number(self.lower),
            upper=self.upper and number(self.upper),
            steps=tuple(steps),
        )

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        low, high = self.ends
        return {
            "lower": self.lower.to_dict(),
            "upper": self.upper and self.upper.to_dict(),
            "method": self.method,
            "upper_method": self.upper_method or None,
            "low": finite_or_none(low),
            "high": finite_or_none(high),
            "width": finite_or_none(self.width),
            "why": self.why,
            "stopped": self.stopped,
            "why_stopped": self.why_stopped,
            "steps": [step.to_dict() for step in self.steps],
        }


def bracket_of(steps: tuple[Step, ...]) -> Bracket | None:
    """The bracket that these methods give; None where none of them was run.

    Arguments:
        steps: in the order of their cost.
    """
    found = [_Found(s.method, s.evidence) for s in steps if s.evidence is not None]
    if not found:
        return None
    quoted, why = found[0], ""
    for one in found[1:]:
        quoted, why = _preferred(quoted, one, why)
    lower = quoted.evidence.log_evidence
    if lower.side == "exact":
        return Bracket(lower, lower, quoted.method, quoted.method, "it is exact", steps)
    if not why:
        why = (
            "it is the last whose errors are known"
            if quoted.known
            else "its errors are not known, nor those of another"
        )
    above = [f for f in found if f.evidence.upper and f.evidence.upper.value >= lower.value]
    ending = next((f for f in above if f is quoted), above[-1] if above else None)
    upper = ending and ending.evidence.upper
    return Bracket(lower, upper, quoted.method, ending.method if ending else "", why, steps)


class _Found(NamedTuple):
    method: str
    evidence: Evidence

    @property
    def known(self) -> bool:
        return math.isfinite(self.evidence.log_evidence.mc_error)


def _preferred(standing: _Found, later: _Found, why: str) -> tuple[_Found, str]:
    """The one of two to quote, and why where it is not for its place."""
    if standing.known != later.known:
        first = standing if standing.known else later
    elif standing.known or later.evidence.share_unreliable <= standing.evidence.share_unreliable:
        first = later
    else:
        first = standing
    other = later if first is standing else standing
    a, b = first.evidence.log_evidence, other.evidence.log_evidence
    known = [e.mc_error for e in (a, b) if math.isfinite(e.mc_error)]
    margin = _NORMAL * math.hypot(*known)
    if len(known) < 2:
        margin -= math.log(_CHANCE) / a.count
    if b.value - a.value > margin:
        missed = f"it is higher than {first.method} by more than both can be off"
        return other, missed
    return first, why if first is standing else ""
