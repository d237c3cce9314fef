"""Cells that are removed from real tables and filled in again, beside other libraries in the same run.

    python benchmarks/imputation.py [--sets concrete,energy] [--mechanisms mcar20] [--try]
    python benchmarks/imputation.py --renew --methods gmm,missforest --mechanisms mcar20

Needs TAUT_DATA, a folder with uci/{concrete,wine-quality-red,energy,power-plant}.txt.gz and
credit/{adult,compas}.csv; where it is absent it says so. Peers run in an environment of their own
(`peers.py`). `mcar20` and `mcar50` remove a fifth or half of all cells completely at random, `mar20`
those of all columns but the first, more often in rows where the first is above its median.

Errors are of removed cells alone, numbers in units of their column's range, a wrong category counting 1:

    mean error        of the median of the draws, or of the one value that a method gives
    best of five      of the draw, of five, that is nearest to its row
    coverage          share of removed numbers between the 5 % and 95 % quantiles of the draws

Each method runs in a process of its own. Seconds count fitting and filling in, not imports; those of the
processor, of all its cores, are compared where other programs run beside. taut runs twice: "first" with
no compiled program at hand, then with those that the first run kept. Drawn numbers are recorded values
where a column has few (`taut.data.recorded`). Writes benchmarks/results/imputation.json after each
method, each with the commit and the number of rows that it was measured with; --resume keeps what is
there, --renew measures what is asked for anew and keeps the rest.
"""

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from peers import python_of_peers
from record import RESULTS, commit, save_result

import taut

# miceforest and utrees call private methods that later versions of LightGBM and scikit-learn lack.
PINS = ("scikit-learn==1.6.1", "miceforest==6.0.5", "lightgbm==4.5.0", "utrees==0.3.0")
PEERS = ("knn", "iterative", "missforest", "miceforest", "utrees")
UCI = ("concrete", "wine-quality-red", "energy", "power-plant")
DRAWS, FIVE = 60, 5
SPLIT = (0.9, 0.05, 0.05)  # what is filled in may be fitted to; a tenth chooses and measures
STARTS = 6
SKEWNESS = 1.0  # from which a column is called highly skewed
SMALL_FLOORS = (0.003, 0.01, 0.03, 0.1)  # of a Gaussian mixture, in units of each column's variance
FLOORS = (0.01, 0.1, 1.0)  # pseudo-rows of a mixture of columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join((*UCI, "adult", "compas")))
    parser.add_argument("--mechanisms", default="mcar20,mcar50,mar20")
    parser.add_argument("--methods", default=",".join((*OURS, *PEERS)))
    parser.add_argument("--rows", type=int, default=None, help="at most so many of each set")
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    parser.add_argument("--renew", action="store_true", help="and measure anew what is asked for")
    parser.add_argument("--try", dest="small", action="store_true", help="200 rows of one set")
    asked = parser.parse_args()
    if asked.small:
        asked.sets, asked.mechanisms, asked.rows = "concrete", "mcar20", 200
    path = RESULTS / "imputation.json"
    kept = asked.resume or asked.renew
    found = measured_before(path) if kept and path.exists() else {}
    for name in asked.sets.split(","):
        x, category = table(name)
        x = x[np.random.default_rng(0).permutation(len(x))[: asked.rows]]
        for mechanism in asked.mechanisms.split(","):
            holes = removed(x, mechanism)
            own = found.setdefault(f"{name} {mechanism}", {})
            for method in asked.methods.split(","):
                if method in own and not asked.renew:
                    continue
                own[method] = measured(method, x, holes, category) | {
                    "commit": commit(),
                    "rows": len(x),
                }
                print(name, mechanism, method, own[method], flush=True)
                if not asked.small:
                    save_result("imputation", {"peers": PINS, "found": found})


def measured_before(path: Path) -> dict[str, Any]:
    """What the results hold, each number with the commit it was measured at."""
    known = json.loads(path.read_text())
    return {
        case: {method: {"commit": known["commit"]} | entry for method, entry in own.items()}
        for case, own in known["found"].items()
    }


