"""Tables say every number with both errors and its side, in a terminal and in a file."""

import io
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from taut.core import CALIBRATED, Estimate, InputError, paired_difference
from taut.evidence import Evidence
from taut.report import tables
from taut.report.numbers import cells, in_errors
from taut.report.runs import RunLine, ranking_table, runs_table

RNG = np.random.default_rng(11)


def _estimate(mean: float, side: str, mc: float = 0.5, **options: object) -> Estimate:
    values = mean + RNG.normal(size=50)
    return Estimate.from_rows(values, side=side, mc_errors=np.full(50, mc), **options)


ESTIMATES = {
    "held-out ELBO": _estimate(-90.0, "lower"),
    "reconstruction, E_q log p(x | z), a long name": _estimate(-70.0, "unbiased"),
    "KL(q(z | x) to p(z))": _estimate(20.0, "exact", 0.0),
    "log-evidence": _estimate(-88.0, "lower", flags=["unreliable", "support not covered"]),
    "bits per dimension": _estimate(2.0, "upper", 0.01, unit="bits per dimension"),
    "a bound of nothing": _estimate(1.0, "none", math.nan),
    "a product of ten thousand": _estimate(-1234567.8, "lower"),
}
UNUSUAL = {
    "one row": Estimate(-3.25, "exact"),
    "minus infinity": Estimate.from_rows([-math.inf, -1.0], side="lower"),
    "not a number": Estimate.from_rows([math.nan, -1.0], side="none", mc_errors=math.nan),
    "no errors": Estimate.from_rows([2.0, 2.0], side="exact"),
    "tiny errors": Estimate.from_rows([2.0, 2.0 + 1e-12], side="exact", mc_errors=1e-15),
}


def _file(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width)


def _terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _parts(estimate: Estimate) -> list[str]:
    """What `str` says of an estimate, in pieces: its rounding is the reference for the tables."""
    return re.split(r" ± | \(draws\)| \(rows\)|, | (?=nats|bits)", str(estimate))


@pytest.mark.parametrize("name", [*ESTIMATES, *UNUSUAL])
def test_cells_round_as_estimates_print(name: str):
    estimate = {**ESTIMATES, **UNUSUAL}[name]
    row = cells(estimate)
    text = row.value
    if row.draws != "0":
        text += f" ± {row.draws} (draws)"
    if row.rows != "-":
        text += f" ± {row.rows} (rows)"
    assert f"{text} {row.unit}, {row.side}" == str(estimate)


def test_every_number_is_in_one_line_of_a_file():
    console = _file()
    tables.summary_table(console, {**ESTIMATES, **UNUSUAL}, facts={})
    lines = _text(console).splitlines()
    for name, estimate in {**ESTIMATES, **UNUSUAL}.items():
        (line,) = (x for x in lines if x.startswith(f"{name} "))
        for part in _parts(estimate):
            assert part in line
    assert "Means over 1 or 2 or 50 rows" in _text(console)
    assert "\x1b" not in _text(console)
    assert not any(line != line.rstrip() for line in lines)


def test_one_row_is_no_rows():
    console = _file()
    one = Estimate.from_rows(np.array([-1.5]), side="exact", mc_errors=0.0)
    tables.summary_table(console, {"log-evidence": one}, facts={})
    assert "Means over 1 row." in _text(console)


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_no_terminal_is_too_narrow_for_the_numbers(width: int):
    console = _terminal(width)
    tables.summary_table(console, ESTIMATES, facts={})
    text = _text(console)
    words = text.split()
    for estimate in ESTIMATES.values():
        row = cells(estimate)
        for number in (row.value, row.draws, row.rows):
            assert number in words
        assert set(row.side.replace(",", "").split()) <= {w.strip(",") for w in words}
    assert "…" not in text
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_facts_follow_line_by_line_and_notes_come_last():
    path = "runs/" + "deep/" * 40 + "model"
    facts = {"device": "CPU", "run": path}
    console = _file()
    tables.summary_table(console, {}, facts=facts, notes=("a [bold]word[/bold]", "last"))
    lines = _text(console).splitlines()
    assert lines[-4:] == [
        "device  CPU",
        f"run     {path}",
        "Note: a [bold]word[/bold]",
        "Note: last",
    ]


def test_a_path_is_not_broken_by_a_terminal():
    console = _terminal(40)
    path = "runs/" + "deep/" * 40
    tables.facts_table(console, "where things are", {"run": path})
    assert f"run  {path}\n" in _text(console)


