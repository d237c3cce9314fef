"""`taut evaluate` and `taut compare`."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from taut.cli.evaluate_program import evaluate_program
from taut.cli.going_on import going_on
from taut.cli.output import print_json, waiting
from taut.cli.placement import AGAIN, Placement
from taut.cli.programs import is_posterior, refuse_program
from taut.cli.rows import named_rows, open_run
from taut.cli.save import drawn_where_possible, remove_beside
from taut.cli.whole import Whole
from taut.errors import InputError, counted, option, refuse_unheard

__all__ = ["as_json", "compare", "evaluate"]

_NUM_PARTICLES = 5000
_DRAWN = ("importance", "monte-carlo", "refined")
_PRECISION_NATS, _SECONDS = 0.1, 300.0
_KHAT = Path("figures", "khat.png")  # in the run folder


def evaluate(
    run: Path,
    program: str | None = None,
    /,
    *,
    data: str | None = None,
    split: Literal["train", "validation", "test"] | None = None,
    method: str | None = None,
    precision_nats: float | None = None,
    seconds: float | None = None,
    num_particles: Whole | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
    place: Annotated[Placement | None, Parameter(name="*")] = None,
) -> None:
    """Log-evidence of held-out rows: one number to quote, and how far above it the truth may lie.

    Importance sampling from the guide comes first, then from a Gaussian fitted to each row (refined),
    then annealing from there, until the bracket of the mean is narrow enough or the time is spent. The
    numbers are lower bounds in expectation; the upper end is calibrated on rows simulated from the
    model. Pareto k-hat above the threshold says that a row's estimate cannot be trusted;
    RUN/figures/khat.png shows all of them. With --method, that one alone. Stopped or killed, the same
    command goes on. A run of `taut infer` has one data set: the end above its log-evidence is calibrated
    on data sets that its program makes and is fitted to.

    Parameters
    ----------
    run
        Run folder.
    program
        Of a run of `taut infer`: FILE.py or FILE.py:name. The file is executed.
    data
        Other rows to evaluate, all of them; they must fit the run's columns.
    split
        Part of the run's own data. [default: test]
    method
        importance, monte-carlo, refined, refined-annealed, quasi-monte-carlo, annealed, smc, bridge,
        refined-quadrature, for up to 8 latents and without a bound, or bidirectional, which puts an
        upper end beside its lower bound.
    precision_nats
        Width of the bracket at which to stop, nats per row. [default: 0.1]
    seconds
        Time for all methods. One that would take longer than what is left is not begun; the first, and
        one that was begun, are finished. [default: 300]
    num_particles
        Draws of z per row, where the log-evidence is not exact. [default: 1000; with --method 5000,
        or 200 chains of annealed, refined-annealed, smc, bridge and bidirectional, or at most 8192
        points of refined-quadrature]
    seed
        Random seed of the draws.
    json
        Print the results as JSON on standard output.
    """
    if method is not None and (precision_nats is not None or seconds is not None):
        given = "precision_nats" if precision_nats is not None else "seconds"
        raise InputError(
            f"{option('method')} without {option(given)}, which says when to stop trying others",
            "both", f"leaving out {option('method')}", where=option(given),
        )  # fmt: skip
    if program is not None and is_posterior(run):
        others = {
            "data": data, "split": split, "method": method, "precision_nats": precision_nats,
            "num_particles": num_particles, **vars(place or Placement()),
        }  # fmt: skip
        evaluate_program(run, program, seconds=seconds, seed=seed, others=others, json=json)
        return
    if program is not None:
        refuse_program(run, program, command="evaluate")
    from taut.models import AbstractExactModel

    with (place or Placement()).entered(remedy=AGAIN):
        fitted = open_run(run)
        if method in (None, "importance") and isinstance(fitted.model, AbstractExactModel):
            refuse_unheard(
                {"num_particles": num_particles}, "a log-evidence that is estimated",
                f"that of the model {fitted.architecture.name}, which is exact",
            )  # fmt: skip
        rows, of = named_rows(fitted, data=data, split=split)
        asked = _Asked(
            method,
            _PRECISION_NATS if precision_nats is None else precision_nats,
            _SECONDS if seconds is None else seconds,
            num_particles,
            seed,
        )
        _measure(run, fitted, rows, asked, of=of, json=json)


class _Asked(NamedTuple):
    """How the log-evidence is estimated: by one method, or by others until a bracket is narrow."""

    method: str | None
    precision_nats: float
    seconds: float
    num_particles: int | None
    seed: int


class _Found(NamedTuple):
    """What the methods found.

    Attributes:
        shown: the evidence to quote.
        found: of every method, by its name.
        bracket: of all of them; None of one that was named.
        interrupt: what ended them.
    """

    shown: Any
    found: dict[str, Any]
    bracket: Any = None
    interrupt: KeyboardInterrupt | None = None


def _measure(run: Path, fitted: Any, rows: Any, asked: _Asked, *, of: str, json: bool) -> None:
    """Estimate the log-evidence of rows; host 0 writes and prints what was found."""
    from taut.core.hosts import agree_on, writes

    agree_on({"precision nats": asked.precision_nats, "seconds": asked.seconds})
    words = {"method": asked.method, "num_particles": asked.num_particles, "seed": asked.seed}
    kept = going_on(run, "evaluate", words, rows.datum())
    estimate = _bracketed if asked.method is None else _by_method
    shown, found, bracket, interrupt = estimate(
        fitted, rows, asked, kept, quiet=json or not writes()
    )
    if writes():
        content = {
            "rows": len(rows),
            **({"bracket": bracket.to_dict()} if bracket is not None else {}),
            **{name: as_json(evidence) for name, evidence in found.items()},
        }
        remove_beside([run / _KHAT])
        _kept(run, content, list(found), of=of)
        _show(run, shown, found, bracket, content, json=json)
    if interrupt is not None:
        raise interrupt


def _bracketed(fitted: Any, rows: Any, asked: _Asked, kept: Any, *, quiet: bool) -> _Found:
    """What methods find one after the other, or what they had found when they were interrupted."""
    from taut.evidence import EscalationInterrupted
    from taut.report.words import METHODS

    waited, interrupt = f"log-evidence of {counted(len(rows), 'row')}", None
    try:
        with kept, waiting(waited, quiet=quiet) as status:

            def begun(name: str) -> None:
                if status is not None:
                    status.update(f"{waited}: {METHODS.get(name, name)}")

            bracket = fitted.bracket(
                rows, precision_nats=asked.precision_nats, seconds=asked.seconds,
                num_particles=asked.num_particles, key=asked.seed, begun=begun,
            )  # fmt: skip
    except EscalationInterrupted as found_until:
        bracket, interrupt = found_until.bracket, found_until
    found = {s.method: s.evidence for s in bracket.steps if s.evidence is not None}
    return _Found(bracket.evidence, found, bracket, interrupt)


def _by_method(fitted: Any, rows: Any, asked: _Asked, kept: Any, *, quiet: bool) -> _Found:
    """What the method finds that was named."""
    from taut.report.words import METHODS

    method, num_particles = str(asked.method), asked.num_particles
    if num_particles is None and method in _DRAWN:
        num_particles = _NUM_PARTICLES
    waited = f"log-evidence of {counted(len(rows), 'row')}: {METHODS.get(method, method)}"
    with kept, waiting(waited, quiet=quiet):
        shown = fitted.evaluate(rows, num_particles=num_particles, method=method, key=asked.seed)
    return _Found(shown, {method: shown})


def _show(
    run: Path,
    shown: Any,
    found: dict[str, Any],
    bracket: Any,
    content: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Draw and print what the methods found, and the bracket where there is one."""
    exact = shown.log_evidence.side == "exact"
    picture = _khat(run, shown) if shown.at_random else None
    if json:
        print_json({"run": str(run), "figure": picture and str(picture), **content})
        return
    from rich.console import Console

    from taut.report import tables

    console = Console()
    facts = {"k-hat of all rows": str(picture)} if picture is not None else {}
    if exact:
        tables.summary_table(console, {"log-evidence": shown.log_evidence}, facts={})
    elif bracket is not None:
        tables.bracket_table(console, bracket, facts)
    else:
        tables.evidence_table(console, found)
        if facts:
            tables.facts_table(console, "figure", facts)


