"""Optimizers at equal steps: the held-out bound of one small VAE, by Optax's optimizers.

    adam, adamw, adopt           those of Optax 0.2.8, at their defaults beside the step size
    muon                         as `--optimizer muon` has it
    schedule-free                schedule-free AdamW; judged at the parameters where its gradients are
                                 taken, which are those that a fit keeps, and not at their average
    soap                         where this Optax has it

Five data sets that need no download: grey digits, binary digits, the columns of breast cancer, those of
wine, and 2,000 rows of a nonlinear function of three latents. Each optimizer has four step sizes: a
third of its usual one, that one, three and ten times it. Of each fit the best validation bound within
the steps is taken, nats per row. For each set and optimizer the step size with the best mean over the
keys is reported, and the paired difference from Adam's with its standard error over keys.

Fits that are in the JSON already are not repeated, so that a run may be stopped and gone on with.

    python benchmarks/optimizers.py [--steps 2000] [--keys 3] [--sets digits wine] [--out FILE.json]
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optax
from record import RESULTS, conditions, write_whole
from sklearn.datasets import load_breast_cancer, load_wine

from taut.api.amortized import fit_amortized
from taut.architectures import VAE
from taut.data import Data, load_data
from taut.errors import RunError
from taut.recipe import Recipe
from taut.training import OPTIMIZERS as NAMED
from taut.training import TrainingOptions

BATCH, VALIDATIONS, FACTORS = 64, 20, (1 / 3, 1.0, 3.0, 10.0)
_SOAP = getattr(optax.contrib, "soap", None)
OPTIMIZERS: dict[str, tuple[Callable[[float], Any], float]] = {
    "adam": (optax.adam, 1e-3),
    "adamw": (optax.adamw, 1e-3),
    "muon": (NAMED["muon"], 1e-3),
    "adopt": (optax.contrib.adopt, 1e-3),
    "schedule-free": (optax.contrib.schedule_free_adamw, 2.5e-3),
    **({} if _SOAP is None else {"soap": (_SOAP, 3e-3)}),
}


def _curved() -> np.ndarray:
    """Rows near a curved surface of three dimensions."""
    generator = np.random.default_rng(0)
    z, first = generator.normal(size=(2000, 3)), generator.normal(size=(3, 32))
    hidden = np.tanh(z @ first)
    return hidden @ generator.normal(size=(32, 30)) + 0.3 * generator.normal(size=(2000, 30))


SETS: dict[str, Callable[[], Data]] = {
    "digits": lambda: load_data("digits"),
    "binary digits": lambda: load_data("digits", binarize="threshold"),
    "breast cancer": lambda: load_data(load_breast_cancer(return_X_y=True)[0]),
    "wine": lambda: load_data(load_wine(return_X_y=True)[0]),
    "curved": lambda: load_data(_curved()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--out", type=Path, default=RESULTS / "optimizers.json")
    options = parser.parse_args()
    found: dict[str, float] = {}
    if options.out.exists():
        before = json.loads(options.out.read_text())
        found = before["bounds"] if before["steps"] == options.steps else {}
    for name in options.sets:
        data = SETS[name]()
        for key in range(options.keys):
            for optimizer, (make, usual) in OPTIMIZERS.items():
                for factor in FACTORS:
                    mark = f"{name} | {optimizer} | {factor:.3g} | {key}"
                    if mark in found:
                        continue
                    found[mark] = held_out(data, make(factor * usual), options.steps, key)
                    print(mark, found[mark], flush=True)
                    content = {
                        **conditions(),
                        "steps": options.steps,
                        "batch": BATCH,
                        "bounds": found,
                    }
                    write_whole(options.out, {**content, **summary(found)})


def held_out(data: Data, optimizer: Any, steps: int, key: int) -> float:
    """The best validation bound within the steps, nats per row; -inf for a fit that fails."""
    batch = min(BATCH, len(data.train))
    per_epoch = len(data.train) // batch
    training = TrainingOptions(
        optimizer=optimizer, epochs=math.ceil(steps / per_epoch), batch_size=batch, patience=0,
        validate_every=max(1, steps // VALIDATIONS),
    )  # fmt: skip
    recipe = Recipe(data=data.options, model=VAE(latent_dim=4, hidden=(64,)), training=training)
    try:
        # Without the evidence at the end, which takes longer than these few steps.
        fit = fit_amortized(
            recipe,
            data,
            key=key,
            out=None,
            force=False,
            resume=False,
            progress=None,
            measured=False,
        )
    except RunError:
        return -math.inf
    values = [r["validation"]["value"] for r in fit.history if "validation" in r]
    return max((v for v in values if math.isfinite(v)), default=-math.inf)


def summary(found: dict[str, float]) -> dict[str, Any]:
    """For each set and optimizer the best step size, its mean bound, and the difference from Adam's."""
    by: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for mark, value in found.items():
        name, optimizer, factor, key = mark.split(" | ")
        by.setdefault(name, {}).setdefault(optimizer, {}).setdefault(factor, {})[key] = value
    best: dict[str, Any] = {}
    for name, optimizers in by.items():
        chosen = {
            o: max(rates.items(), key=lambda item: float(np.mean(list(item[1].values()))))
            for o, rates in optimizers.items()
        }
        rows = best.setdefault(name, {})
        for optimizer, (factor, values) in chosen.items():
            rows[optimizer] = {"factor": factor, "mean": float(np.mean(list(values.values())))}
            both = sorted(set(values) & set(chosen["adam"][1])) if "adam" in chosen else []
            if optimizer != "adam" and len(both) > 1:
                apart = [values[key] - chosen["adam"][1][key] for key in both]
                error = float(np.std(apart, ddof=1) / math.sqrt(len(apart)))
                rows[optimizer] |= {"above_adam": float(np.mean(apart)), "error": error}
    return {"best": best}


if __name__ == "__main__":
    main()