def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A set as numbers and codes, and which columns hold codes."""
    home = Path(os.environ.get("TAUT_DATA", "../shared/data"))
    file = (
        home
        / ("uci" if name in UCI else "credit")
        / f"{name}{'.txt.gz' if name in UCI else '.csv'}"
    )
    if not file.exists():
        raise SystemExit(f"{file} is not there: set TAUT_DATA to the folder that holds it")
    if name in UCI:
        x = np.loadtxt(io.BytesIO(gzip.decompress(file.read_bytes())))
        return x, np.zeros(x.shape[1], bool)
    frame = pl.read_csv(file)
    category = np.array(
        [frame[c].dtype == pl.String or frame[c].n_unique() == 2 for c in frame.columns]
    )
    codes = [
        frame[c].cast(pl.String).cast(pl.Categorical).to_physical() if named else frame[c]
        for c, named in zip(frame.columns, category, strict=True)
    ]
    return np.column_stack([column.cast(pl.Float64).to_numpy() for column in codes]), category


def removed(x: np.ndarray, mechanism: str) -> np.ndarray:
    """True where a cell is removed."""
    generator = np.random.default_rng(1)
    share = int(mechanism[-2:]) / 100
    if mechanism.startswith("mcar"):
        return generator.random(x.shape) < share
    above = x[:, :1] > np.median(x[:, 0])
    holes = generator.random(x.shape) < share * np.where(above, 1.6, 0.4)
    holes[:, 0] = False
    return holes


def measured(method: str, x: np.ndarray, holes: np.ndarray, category: np.ndarray) -> dict[str, Any]:
    """The errors of a method and what it took."""
    point, draws, seconds = filled_by(method, np.where(holes, np.nan, x), category)
    size = np.where(np.ptp(x, axis=0) > 0, np.ptp(x, axis=0), 1.0)

    def errors(filled: np.ndarray) -> np.ndarray:
        return np.where(category, filled != x, np.abs(filled - x) / size)

    *first, last = ({"seconds": one[0], "processor seconds": one[1]} for one in seconds)
    result: dict[str, Any] = last | ({"first": first[0]} if first else {})
    if draws is not None:
        point = np.where(category, point, np.median(draws, axis=0))
        each = np.where(holes, errors(draws[:FIVE]), 0.0)
        best = each.sum(axis=2).argmin(axis=0)
        nearest = np.take_along_axis(each, best[None, :, None], axis=0)[0]
        result["best of five"] = float(nearest[holes].mean())
        if len(draws) >= 20 and (numbers := holes & ~category).any():
            low, high = np.quantile(draws, [0.05, 0.95], axis=0)
            result["coverage"] = float(((low <= x) & (x <= high))[numbers].mean())
    return {"mean error": float(errors(point)[holes].mean()), **result}


def filled_by(method: str, given: np.ndarray, category: np.ndarray) -> tuple[Any, Any, list]:
    """One value and draws (None without) of each cell, and the seconds of each run of the method."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "rows.npz", Path(folder) / "filled.npz"
        np.savez(source, x=given, category=category, draws=FIVE)
        if method in OURS:
            own: dict[str, str] = os.environ | {"XDG_CACHE_HOME": folder}
            own.pop("JAX_COMPILATION_CACHE_DIR", None)
            command, runs = [sys.executable, __file__, "--fill"], 2
        else:
            own, runs = dict(os.environ), 1
            script = Path(__file__).with_name("imputation_peers.py")
            command = [str(python_of_peers("imputation", PINS)), str(script)]
        seconds = []
        for _ in range(runs):
            subprocess.run([*command, method, source, target], check=True, env=own)
            found = np.load(target)
            seconds.append(found["seconds"].tolist())
        return found["point"], found.get("draws"), seconds


def fill(method: str, source: str, target: str) -> None:
    """One run of a method of taut, in this process; files as of `imputation_peers.py`."""
    given = np.load(source)
    begun = time.perf_counter(), time.process_time()
    point, draws = OURS[method](given["x"], given["category"])
    seconds = (time.perf_counter() - begun[0], time.process_time() - begun[1])
    np.savez(target, point=point, draws=draws, seconds=seconds)


