"""Rows of the benchmark tables on priors that are learned, as `benchmark_tables.py` reads them."""

from collections.abc import Callable
from typing import Any

__all__ = ["PRIORS", "of_best"]

Rows = list[tuple[str, str]]


def of_best(found: dict[str, Any]) -> Rows:
    """The best model of static MNIST; where the test rows were not measured, the best validation."""
    asked, cores = found["preset"]["target"], found["hardware"]["cores"]
    device = f"{cores} core{'s' * (cores > 1)}" if "cpu" in found["device"] else found["device"]
    what = f"best model of static MNIST without an autoregressive decoder, on {device}"
    best = max(found["validation"], key=lambda one: one["bound"])
    words = f"validation bound of 16 draws {-best['bound']:.2f} after {best['seconds']:,.0f} s"
    if "test_nll" in found:
        draws, error = found["encoder"]["particles"], found["encoder"]["data_error"]
        seconds = (
            f"{found['seconds']['all']:,.0f} s {'of fitting' if 'measured' in found else 'in all'}"
        )
        words = (
            f"test NLL {found['test_nll']:.2f} ± {error:.2f} by {draws} draws a row, after {seconds}; "
            + words
        )
    return [(f"{what}: nats (asked {asked}) [{found['published_test_nll']}]", words)]


def of_priors(found: dict[str, Any]) -> Rows:
    """What each prior gains over the standard normal, by key."""
    rows = []
    entries = [one for of in found["keys"].values() for one in of.items()]
    names = {(n, one["prior"]) for n, one in entries if "gain_of_evidence" in one}
    for name, prior in sorted(names):
        keys = [one for n, one in entries if (n, one["prior"]) == (name, prior)]
        refitted = [one["refitted"] for one in keys]
        asked = found["targets_of_evidence"].get(name)
        rows.append((
            f"static MNIST, prior {prior} less the standard normal, by key: held-out evidence"
            f"{f' (asked {asked})' if asked else ''}; fitted to the finished model: held-out ELBO, its "
            "share of the training time",
            f"{_each(keys, 'gain_of_evidence')}; {_each(refitted, 'gain_of_elbo')}, "
            + ", ".join(map(_share, refitted)),
        ))  # fmt: skip
    return rows


def _share(refitted: dict[str, Any]) -> str:
    return f"{refitted['share_of_training_time']:.0%}" if refitted["kept"] else "not kept"


def _each(found: list[dict[str, Any]], name: str) -> str:
    return ", ".join(f"{one[name]['value']:+.2f} ± {one[name]['data_error']:.2f}" for one in found)


PRIORS: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "best_mnist": of_best,
    "priors": of_priors,
}
