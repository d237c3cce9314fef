"""`taut gradients`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.output import print_json
from taut.cli.rows import open_run, rows_of
from taut.cli.save import drawn_where_possible
from taut.cli.whole import Whole
from taut.errors import InputError, nearest, option

if TYPE_CHECKING:
    from taut.api import Fit
    from taut.audit import GradientBench
    from taut.bounds import AbstractBound

__all__ = ["gradients"]


def gradients(
    run: Path,
    /,
    *,
    bound: Literal["elbo", "iwae", "renyi"] | None = None,
    num_particles: Whole | None = None,
    kl: Literal["auto", "closed", "sampled"] | None = None,
    estimators: str | None = None,
    rows: Whole = 32,
    split: Literal["train", "validation", "test"] = "test",
    num_repeats: Whole = 100,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Bias, variance and cost of every gradient estimator at a fitted model, and which to take.

    RUN/figures/gradients.png shows variance against time.

    Parameters
    ----------
    run
        Run folder.
    bound
        What is differentiated. [default: the run's]
    num_particles
        Draws of z per row; several estimators need at least two. [default: the run's, at least 2]
    kl
        KL of the ELBO, closed or sampled. [default: the run's]
    estimators
        Names with commas between them. [default: all that serve]
    rows
        Rows of the batch, which are held fixed.
    split
        Part of the run's own data that they are from.
    num_repeats
        Independent gradients of each estimator.
    seed
        Random seed of the draws.
    json
        Print the results as JSON on standard output.
    """
    import jax

    from taut.audit import gradient_bench
    from taut.core import Datum
    from taut.report.draw_bench import draw_bench

    if rows < 1:
        raise InputError("at least one row", f"{rows}", "32", where="rows")
    fitted = open_run(run)
    chosen = _chosen(estimators)
    differentiated = _bound(fitted, bound, num_particles, kl)
    batch = rows_of(fitted, data=None, split=split)[:rows].datum()
    with jax.enable_x64(fitted.precision == "float64"):
        bench = gradient_bench(
            fitted.pair,
            Datum(batch.x, batch.mask, None, batch.index, batch.weight),
            differentiated,
            estimators=chosen,
            key=jax.random.key(seed),
            num_repeats=num_repeats,
        )
    picture = drawn_where_possible(
        run / "figures" / "gradients.png", lambda path: draw_bench(bench, path.parent)[0]
    )
    if json:
        print_json({"run": str(run), "figure": picture and str(picture), **_plain(bench)})
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.gradients import gradients_table

    console = Console()
    gradients_table(console, bench, door="command line")
    if picture is not None:
        tables.facts_table(console, "figure", {"variance against time": str(picture)})


def _bound(
    fitted: "Fit", name: str | None, num_particles: int | None, kl: str | None
) -> "AbstractBound":
    """The run's own bound, with what was given instead; an ELBO with at least two draws."""
    from taut.bounds import BOUNDS, ELBO
    from taut.inference import AbstractAmortized

    recipe = fitted.recipe
    own: Any = recipe.bound
    if own is None and isinstance(recipe.inference, AbstractAmortized):
        own = recipe.inference.default_bound(recipe.model)
    own = ELBO() if own is None else own
    options: dict[str, Any] = own.to_dict() if name in (None, own.name) else {"name": name}
    name = str(options["name"])
    if kl is not None:
        if name != "elbo":
            raise InputError("--kl with --bound elbo", f"--bound {name}", "no --kl", where="kl")
        options["kl"] = kl
    count = "num_draws" if name == "elbo" else "num_particles"
    if num_particles is not None:
        options[count] = num_particles
    elif name == "elbo":
        options[count] = max(2, options.get(count, 2))
    return BOUNDS[name].from_dict(options)


def _chosen(names: str | None) -> dict[str, Any] | None:
    from taut.gradients import ESTIMATORS

    if names is None:
        return None
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if not listed:
        raise InputError(
            f"names among {', '.join(ESTIMATORS)}", repr(names), f"leaving out {option('estimators')}",
            where="estimators",
        )  # fmt: skip
    for name in listed:
        if name not in ESTIMATORS:
            raise InputError(
                f"names among {', '.join(ESTIMATORS)}", repr(name), nearest(name, ESTIMATORS),
                where="estimators",
            )  # fmt: skip
    return {name: ESTIMATORS[name]() for name in listed}


def _plain(bench: "GradientBench") -> dict[str, Any]:
    return {
        "reference": bench.reference,
        "recommended": bench.recommended,
        "why": bench.why,
        "refused": {name: why.worded("command line") for name, why in bench.refused.items()},
        "estimators": {
            m.name: {
                "milliseconds": m.milliseconds,
                "evaluations": m.evaluations._asdict(),
                "departure": m.departure,
                "groups": {
                    group: {
                        "bias_relative": moments.relative_bias,
                        "bias_relative_error": moments.relative_bias_error,
                        "bias_relative_limit": moments.relative_bias_limit,
                        "biased": moments.biased,
                        "variance": moments.variance,
                        "variance_error": moments.variance_error,
                        "variance_times_milliseconds": m.variance_times_cost(group),
                    }
                    for group, moments in m.moments.items()
                },
            }
            for m in bench.measures
        },
    }
