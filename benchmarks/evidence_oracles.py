"""Evidence methods on models of known evidence (`known_evidence.py`): coverage, bias, share flagged.

    python benchmarks/evidence_oracles.py [--rows 200] [--only WORD] [--methods "importance;smc"]
                                          [--runs runs/evidence_oracles] [--anew]

Every oracle and method is one set of rows, all drawn independently. An interval is log-evidence +- 1.96
errors, or what float32 rounds off where that is more; among rows that a method does not flag, in sets
that it does not flag, the number that hold the truth is tested against 95 % (exact binomial test, all
oracles pooled). Rows whose error is below the rounding are left out of it. A bound holds if its set lies
beyond the truth by less than five standard errors. A set is fooled if it is off by more than 0.1 nat and
no flag says so, neither the method's own nor what draws of the prior find beside it. A bracket is the
end that simulated rows calibrate, over rows whose evidence is known. Quadrature draws nothing: its
intervals, between two rules, are counted, and not among those that are tested.

Every cell's numbers stay in --runs, so that a benchmark that was cut off goes on where it was. Cells of
as many rows that the result holds stay in it, each with its commit, unless it is measured --anew.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.stats
from known_evidence import EASY, GENERATIVE, ORACLES, Oracle
from record import RESULTS, commit, save_result, write_whole

from taut.core import InputError
from taut.evidence import (
    SMC,
    Annealed,
    Bridge,
    Importance,
    MonteCarlo,
    QuasiMonteCarlo,
    beside_the_prior,
    calibrated,
    simulated,
)
from taut.inference import Refined, RefinedQuadrature

ROUNDED = 1e-4  # nats, of float32 log-weights of a hundred nats
FAR = 0.1  # nats

METHODS: dict[str, Any] = {
    "importance": Importance(),
    "monte-carlo": MonteCarlo(),
    "refined": Refined(),
    "refined-quadrature": RefinedQuadrature(),
    "quasi-monte-carlo": QuasiMonteCarlo(),
    "annealed": Annealed(),
    "smc": SMC(),
    "bridge": Bridge(),
    "annealed from the prior": Annealed(start="prior"),
    "smc from the prior": SMC(start="prior"),
}
BRACKETS: dict[str, Any] = {
    "importance, bracket": Importance(1000),
    "refined, bracket": Refined(),
    "annealed, bracket": Annealed(),
}
DRAW_NOTHING = ("refined-quadrature",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only", default="", help="oracles whose names contain this word")
    parser.add_argument("--methods", default=";".join([*METHODS, *BRACKETS]))
    parser.add_argument("--runs", type=Path, default=Path("runs/evidence_oracles"))
    parser.add_argument("--anew", action="store_true", help="no cell of the result is kept")
    asked = parser.parse_args()
    asked.runs.mkdir(parents=True, exist_ok=True)
    before, cells = {} if asked.anew else cells_of_result(asked.rows), []
    for name, made in ORACLES.items():
        if asked.only not in name:
            continue
        oracle = made(asked.rows)
        for method in asked.methods.split(";"):
            if method in BRACKETS and name not in GENERATIVE:
                continue
            kept = asked.runs / f"{name}-{method}-{asked.rows}.json".replace(" ", "-")
            if kept.exists():
                cells.append(json.loads(kept.read_text()))
            elif (name, method) in before:
                cells.append(before[name, method])
            else:
                found = found_by(method, oracle)
                cells.append({"oracle": name, "method": method, "commit": commit(), **found})
                write_whole(kept, cells[-1])
            print({k: _short(v) for k, v in cells[-1].items()}, flush=True)
    summary = judged(cells)
    print(json.dumps(summary, indent=2))
    if not asked.only and asked.methods == parser.get_default("methods"):
        options = {name: method.to_dict() for name, method in METHODS.items()}
        content = {
            "rows": asked.rows, "methods": options, "easy": EASY, "summary": summary, "cells": cells,
        }  # fmt: skip
        print(save_result("evidence_oracles", content))


def cells_of_result(rows: int) -> dict[tuple[str, str], dict[str, Any]]:
    """What was found before of as many rows, by oracle and method."""
    path = RESULTS / "evidence_oracles.json"
    found = json.loads(path.read_text()) if path.exists() else {"rows": None}
    if found["rows"] != rows:
        return {}
    return {
        (cell["oracle"], cell["method"]): {"commit": found["commit"], **cell}
        for cell in found["cells"]
    }


def found_by(method: str, oracle: Oracle) -> dict[str, Any]:
    """The numbers of one cell."""
    if method in BRACKETS:
        return bracketed(BRACKETS[method], oracle)
    return measured(METHODS[method], oracle)


def measured(method: Any, oracle: Oracle) -> dict[str, Any]:
    """One set of rows by one method, against the truth."""
    began = time.perf_counter()
    try:
        found = method(oracle.pair, oracle.rows, key=jax.random.key(0))
        found = beside_the_prior(found, oracle.pair, oracle.rows, key=jax.random.key(0))
    except InputError as refused:
        return {"refused": str(refused)}
    off, trusted = np.asarray(found.log_evidence.values) - oracle.known, ~found.unreliable
    reach = np.maximum(1.959964 * found.errors, ROUNDED)
    together = found.errors.mean()
    if method.name not in DRAW_NOTHING:
        together = np.sqrt(np.sum(found.errors**2)) / len(off)
    within, drawn = np.abs(off) <= reach, trusted & (reach > ROUNDED)
    return {
        "seconds": time.perf_counter() - began,
        "side": found.log_evidence.side,
        "rows": len(off),
        "flagged_as_a_set": "unreliable" in found.log_evidence.flags,
        "share_flagged": found.share_unreliable,
        "flagged_rows": int((~trusted).sum()),
        "trusted_rows": int(drawn.sum()),
        "trusted_hold_the_truth": int(within[drawn].sum()),
        "flagged_below_the_truth": int((off - reach <= 0)[~trusted].sum()),
        "set_is_off_by": float(off.mean()),
        "error_of_the_set": float(together),
        "spread_of_the_set": float(off.std(ddof=1) / math.sqrt(len(off))),
        "root_mean_square_of_a_row": float(np.sqrt(np.mean(off**2))),
    }


def bracketed(method: Any, oracle: Oracle) -> dict[str, Any]:
    """Both ends of rows that the model makes, and the bracket that they give to other rows."""
    began = time.perf_counter()
    model: Any = oracle.pair.bind()[0]
    count = len(oracle.known)
    made = simulated(model, oracle.rows, count, key=jax.random.key(1))
    ends: Any = method.both_ends(oracle.pair, made, key=jax.random.key(2))
    known = np.asarray(jax.vmap(model.log_evidence)(made.rows), np.float64)
    low, high = (e.values - known for e in (ends.log_evidence, ends.upper))
    real = method(oracle.pair, oracle.rows, key=jax.random.key(0))
    upper, truth = calibrated(real, ends).upper, float(oracle.known.mean())
    return {
        "seconds": time.perf_counter() - began,
        "rows": count,
        "lower_is_off_by": float(low.mean()),
        "upper_is_off_by": float(high.mean()),
        "holds": bool(_beyond(low) < 5 and _beyond(-high) < 5),
        "flagged_as_a_set": "unreliable" in real.log_evidence.flags,
        "other_rows": {
            "lower_is_off_by": real.log_evidence.value - truth,
            "upper_is_off_by": None if upper is None else upper.value - truth,
        },
    }


def _beyond(off: np.ndarray) -> float:
    """Standard errors above 0; what float32 rounds off is none."""
    return float((off.mean() - ROUNDED) / (off.std(ddof=1) / math.sqrt(len(off)) + 1e-12))


def judged(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The targets, over all cells."""
    sets = [cell for cell in cells if "trusted_rows" in cell]
    by_method = {
        name: covered([c for c in sets if c["method"] == name])
        for name in dict.fromkeys(c["method"] for c in sets)
    }
    lower = [c for c in sets if c["side"] == "lower"]
    gaussian = [c for c in sets if c["oracle"].startswith("linear") and not c["flagged_as_a_set"]]
    return {
        "by_method": by_method,
        "all_methods": covered([c for c in sets if c["method"] not in DRAW_NOTHING]),
        "share_flagged": {
            name: {c["oracle"]: c["share_flagged"] for c in sets if c["method"] == name}
            for name in by_method
        },
        "bounds_that_do_not_hold": [
            _name(c) for c in lower if c["set_is_off_by"] > max(5 * c["spread_of_the_set"], ROUNDED)
        ],
        "brackets_of_simulated_rows_that_do_not_hold": [
            _name(c) for c in cells if c.get("holds") is False
        ],
        "brackets_of_other_rows": {_name(c): c["other_rows"] for c in cells if "other_rows" in c},
        "flagged_rows": sum(c["flagged_rows"] for c in lower),
        "flagged_rows_below_the_truth": sum(c["flagged_below_the_truth"] for c in lower),
        "share_flagged_on_easy_oracles": {
            _name(c): c["share_flagged"]
            for c in sets
            if c["oracle"] in EASY and c["share_flagged"] > 0
        },
        "root_mean_square_of_linear_gaussian_sets": _rms([c["set_is_off_by"] for c in gaussian]),
        "fooled": [
            f"{_name(c)}: {c['set_is_off_by']:.2f}"
            for c in sets
            if not c["flagged_as_a_set"] and abs(c["set_is_off_by"]) > FAR
        ],
    }


def covered(sets: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows that are trusted, in sets that are, and how many of their intervals hold the truth.

    Sets that are fooled are counted on their own: their rows fail all together, by what they miss.
    """
    known = [s for s in sets if not s["flagged_as_a_set"] and abs(s["set_is_off_by"]) <= FAR]
    rows = sum(s["trusted_rows"] for s in known)
    held = sum(s["trusted_hold_the_truth"] for s in known)
    found: dict[str, Any] = {"sets": len(known), "of": len(sets), "rows": rows, "hold": held}
    if rows:
        found["share"] = held / rows
        found["p_two_sided"] = float(scipy.stats.binomtest(held, rows, 0.95).pvalue)
        found["p_too_few"] = float(scipy.stats.binomtest(held, rows, 0.95, "less").pvalue)
    return found


def _name(cell: dict[str, Any]) -> str:
    return f"{cell['oracle']}, {cell['method']}"


def _rms(values: list[float]) -> float | None:
    return math.sqrt(float(np.mean(np.square(values)))) if values else None


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