def _kept(run: Path, content: dict[str, Any], methods: list[str], *, of: str) -> None:
    """Write evaluation.json into the run folder, where it can be written."""
    from taut.core import write_json

    kept = {"of": of, "rows": content["rows"], "methods": {name: content[name] for name in methods}}
    if "bracket" in content:
        kept["bracket"] = content["bracket"]
    drawn_where_possible(run / "evaluation.json", lambda path: write_json(path, kept))


def _khat(run: Path, shown: Any) -> Path | None:
    """The figure of all rows, where it can be written."""
    from taut.report import figures

    return drawn_where_possible(
        run / _KHAT,
        lambda path: figures.khat(path, shown.khat, shown.khat_threshold),
    )


def compare(
    first: Path,
    second: Path,
    /,
    *more: Path,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Differences between two runs on the same held-out rows, FIRST minus SECOND, paired by row.

    Of two programs on the same data: the difference of their log-evidences is a log Bayes factor. Of
    more runs, one table of log-evidences, the highest first, each with its difference to FIRST.

    Parameters
    ----------
    first
        Run folder.
    second
        Run folder, fitted to the same data with the same split.
    more
        More such run folders.
    json
        Print the results as JSON on standard output.
    """
    from taut.fitted import compare as compared

    if more:
        _compare_all([first, second, *more], json=json)
        return
    differences = compared(first, second)
    if json:
        content = {name: e.to_dict() for name, e in differences.items()}
        print_json({"first": str(first), "second": str(second), "differences": content})
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.words import ESTIMATES, POSTERIOR_ESTIMATES

    words = POSTERIOR_ESTIMATES if is_posterior(first) else ESTIMATES
    tables.comparison_table(
        Console(),
        (str(first), str(second)),
        {words.get(name, name): e for name, e in differences.items()},
    )


def _compare_all(runs: list[Path], *, json: bool) -> None:
    """One table of the log-evidences of some runs, each less that of the first."""
    from taut.fitted import compare as compared
    from taut.runs import RunFolder

    name, first = "log_evidence", runs[0]
    numbers, _ = RunFolder.open(first).read_summary()
    found: dict[str, Any] = {str(first): (numbers[name], None)}
    for run in runs[1:]:
        if str(run) in found:
            continue
        differences = compared(run, first)
        found[str(run)] = (RunFolder.open(run).read_summary()[0][name], differences[name])
    if json:
        rows = {
            run: {name: number.to_dict(), "difference": less and less.to_dict()}
            for run, (number, less) in found.items()
        }
        print_json({"first": str(first), "runs": rows})
        return
    from rich.console import Console

    from taut.report.runs import ranking_table

    ranking_table(Console(), found)


def as_json(evidence: Any) -> dict[str, Any]:
    """What one method found, as `--json` prints it."""
    import numpy as np

    ess = evidence.known_ess
    return {
        "log_evidence": evidence.log_evidence.to_dict(),
        **({} if evidence.upper is None else {"upper": evidence.upper.to_dict()}),
        **({"notes": list(evidence.notes)} if evidence.notes else {}),
        "elbo": evidence.elbo.to_dict(),
        "far_rows": {name: far.to_dict() for name, far in evidence.far_rows.items()},
        "num_particles": evidence.num_particles,
        "ess": {"median": float(np.median(ess)), "least": float(np.min(ess))} if ess.size else None,
        "khat": _khats_as_json(evidence) if evidence.at_random else None,
    }


def _khats_as_json(evidence: Any) -> dict[str, Any]:
    import numpy as np

    from taut.core.json_numbers import number_or_word

    khat, above = evidence.khat[np.isfinite(evidence.khat)], evidence.above_threshold
    halves = evidence.halves[above & np.isfinite(evidence.halves)]
    return {
        "threshold": evidence.khat_threshold,
        "share_above": float(above.mean()),
        "rows_above": int(above.sum()),
        "halves_differ_there": float(np.mean(halves)) if halves.size else None,
        "median": float(np.median(khat)) if khat.size else None,
        "worst_rows": [
            {"row": row, "khat": number_or_word(value)} for row, value in evidence.worst_rows()
        ],
    }
