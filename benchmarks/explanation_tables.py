"""Rows of the benchmark tables about counterfactuals, as `benchmark_tables.py` reads them."""

from collections.abc import Callable
from typing import Any

__all__ = ["EXPLANATIONS"]

Rows = list[tuple[str, str]]
SHOWN = ("plain, plausible", "nearest unlike", "wachter")
COLUMNS = ("coverage", "validity", "plausibility", "agreement", "violations", "l2")


def of_counterfactuals(found: dict[str, Any]) -> Rows:
    """One row for each set and classifier; only methods that have answers in common are compared."""
    folds = {name: sum(f["set"] == name for f in found["folds"]) for name in found["summary"]}
    rows = []
    for name, kinds in found["summary"].items():
        for kind in ("mlp", "logistic"):
            ways = kinds[kind]
            cells = [
                f"{way}: "
                + ", ".join(
                    f"{metric} {ways[way][metric]:.2f}" for metric in COLUMNS if metric in ways[way]
                )
                for way in SHOWN
            ]
            what = f"counterfactuals of {name}, {kind}, mean of {folds[name]} of 5 folds"
            rows.append((what, "; ".join(cells)))
    return rows


def of_rates(found: dict[str, Any]) -> Rows:
    of = found["found"]
    rows = [
        (
            f"counterfactuals of {found['rows']:,} rows of Adult: milliseconds a row, first and second "
            "search",
            f"{of['first']['ms']:.1f}, {of['second']['ms']:.1f}",
        )
    ]
    if "ratio" in of:
        rows.append(("their speed over DiCE's random search", f"{of['ratio']:.0f}"))
    return rows


def of_score(found: dict[str, Any]) -> Rows:
    cells = [
        f"{way}: {of['score']:.2f} (cost {of['cost']:.2f})" for way, of in found["ways"].items()
    ]
    return [("GenRe's score on Adult, of at most 2", "; ".join(cells))]


def of_images(found: dict[str, Any]) -> Rows:
    rows = []
    for pair, of in found["pairs"].items():
        less = of["plain less wachter"]
        differences = ", ".join(
            f"{name} {less[name][0]:+.2f} ± {less[name][1]:.2f}" for name in ("neighbours", "im1")
        )
        rows.append((
            f"MNIST, {pair} at {found['confidence']}: agreement of other classifiers, and what latent "
            "ascent has more than ascent of the pixels",
            f"{of['of']['plain']['agreement'][0]:.2f}; {differences}",
        ))  # fmt: skip
    control = found["control"]
    rows.append(
        (
            "their agreement on answers to a classifier of shuffled labels",
            f"{control['agreement']:.2f}",
        )
    )
    return rows


EXPLANATIONS: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "counterfactuals": of_counterfactuals,
    "counterfactual_rates": of_rates,
    "counterfactual_score": of_score,
    "counterfactual_mnist": of_images,
}