def test_facts_have_a_title():
    console = _file()
    tables.facts_table(console, "fitted with", {"model": "vae", "latent_dim": "16"})
    assert _text(console).strip().splitlines() == [
        "fitted with",
        "model       vae",
        "latent_dim  16",
    ]


def test_what_an_encoding_lacks_is_written_otherwise():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=80)
    tables.summary_table(console, ESTIMATES, facts={"name": "Zoë"})
    file.flush()
    text = file.buffer.getvalue().decode("ascii")
    assert "+/- draws" in text
    assert "name  Zo?" in text


def _evidence(khat: np.ndarray, **options: object) -> Evidence:
    log_evidence = _estimate(-88.0, "lower")
    usual = {
        "log_evidence": log_evidence,
        "elbo": _estimate(-90.0, "lower"),
        "reconstruction": log_evidence,
        "kl": log_evidence,
        "num_particles": 1000,
        "ess": np.asarray([10.0, 250.0, 990.0]),
        "khat": khat,
        "halves": np.asarray([0.5, 5.0, 0.01]),
        "khat_threshold": 0.67,
        "index": np.asarray([401, 7, 12]),
    }
    return Evidence(**{**usual, **options})


def test_both_estimators_stand_side_by_side():
    first = _evidence(np.asarray([0.9, 0.1, 0.5]))
    second = _evidence(np.asarray([np.nan, 1.5, 0.2]), num_particles=5000, khat_threshold=0.7)
    console = _file()
    tables.evidence_table(console, {"importance": first, "monte-carlo": second})
    lines = [re.split(r"\s{2,}", line.strip()) for line in _text(console).splitlines()]
    for name, column in (("log-evidence", "log_evidence"), ("ELBO of the same draws", "elbo")):
        place = next(i for i, line in enumerate(lines) if line[0] == name)
        a, b = cells(getattr(first, column)), cells(getattr(second, column))
        assert lines[place][1:] == [a.value, b.value]
        assert lines[place + 1] == ["± draws", a.draws, b.draws]
        assert lines[place + 2] == ["± rows", a.rows, b.rows]
    assert ["side", "lower bound", "lower bound"] in lines
    assert ["draws per row, K", "1000", "5000"] in lines
    assert ["ESS, median of rows", "250.0", "250.0"] in lines
    assert ["ESS, least of rows", "10.0", "10.0"] in lines
    assert ["k-hat threshold", "0.67", "0.70"] in lines
    assert [
        "rows with k-hat above it",
        "33.3 %, 1 row; two halves of the draws differ there by 0.5 nats",
        "66.7 %, 2 rows, 1 of them unknown; two halves of the draws differ there by 2.8 nats",
    ] in lines
    text = _text(console)
    assert "importance: 401 (0.90), 12 (0.50), 7 (0.10)" in text
    assert "monte-carlo: 401 (unknown), 7 (1.50), 12 (0.20)\n" in text


def test_a_tail_without_end_is_among_the_largest_and_no_tail_is_not():
    console = _file()
    tables.evidence_table(console, {"importance": _evidence(np.asarray([-np.inf, np.inf, 0.9]))})
    assert "Rows with the largest k-hat, importance: 7 (inf), 12 (0.90)\n" in _text(console)


def test_a_sum_over_the_support_and_too_few_draws_have_no_khat():
    exact = _evidence(np.full(3, -np.inf), ess=np.full(3, np.nan))
    few = _evidence(np.full(3, np.nan))
    console = _file()
    tables.evidence_table(console, {"importance": exact, "monte-carlo": few})
    text = _text(console)
    assert "none, weights without a tail" in text
    assert "unknown, too few draws" in text
    assert "largest k-hat" not in text


def test_an_upper_end_stands_below_with_the_width_of_the_bracket():
    lower = _evidence(np.asarray([0.1, 0.2, 0.3]))
    value = lower.log_evidence.value
    upper = replace(
        lower.log_evidence, value=value + 0.25, side="none", flags=frozenset({CALIBRATED})
    )
    console = _file()
    tables.evidence_table(console, {"bidirectional": replace(lower, upper=upper)})
    text = " ".join(_text(console).split())
    assert f"a bracket of 0.250 nats, up to {value + 0.25:.3f}" in text
    assert "calibrated on simulated rows, not a bound" in text
    none = replace(lower, notes=("no upper end: for a reason",))
    console = _file()
    tables.evidence_table(console, {"bidirectional": none})
    assert "bidirectional: no upper end: for a reason" in _text(console)


