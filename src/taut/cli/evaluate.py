"""`taut evaluate` and `taut compare`."""

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.output import print_json, waiting
from taut.cli.rows import open_run, rows_of
from taut.cli.save import drawn_where_possible
from taut.cli.whole import Whole
from taut.errors import InputError

__all__ = ["as_json", "compare", "evaluate"]

_NUM_PARTICLES = 5000
_DRAWN = ("importance", "monte-carlo", "refined")


def evaluate(
    run: Path,
    /,
    *,
    data: str | None = None,
    split: Literal["train", "validation", "test"] | None = None,
    method: str | None = None,
    num_particles: Whole | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Log-evidence of held-out rows by several estimators, and how far to trust each.

    Importance sampling draws from the guide, naive Monte Carlo from the prior; where the first is
    unreliable, a Gaussian is fitted to each row's posterior and drawn from (refined). All are lower
    bounds in expectation; Pareto k-hat above the threshold says that a row's estimate cannot be
    trusted; RUN/figures/khat.png shows all of them. A flow has one number: exact, or from draws of its
    layers. With --method, that one alone.

    Parameters
    ----------
    run
        Run folder.
    data
        Other rows to evaluate, all of them; they must fit the run's columns.
    split
        Part of the run's own data. [default: test]
    method
        importance, monte-carlo, refined, quasi-monte-carlo, annealed, smc, bridge or bidirectional,
        which puts an upper end beside its lower bound.
    num_particles
        Draws of z per row. [default: 5000; 200 chains of annealed, smc, bridge and bidirectional]
    seed
        Random seed of the draws.
    json
        Print the results as JSON on standard output.
    """
    from taut.report import figures
    from taut.report.words import METHODS

    fitted = open_run(run)
    rows = rows_of(fitted, data=data, split=split)

    def by(name: str) -> Any:
        number = num_particles
        if number is None and name in _DRAWN:
            number = _NUM_PARTICLES
        with waiting(f"log-evidence of {len(rows)} rows: {METHODS.get(name, name)}", quiet=json):
            return fitted.evaluate(rows, num_particles=number, method=name, key=seed)

    if method is not None:
        methods = (method,)
    elif fitted.architecture.name == "flow":
        methods = ("importance",)
    else:
        methods = ("importance", "monte-carlo")
    found = {name: by(name) for name in methods}
    sampled = found[methods[0]]
    if method is None and "unreliable" in sampled.log_evidence.flags:
        # Discrete latents and chains of layers have no Gaussian to fit.
        with contextlib.suppress(InputError):
            found["refined"] = by("refined")
    exact = len(methods) == 1 and sampled.log_evidence.side == "exact"
    picture = None
    if not exact:
        picture = drawn_where_possible(
            run / "figures" / "khat.png",
            lambda path: figures.khat(path, sampled.khat, sampled.khat_threshold),
        )
    if json:
        print_json(
            {
                "run": str(run),
                "figure": picture and str(picture),
                "rows": len(rows),
                **{m: as_json(e) for m, e in found.items()},
            }
        )
        return
    from rich.console import Console

    from taut.report import tables

    console = Console()
    if exact:
        tables.summary_table(console, {"log-evidence": sampled.log_evidence}, facts={})
        return
    tables.evidence_table(console, found)
    if picture is not None:
        tables.facts_table(console, "figure", {"k-hat of all rows": str(picture)})


def compare(
    first: Path, second: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """Differences between two runs on the same held-out rows, FIRST minus SECOND, paired by row.

    Of two programs on the same data: the difference of their log-evidences is a log Bayes factor.

    Parameters
    ----------
    first
        Run folder.
    second
        Run folder, fitted to the same data with the same split.
    json
        Print the results as JSON on standard output.
    """
    from taut.fitted import compare as compared

    differences = compared(first, second)
    if json:
        content = {name: e.to_dict() for name, e in differences.items()}
        print_json({"first": str(first), "second": str(second), "differences": content})
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.words import ESTIMATES

    tables.comparison_table(
        Console(),
        (str(first), str(second)),
        {ESTIMATES.get(name, name): e for name, e in differences.items()},
    )


def as_json(evidence: Any) -> dict[str, Any]:
    """What one method found, as `--json` prints it."""
    import numpy as np

    khat, ess = (rows[np.isfinite(rows)] for rows in (evidence.khat, evidence.ess))
    above = evidence.above_threshold
    halves = evidence.halves[above & np.isfinite(evidence.halves)]
    return {
        "log_evidence": evidence.log_evidence.to_dict(),
        **({} if evidence.upper is None else {"upper": evidence.upper.to_dict()}),
        **({"notes": list(evidence.notes)} if evidence.notes else {}),
        "elbo": evidence.elbo.to_dict(),
        "far_rows": {name: far.to_dict() for name, far in evidence.far_rows.items()},
        "num_particles": evidence.num_particles,
        "ess": {"median": float(np.median(ess)), "least": float(np.min(ess))} if ess.size else None,
        "khat": {
            "threshold": evidence.khat_threshold,
            "share_above": float(above.mean()),
            "rows_above": int(above.sum()),
            "halves_differ_there": float(np.mean(halves)) if halves.size else None,
            "median": float(np.median(khat)) if khat.size else None,
            "worst_rows": [
                {"row": row, "khat": value if np.isfinite(value) else str(value)}
                for row, value in evidence.worst_rows()
            ],
        },
    }
