"""What validation says: which rows decide when training stops, and how it ended.

A row that outweighs all others together decides alone when to stop, whatever it is (a slip of the
decimal point, say), and one whose bound is NaN makes every mean NaN. Such rows are told by the model
before its first step, so that a run which is resumed sets the same ones aside.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from taut.core import Estimate
from taut.core.far_positions import far_positions

__all__ = ["Ended", "Ending", "Judges", "ending", "judges"]

Ended = Literal["early", "rising", "level", "not finite", "unknown"]

_LAST = 0.2  # share of the steps over which a rise is looked for
_RISE = 0.1  # of the error over rows: a smaller rise is none that a reader could see


class Judges(NamedTuple):
    """The validation rows that decide.

    Attributes:
        positions: among the validation rows.
        start: their mean bound before the first step, nats per row.
        notes: what a reader should know.
    """

    positions: np.ndarray
    start: float
    notes: tuple[str, ...]


class Ending(NamedTuple):
    """How training ended.

    Attributes:
        how: `early`, as validation no longer rose; `rising`, where it still did at the last step;
            `level`, where it did not; `not finite`, where it never was; `unknown` without validation.
        notes: the same in words, where there is something to do about it.
    """

    how: Ended
    notes: tuple[str, ...]


def judges(start: Estimate) -> Judges:
    """The validation rows without those that outweigh all others, unless no row is left.

    Arguments:
        start: bound of all validation rows before the first step.
    """
    assert start.values is not None
    values, count = start.values, start.count
    far = far_positions(values, errors=math.sqrt(count))
    if not 0 < far.size < count:
        return Judges(np.arange(count), start.value, ())
    kept = np.delete(np.arange(count), far)
    numbers = np.arange(count) if start.index is None else np.asarray(start.index)
    named = ", ".join(f"{numbers[i]} ({values[i]:.4g})" for i in far[:3])
    more = f" and {far.size - 3} more" if far.size > 3 else ""
    note = (
        f"validation looks at {count - far.size} of its {count} rows: row{'s' * (far.size > 1)} {named}"
        f"{more}, by number from 0 with the bound before the first step, would outweigh all others"
    )
    return Judges(kept, float(np.mean(values[kept])), (note,))


def ending(
    history: Iterable[Mapping[str, Any]],
    *,
    start: float,
    num_steps: int,
    planned: int,
    best_step: int,
    epochs: int,
) -> Ending:
    """How a run ended, by its validations.

    It was still rising where the last validation is the best one and lies above the last of the first
    four fifths of the steps by more than three errors over draws and a tenth of the error over rows.

    Arguments:
        history: records of the steps, some with a `validation`.
        start: what validation was before the first step.
        num_steps: steps taken.
        planned: steps that there might have been.
        best_step: whose parameters were kept.
        epochs: that were planned.
    """
    found = {
        int(record["step"]) + 1: Estimate.from_dict(record["validation"])
        for record in history
        if "validation" in record
    }
    if not found:
        return Ending("unknown", ())
    if not any(math.isfinite(e.value) for e in found.values()):
        note = (
            "validation never was finite, so that the parameters of the last step are kept, good or "
            "bad; float64 or a smaller learning rate may help"
        )
        return Ending("not finite", (note,))
    if num_steps < planned:
        note = (
            f"training stopped early, after {num_steps} of {planned} steps: validation was best at "
            f"step {best_step}, whose parameters are kept"
        )
        return Ending("early", (note,))
    last = found[max(found)]
    earlier = [step for step in found if step <= (1 - _LAST) * num_steps]
    before = found[max(earlier)].value if earlier else start
    since = max(earlier) if earlier else 0
    errors = [3 * last.mc_error, _RISE * last.data_error]
    least = max((e for e in errors if math.isfinite(e)), default=0.0)
    if best_step != max(found) or not last.value - before > least:
        return Ending("level", ())
    note = (
        f"validation was still rising at the last step, by {last.value - before:.3g} nats per row since "
        f"step {since} of {num_steps}: more epochs would pay, such as {3 * epochs} for {epochs}"
    )
    return Ending("rising", (note,))
