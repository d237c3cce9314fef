"""What commands print, and the figures that they leave behind.

Standard output holds results: a table, or with --json one JSON object. Standard error holds progress
and complaints.
"""

import contextlib
import json as json_format
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taut.api import Fit
    from taut.data import Data

__all__ = [
    "ESTIMATE_NAMES",
    "draw_figures",
    "finish_em",
    "finish_fit",
    "print_json",
    "training_display",
]

ESTIMATE_NAMES = {
    "elbo": "held-out ELBO",
    "reconstruction": "reconstruction",
    "kl": "KL(q to prior)",
    "log_evidence": "log-evidence",
    "independent_columns": "columns alone",
    "bits_per_dimension": "bits/dimension",
}


@contextlib.contextmanager
def training_display(*, quiet: bool) -> Iterator[Callable[[Any], None] | None]:
    """Live progress on standard error; nothing when it is not a terminal."""
    from rich.console import Console

    from taut.report.progress import ProgressDisplay

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with ProgressDisplay(console) as display:
        yield display.update


def finish_fit(fitted: "Fit", data: "Data", folder: Path, *, json: bool) -> None:
    """Draw the figures of a new run and print its results."""
    draw_figures(fitted, data, folder / "figures")
    if json:
        print_json({"run": str(folder), **results(fitted.estimates), "facts": dict(fitted.facts)})
        return
    from rich.console import Console

    from taut.report import tables

    facts = {**fitted.facts, "run": str(folder), "figures": str(folder / "figures")}
    tables.summary_table(
        Console(),
        {ESTIMATE_NAMES[name]: e for name, e in fitted.estimates.items()},
        facts={name: str(value) for name, value in facts.items()},
    )


def results(estimates: Any) -> dict[str, Any]:
    """Estimates as JSON holds them."""
    return {"estimates": {name: e.to_dict() for name, e in estimates.items()}}


def print_json(content: Any) -> None:
    """One JSON object on standard output."""
    print(json_format.dumps(content, indent=2, allow_nan=False))


def draw_figures(fitted: "Fit", data: "Data", folder: Path) -> None:
    """Learning curves, samples, reconstructions, an interpolation and the latent space."""
    import numpy as np

    from taut.report import figures

    schema = fitted.schema
    form = {"kind": schema.kind, "shape": schema.shape, "columns": schema.columns}
    steps = np.asarray([r["step"] for r in fitted.history])
    looked = [r for r in fitted.history if "validation" in r]
    figures.learning_curves(
        folder / "learning-curves.png",
        steps=steps,
        train_bound=np.asarray([r["bound"] for r in fitted.history]),
        validation_steps=np.asarray([r["step"] for r in looked]),
        validation=np.asarray([float(r["validation"]["value"]) for r in looked]),
        validation_error=np.asarray([float(r["validation"]["data_error"]) for r in looked]),
        best_step=fitted.facts["best step"],
        bound_name=fitted.recipe.bound.name if fitted.recipe.bound else "elbo",
    )
    test = data.test[: min(len(data.test), 512)]
    figures.samples(
        folder / "samples.png",
        np.asarray(fitted.sample(64 if schema.kind == "image" else 1000)),
        data=data.train[:1000].x,
        **form,
    )
    shown = test.x[:16]
    # Where nothing is drawn a reconstruction is the row itself, or what a surjection keeps of it.
    if fitted.architecture.name != "flow" or "elbo" in fitted.estimates:
        figures.reconstructions(
            folder / "reconstructions.png", shown, np.asarray(fitted.reconstruct(shown)), **form
        )
    pairs = [(test.x[i], test.x[-1 - i]) for i in range(min(6, len(test) // 2))]
    if pairs:
        paths = np.stack([np.asarray(fitted.interpolate(a, b)) for a, b in pairs])
        figures.interpolation(
            folder / "interpolation.png", paths, ends=np.stack([np.stack(p) for p in pairs]), **form
        )
    figures.latent_scatter(
        folder / "latents.png", np.asarray(fitted.encode(test)), label=test.label
    )


def finish_em(fitted: "Fit", source: Any, folder: Path, *, json: bool) -> None:
    """Figures and tables into the run folder, results onto standard output."""
    from taut.cli.em_tables import write_tables

    _draw_em(fitted, folder / "figures")
    tables = write_tables(fitted, source, folder)
    if json:
        content = {"run": str(folder), **results(fitted.estimates), "facts": dict(fitted.facts)}
        print_json({**content, "tables": [str(path) for path in tables]})
        return
    from rich.console import Console

    from taut.report import tables as terminal

    names = {
        "log_evidence": "held-out log-evidence",
        "independent_columns": "log-evidence, independent columns",
    }
    facts = {k: str(v) for k, v in fitted.facts.items() if k != "selection"}
    facts |= {"run": str(folder), "tables": ", ".join(path.name for path in tables)}
    terminal.summary_table(
        Console(), {names[n]: e for n, e in fitted.estimates.items()}, facts=facts
    )


def _draw_em(fitted: "Fit", folder: Path) -> None:
    import numpy as np

    from taut.report.figures.em import em_evidence, em_selection

    em_evidence(
        folder / "evidence.png",
        steps=np.asarray([record["step"] for record in fitted.history]),
        log_evidence=np.asarray([record["bound"] for record in fitted.history]),
        per="batch" if "batches" in fitted.facts else "iteration",
    )
    curve = fitted.facts.get("selection")
    if curve:
        column = {key: np.asarray([point[key] for point in curve]) for key in curve[0]}
        em_selection(
            folder / "selection.png",
            components=column["components"],
            validation=column["validation log-evidence"],
            validation_error=column["validation error"],
            training=column["training log-evidence"],
            bic=column["bic"],
            chosen=fitted.facts["components"],
            by=fitted.facts["components chosen by"],
        )