def gmm(given: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian mixtures with full covariances from several starts, pooled; draws are recorded values,
    or within the range of those.

    By the first start validation rows choose the floor, for some tables are nearer to certain than
    others, and whether skewed columns are fitted by their logarithms.
    """

    def fitted(data: taut.Data, floor: float, start: int) -> taut.Fit:
        return taut.em(
            data, model="gmm", components=20, restarts=1, tolerance=1e-2, floor=floor, key=start
        )

    added = added_to_skewed(given, category)
    logged = ~np.isnan(added)
    x = given.copy()
    x[:, logged] = np.log(given[:, logged] + added[logged])
    data = taut.load_data(x, split=SPLIT, dtype=np.float64)
    firsts = {floor: fitted(data, floor, 0) for floor in SMALL_FLOORS}
    found = {floor: fit.evidence(data.validation).value for floor, fit in firsts.items()}
    floor = max(found, key=lambda floor: found[floor])
    first = firsts[floor]
    if logged.any():
        plain = taut.load_data(given, split=SPLIT, dtype=np.float64)
        other = fitted(plain, floor, 0)
        # p(x) = p(y) dy/dx with y = log(x + a) and dy/dx = exp(-y)
        change = np.nansum(data.validation.x[:, logged], axis=1).mean()
        if other.evidence(plain.validation).value > found[floor] - change:
            data, first, x, logged = plain, other, given, np.zeros_like(logged)
    pool = taut.pool([first, *(fitted(data, floor, start) for start in range(1, STARTS))])
    filled = pool.impute(x, draws=DRAWS)
    draws = np.array(filled.draws)
    draws[..., logged] = np.exp(draws[..., logged]) - added[logged]
    draws = np.clip(draws, np.nanmin(given, axis=0), np.nanmax(given, axis=0))
    draws = filled._replace(draws=draws).recorded(given[data.train.index]).draws
    draws = np.where(category, np.rint(draws), draws)
    return most_frequent(draws), draws


def added_to_skewed(given: np.ndarray, category: np.ndarray) -> np.ndarray:
    """What is added to the numbers of each skewed column before their logarithm: 0, or their least
    where some are 0. NaN for other columns, and for those with numbers below 0."""
    centred = given - np.nanmean(given, axis=0)
    spread = np.nanmean(centred**2, axis=0) ** 1.5
    skewed = np.nanmean(centred**3, axis=0) > SKEWNESS * spread
    positive = np.nanmin(np.where(given > 0, given, np.inf), axis=0)
    least = np.nanmin(given, axis=0)
    return np.where(skewed & ~category & (least >= 0), np.where(least > 0, 0.0, positive), np.nan)


def most_frequent(draws: np.ndarray) -> np.ndarray:
    """The value that most of the draws of a cell have; the least of several."""
    rising = np.sort(draws, axis=0)
    counts = np.stack([(rising == one).sum(axis=0) for one in rising])
    return np.take_along_axis(rising, counts.argmax(axis=0)[None], axis=0)[0]


def mixed(given: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mixture of columns of their own kinds, independent given the component.

    Validation rows choose the components and the floor, which in small components would blur what is
    certain.
    """
    frame, kinds = framed(given, category)
    data = taut.load_data(frame, columns="auto", kind=kinds, split=SPLIT, dtype=np.float64)
    fits = [
        taut.em(data, model="mixed", components=(20, 40, 80), restarts=1, floor=floor)
        for floor in FLOORS
    ]
    return decoded(max(fits, key=lambda fit: fit.evidence(data.validation).value), data)


def vae(given: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A VAE with the default network and a likelihood for the kind of each column."""
    frame, kinds = framed(given, category)
    data = taut.load_data(frame, columns="auto", kind=kinds, split=SPLIT)
    return decoded(taut.fit(data, epochs=400, latent_dim=8, evidence_particles=20), data, 500)


def framed(given: np.ndarray, category: np.ndarray) -> tuple[pl.DataFrame, list[str]]:
    """A frame, and the kinds of the columns that are not what they look like."""
    frame = pl.DataFrame(given, schema=[f"c{i}" for i in range(given.shape[1])], nan_to_null=True)
    return frame, [f"c{i}={'categorical' if named else 'real'}" for i, named in enumerate(category)]


def decoded(
    fit: taut.Fit, data: taut.Data, num_particles: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Codes are those of `framed` again."""
    kinds = data.schema.kinds
    assert kinds is not None
    rows = np.concatenate([part.x for part in (data.train, data.validation, data.test)])
    order = np.argsort(np.concatenate([p.index for p in (data.train, data.validation, data.test)]))
    found = fit.impute(rows[order], draws=DRAWS, num_particles=num_particles)
    filled = [np.array(found.mode, np.float64), np.array(found.draws, np.float64)]
    for i, column in enumerate(kinds):
        if column.names:
            values = np.array([float(name) for name in column.names])
            for part in filled:
                part[..., i] = values[part[..., i].astype(int)]
    return filled[0], filled[1]


OURS: dict[str, Callable] = {f.__name__: f for f in (gmm, mixed, vae)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fill"]:
        fill(*sys.argv[2:])
    else:
        main()
