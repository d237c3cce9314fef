"""The figures of counterfactuals: rows and answers, the way between them, and what it is like."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as FilePath

from taut.counterfactuals import Counterfactuals
from taut.counterfactuals.diagnostics import Path
from taut.data import Schema
from taut.report import figures
from taut.report.draw_fit import row_form

__all__ = ["EXPLAIN_FIGURES", "draw_explain"]

EXPLAIN_FIGURES: tuple[str, str, str] = (  # the last of images alone
    "answers.png", "along.png", "path.png",
)  # fmt: skip


def draw_explain(
    found: Counterfactuals, paths: Sequence[Path], schema: Schema
) -> Mapping[str, Callable[[FilePath], FilePath]]:
    """How to draw each figure, by the name of its file."""
    form = row_form(schema)

    def answers(path: FilePath) -> FilePath:
        answer, reached = found.answers[:, 0], found.reached[:, 0]
        return figures.answers(path, found.x, found.reconstruction, answer, reached, **form)

    def along(path: FilePath) -> FilePath:
        return figures.along_path(
            path, [p.scores for p in paths], [p.log_density for p in paths],
            level=found.level, density_of=found.density_of,
        )  # fmt: skip

    def strip(path: FilePath) -> FilePath:
        return figures.path_strip(path, [p.x for p in paths], shape=schema.shape)

    drawn = dict(zip(EXPLAIN_FIGURES, (answers, along, strip), strict=True))
    if schema.kind != "image":
        del drawn["path.png"]
    return drawn