def test_differences_are_told_in_errors():
    first, second = ESTIMATES["held-out ELBO"], _estimate(-88.0, "lower")
    difference = paired_difference(first, second)
    console = _file()
    tables.comparison_table(console, ("runs/[a]", "runs/b"), {"ELBO": difference})
    text = _text(console)
    (line,) = (x for x in text.splitlines() if x.startswith("ELBO "))
    for part in _parts(difference):
        assert part in line
    error = math.sqrt(difference.mc_error**2 + difference.data_error**2)
    assert f" {difference.value / error:.1f} " in line
    assert "first   runs/[a]" in text
    assert "second  runs/b" in text
    assert "over 50 rows" in text


def test_a_difference_without_a_known_error_is_not_divided_by_it():
    assert in_errors(Estimate(1.0, "none")) == "-"
    assert in_errors(Estimate(-math.inf, "none", 1.0, 1.0)) == "-"
    assert in_errors(Estimate(0.0, "exact", 0.0, 0.0)) == "0.0"
    assert in_errors(Estimate(1.0, "exact", 0.0, 0.0)) == "inf"
    assert in_errors(Estimate(5.0, "exact", 3.0, 4.0)) == "+1.0"


def test_a_log_bayes_factor_has_no_error_over_rows():
    first, second = (
        Estimate(value, "lower", error, unit="nats", values=np.array([value]))
        for value, error in ((-63.34, 0.03), (-67.85, 0.04))
    )
    difference = paired_difference(first, second)
    assert in_errors(difference) == "+90.2"  # 4.51 / 0.05
    one_row = paired_difference(*(Estimate.from_rows([v], side="exact") for v in (1.0, 2.0)))
    assert in_errors(one_row) == "-"
    several, two = _file(), _file()
    tables.comparison_table(two, ("a", "b"), {"log-evidence": difference})
    ranking_table(several, {"a": (first, None), "b": (second, paired_difference(second, first))})
    for console in (two, several):
        text = _text(console)
        assert "Of all data at once" in text
        assert "standard error over draws;" in text
        assert "row" not in text.replace("± rows", "")


def test_runs_in_one_table_say_of_what_their_nats_are():
    """Those of a program are of all its data, those of a fit of one row."""
    program = Estimate(-63.34, "lower", 0.03, unit="nats", values=np.array([-63.34]))
    fit = ESTIMATES["held-out ELBO"]
    listed, ranked = _file(), _file()
    lines = [RunLine(Path(n), log_evidence=e) for n, e in (("a", program), ("b", fit))]
    runs_table(listed, [*lines, RunLine(Path("c"))], Path("."))
    ranking_table(ranked, {"a": (program, None)})
    rows = {line[0]: line for line in _text(listed).splitlines() if line[:2] in ("a ", "b ", "c ")}
    assert re.search(r"  nats  +lower bound", rows["a"])
    assert re.search(r"  nats per row  +lower bound", rows["b"])
    assert "nats" not in rows["c"]
    assert re.search(r"\na .*  nats  +lower bound", _text(ranked))


def test_a_comparison_needs_two_fits():
    with pytest.raises(
        InputError, match=r"compare: expected two fits, got 3\. Try comparing them in pairs"
    ):
        tables.comparison_table(_file(), ("a", "b", "c"), {})


def test_rows_that_move_a_mean_are_named_beside_the_mean_of_the_others():
    values = np.concatenate([RNG.normal(-12, 1, size=99), [-1349.2]])
    estimate = Estimate.from_rows(values, side="exact", index=np.arange(100) + 900)
    console = _file()
    tables.summary_table(
        console, {"log-evidence": estimate, "other": ESTIMATES["held-out ELBO"]}, facts={}
    )
    (line,) = (x for x in _text(console).splitlines() if "row 999 (-1349.2)" in x)
    others = Estimate.from_rows(values[:-1], side="exact")
    assert line.strip() == f"log-evidence  row 999 (-1349.2); without: {others}"
    differences = _file()
    zero = Estimate.from_rows(np.zeros(100), side="exact", index=estimate.index)
    tables.comparison_table(
        differences, ("a", "b"), {"log-evidence": paired_difference(estimate, zero)}
    )
    assert "row 999 (-1349.2)" in _text(differences)
