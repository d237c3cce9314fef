"""The table of `taut gradients`."""

from rich.console import Console

from taut.audit import GradientBench, GradientMoments
from taut.errors import Door
from taut.report.tables import _print_line, _print_table, facts_table

__all__ = ["gradients_table"]


def gradients_table(console: Console, bench: GradientBench, *, door: Door = "Python") -> None:
    """Print every estimator's bias, variance and cost by group of parameters, and which to take."""
    rows = []
    for measure in sorted(bench.measures, key=lambda m: m.variance_times_cost(bench.group)):
        for group, moments in measure.moments.items():
            first = group == next(iter(measure.moments))
            rows.append(
                (
                    measure.name if first else "",
                    group,
                    _bias(moments),
                    _with_error(moments.variance, moments.variance_error),
                    f"{measure.evaluations.model} + {measure.evaluations.guide}" if first else "",
                    f"{measure.milliseconds:.3g}" if first else "",
                    f"{measure.variance_times_cost(group):.3g}",
                    "biased" if moments.biased else "",
                )
            )
    headings = [
        "estimator", "parameters", "bias, %", "variance", "evaluations", "ms", "variance x ms", "",
    ]  # fmt: skip
    _print_table(console, headings, rows, words=(0, 1, 7))
    _print_line(
        console,
        f"Bias: |mean gradient - reference| in per cent of |reference|, which is {bench.reference}; "
        "where it is not resolved, the largest within two standard errors. "
        "Variance: trace of the covariance over draws, (nats per row)^2 per unit of parameter^2. "
        "Evaluations: of model + guide, per row and step.",
    )
    for measure in bench.measures:
        if measure.departure is not None:
            _print_line(console, f"{measure.name}: {measure.departure}")
    if bench.refused:
        reasons = {name: error.worded(door) for name, error in bench.refused.items()}
        facts_table(console, "not served", reasons)
    name = bench.recommended or "none"
    facts_table(console, "recommended", {name: bench.why})


def _bias(moments: GradientMoments) -> str:
    if not moments.biased:
        return f"not resolved, below {100 * moments.relative_bias_limit:.2g}"
    return f"{100 * moments.relative_bias:.2g} ± {100 * moments.relative_bias_error:.1g}"


def _with_error(value: float, error: float) -> str:
    return f"{value:.3g} ± {error:.1g}"
