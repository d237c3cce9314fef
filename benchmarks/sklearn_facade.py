"""Seconds of `taut.sklearn.Mixture` against scikit-learn's and against `taut.em` on the same rows.

    large    100,000 x 20 rows, 20 full components
    small    1,000 x 5 rows, 3 full components

All fit one k-means start until fewer than 1e-3 nats per row are gained, their default in scikit-learn,
or remain to be gained. Runs are alternated after a first call, which compiles; the figure to quote is
the median over rounds of the ratio within a round.

    python benchmarks/sklearn_facade.py [--rounds 5] [--rows 100000]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from record import save_result
from sklearn.mixture import GaussianMixture

import taut
from taut.sklearn import Mixture

TOLERANCE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    content = {
        "large": compared(options.rows, 20, 20, options.rounds),
        "small": compared(1000, 5, 3, 4 * options.rounds),
    }
    print(save_result("sklearn_facade", content))


def compared(rows: int, columns: int, components: int, rounds: int) -> dict[str, Any]:
    """Alternated fits of all sides: seconds, ratios and the likelihoods that they end at."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(components, columns)) * 2
    x = centers[generator.integers(components, size=rows)] + generator.normal(size=(rows, columns))
    sides = {
        "facade": lambda seed: facade(x, components, seed),
        "em": lambda seed: em(x, components, seed),
        "scikit-learn": lambda seed: reference(x, components, seed),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    ends: dict[str, list[float]] = {name: [] for name in sides}
    for seed in range(rounds + 1):
        for name, side in sides.items():
            spent, end = timed(side, seed)
            if seed:  # the first call compiles
                seconds[name].append(spent)
                ends[name].append(end)
    return {
        "rows": rows, "columns": columns, "components": components, "rounds": rounds,
        "seconds": seconds, "log_likelihood": ends,
        "times_scikit_learn": ratio(seconds["scikit-learn"], seconds["facade"]),
        "times_em": ratio(seconds["facade"], seconds["em"]),
    }  # fmt: skip


def timed(side: Callable[[int], float], seed: int) -> tuple[float, float]:
    began = time.perf_counter()
    end = side(seed)
    return time.perf_counter() - began, end


def ratio(first: list[float], second: list[float]) -> float:
    """The median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def facade(x: np.ndarray, components: int, seed: int) -> float:
    return Mixture(components, n_init=1, tol=TOLERANCE, random_state=seed).fit(x).lower_bound_


def em(x: np.ndarray, components: int, seed: int) -> float:
    """On all rows, as the facade; the two held-out parts need a row each."""
    model = taut.GMM(components=components)
    parts = (x, x[:1], x[:1])
    fit = taut.em(parts, model=model, restarts=1, tolerance=TOLERANCE, key=seed, progress=False)
    return fit.history[-1]["bound"]


def reference(x: np.ndarray, components: int, seed: int) -> float:
    found = GaussianMixture(components, tol=TOLERANCE, max_iter=1000, random_state=seed).fit(x)
    return float(found.lower_bound_)


if __name__ == "__main__":
    main()
