"""Verdicts on 192 posteriors with known answers: which are believed and wrong, doubted, refused.

A fit is wrong where, for some parameter, its resampled mean is off by more than 0.1 sd of the exact
posterior or its sd by more than 15 %. The targets: no wrong fit is believed, at most 10 % of the fits of
easy posteriors are not believed, and no posterior is refused under any key.

    python benchmarks/verdicts.py [--few] [--family WORD] [--seeds 20]

The counts of each posterior are appended to results/verdicts.trials.jsonl as it is done, and a command
goes on where another one of the same commit and number of keys was stopped. `--few` takes every fifth
posterior and two keys, and writes nothing.
"""

import argparse
import json
import time
from collections import Counter
from typing import Any

import numpy as np
from known_answer import Case
from known_posteriors import cases
from record import RESULTS, commit, save_result

import taut
from taut.core import TautError

MEAN, SD, DOUBTED = 0.1, 0.15, 0.1
BELIEVE, RESAMPLE, DOUBT = "believe", "believe after resampling", "do not believe"
TRIALS = RESULTS / "verdicts.trials.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--family", default="")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    chosen = [case for case in cases() if options.family in case.family]
    chosen, seeds = (chosen[::5], 2) if options.few else (chosen, options.seeds)
    now = commit()  # of the sources that are imported, however long it takes
    done = {} if options.few else trials(now, seeds)
    rows = []
    for case in chosen:
        row = done.get((case.family, case.name)) or judged(case, seeds)
        rows.append(row)
        if not options.few and (case.family, case.name) not in done:
            with TRIALS.open("a") as file:
                file.write(json.dumps({"commit": now, "keys": seeds, **row}) + "\n")
        print(
            f"{case.family:16s} {case.name:42s} {row['verdicts']} {row['mean_off'] or 0:.3f} "
            f"{row['sd_off'] or 0:.3f} wrong {row['believed_and_wrong']} {row['seconds']:.2f} s"
            + "".join(f"\n    {text}" for text in row["refusals"]),
            flush=True,
        )
    summary = summarized(rows)
    print("\n".join(f"{name}: {value}" for name, value in summary.items()))
    if not (options.few or options.family):
        found = {"commit": now, "keys": seeds, "summary": summary, "rows": rows}
        print(save_result("verdicts", found))


def trials(now: str, seeds: int) -> dict[tuple[str, str], dict[str, Any]]:
    """The posteriors that are done, by family and name; none of sources that no commit has."""
    if not TRIALS.exists() or now.endswith("+changes"):
        return {}
    found = map(json.loads, TRIALS.read_text().splitlines())
    return {
        (row["family"], row["name"]): row
        for row in found
        if row.pop("commit") == now and row.pop("keys") == seeds
    }


def judged(case: Case, seeds: int) -> dict[str, Any]:
    """All fits of one posterior."""
    verdicts: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    wrong, off, reasons = 0, [], []
    began = time.perf_counter()
    for key in range(seeds):
        try:
            found = taut.infer(case.program, data=case.data, key=key)
        except TautError as error:
            refusals[str(error).partition(":")[0]] += 1
            continue
        moments = found.resampled.first(len(case.mean))
        mean = float(np.max(np.abs(moments.mean - case.mean) / case.sd))
        sd = float(np.max(np.abs(moments.sd / case.sd - 1)))
        said = found.verdict.verdict
        verdicts[said] += 1
        off.append((mean, sd))
        if said != DOUBT and (mean > MEAN or sd > SD):
            wrong += 1
            reasons.append(f"key {key}: mean off {mean:.3f}, sd off {sd:.3f}; {found.verdict}")
    seconds = (time.perf_counter() - began) / seeds
    return {
        "family": case.family,
        "name": case.name,
        "easy": case.easy,
        "verdicts": {said: verdicts[said] for said in (BELIEVE, RESAMPLE, DOUBT)},
        "refusals": dict(refusals),
        "mean_off": float(np.median([m for m, _ in off])) if off else None,
        "sd_off": float(np.median([s for _, s in off])) if off else None,
        "believed_and_wrong": wrong,
        "said_of_wrong": reasons[:3],
        "seconds": seconds,
    }


def summarized(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts that the targets are about."""
    fits = sum(sum(r["verdicts"].values()) + sum(r["refusals"].values()) for r in rows)
    easy = [r for r in rows if r["easy"]]
    of_easy = sum(sum(r["verdicts"].values()) for r in easy)
    doubted = sum(r["verdicts"][DOUBT] for r in easy)
    wrong, refused = (
        {r["name"]: n for r in rows if (n := count(r))}
        for count in (lambda r: r["believed_and_wrong"], lambda r: sum(r["refusals"].values()))
    )
    return {
        "posteriors": len(rows),
        "fits": fits,
        "believed": sum(r["verdicts"][BELIEVE] + r["verdicts"][RESAMPLE] for r in rows),
        "believed and wrong": sum(wrong.values()),
        "posteriors believed and wrong": wrong,
        "easy fits": of_easy,
        "easy fits not believed": doubted,
        "refused": sum(refused.values()),
        "posteriors refused": refused,
        "met": not wrong and not refused and doubted <= DOUBTED * of_easy,
    }


if __name__ == "__main__":
    main()
