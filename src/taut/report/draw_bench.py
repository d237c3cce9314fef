"""The figure of a bench of gradients: variance against time."""

from pathlib import Path

from taut.audit import GradientBench
from taut.report import figures

__all__ = ["draw_bench"]


def draw_bench(bench: GradientBench, folder: Path) -> tuple[Path, ...]:
    """Draw the estimators in the group of parameters that the recommendation looks at.

    Arguments:
        bench: what `gradient_bench` returned.
        folder: where to write gradients.png.

    Returns:
        the file.
    """
    group = [measure.moments[bench.group] for measure in bench.measures]
    path = figures.gradients(
        folder / "gradients.png",
        [measure.name for measure in bench.measures],
        [measure.milliseconds for measure in bench.measures],
        [moments.variance for moments in group],
        [moments.variance_error for moments in group],
        [measure.biased for measure in bench.measures],
        group=bench.group,
    )
    return (path,)
