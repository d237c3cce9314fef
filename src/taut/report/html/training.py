"""How a run went: the bound over steps, the evidence over iterations of EM, rounds of an ascent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from taut.core import Estimate, counted
from taut.fitted.facts import EMFacts, FitFacts
from taut.report.curves import reduced, shown_limits
from taut.report.html.markup import Markup
from taut.report.html.svg import Band, Line, Points, Rule, plot

__all__ = ["chosen_components", "course", "rounds"]

_FEW = 20  # steps, which are all shown


def course(history: Sequence[Mapping[str, Any]], facts: FitFacts | None) -> Markup | None:
    """The bound of each step, and of the validation rows; None without steps.

    Arguments:
        history: records as in metrics.jsonl.
        facts: of a finished run.
    """
    if not history or "bound" not in history[0]:
        return None
    em = facts is not None and facts.em is not None
    train = reduced(_steps(history), _numbers(history, "bound"))
    looked = [record for record in history if "validation" in record]
    found = [Estimate.from_dict(record["validation"]) for record in looked]
    at = _steps(looked)
    values = np.asarray([estimate.value for estimate in found])
    errors = np.asarray([estimate.data_error for estimate in found])
    name = "log-evidence of the training rows" if em else "bound of training batches"
    marks: list[Any] = []
    if em:
        marks.append(Line(train.steps, train.mean, "c0", name))
    else:
        if not np.array_equal(train.low, train.high, equal_nan=True):
            marks.append(Band(train.steps, train.low, train.high, "c0"))
        marks.append(Line(train.steps, train.smooth, "c0", f"{name}, running mean"))
    if found:
        marks.append(Band(at, values - errors, values + errors, "c1"))
        marks.append(Line(at, values, "c1", "validation rows, ± standard error"))
        marks.append(Points(at, values, "c1"))
    kept = None
    if facts is not None and not em:
        kept = _kept(facts.best_step, at, values)
        marks.append(Rule(x=float(facts.best_step), label=f"kept: step {facts.best_step}"))
    last = f"; validation ended at {values[-1]:.2f}" if found else ""
    return plot(
        marks, title="Nats per row after each step",
        x="iteration" if em else "step", y="nats per row",
        says=f"{counted(len(history), 'step')}, from {train.mean[0]:.2f} to {train.mean[-1]:.2f}{last}",
        limits=None if len(history) < _FEW else shown_limits(train, at, values, kept), whole=True,
    )  # fmt: skip


def chosen_components(em: EMFacts) -> Markup | None:
    """The curve that the number of components was chosen from; None where there was one number."""
    if not em.selection:
        return None
    points = sorted(em.selection, key=lambda point: point.components)
    at = np.asarray([point.components for point in points], np.float64)
    validation = np.asarray([point.validation for point in points])
    errors = np.asarray([point.validation_error for point in points])
    training = np.asarray([point.training for point in points])
    return plot(
        [
            Band(at, validation - errors, validation + errors, "c1"),
            Line(at, validation, "c1", "validation rows, ± standard error"),
            Line(at, training, "c0", "training rows"),
            Rule(x=float(em.components), label=f"chosen by {em.chosen_by}: {em.components}"),
        ],
        title="Log-evidence by the number of components", x="components", y="nats per row",
        whole=True,
    )  # fmt: skip


def rounds(history: Sequence[Mapping[str, Any]]) -> Markup | None:
    """The bound after each round of a posterior's ascent; None of fewer than two."""
    if len(history) < 2:
        return None
    at, bound = _numbers(history, "num_steps"), _numbers(history, "bound")
    errors = _numbers(history, "bound_error")
    return plot(
        [
            Band(at, bound - errors, bound + errors, "c0"),
            Line(at, bound, "c0", "ELBO on fresh draws, ± standard error"),
            Points(at, bound, "c0", radius=3),
        ],
        title="The bound after each round of the ascent", x="steps", y="nats",
        whole=True,
    )  # fmt: skip


def _numbers(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """One number of each record; NaN for null, or where it is not there."""
    return np.asarray([np.nan if r.get(name) is None else r[name] for r in records], np.float64)


def _steps(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """How many steps were taken until each record, which counts them from 0."""
    return _numbers(records, "step") + 1


def _kept(step: int, at: np.ndarray, values: np.ndarray) -> float | None:
    """The validation value after the step whose parameters are kept."""
    found = values[(at == step) & np.isfinite(values)]
    return float(found[0]) if found.size else None
