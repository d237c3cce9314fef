"""Counterfactuals on moons, digits and wine: five folds, the metrics of `taut.counterfactuals`.

    python benchmarks/counterfactuals.py [--sets moons,wine] [--folds 5] [--rows 100] [--epochs 200]

A flow is fitted to the training rows of each fold, and another one with other layers and another seed
judges plausibility. An MLP of 2 x 256 is explained; two others with other seeds and a logistic
regression say whether they agree. Rows of the test fold that the MLP calls another class are to become
the target. Cells are in units of their range over the training rows. Writes
benchmarks/results/counterfactuals.json.
"""

import argparse
import time

import numpy as np
from record import save_result
from sklearn.datasets import load_digits, load_wine, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

import taut
from taut.counterfactuals import (
    Class,
    Differentiable,
    growing_spheres,
    metrics,
    nearest_unlike,
    search,
)
from taut.counterfactuals.sklearn_classifier import as_layers

SETS = {
    "moons": lambda: make_moons(1000, noise=0.1, random_state=0),
    "digits": lambda: load_digits(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
}
TARGETS = {"moons": 1, "digits": 9, "wine": 0}
CONFIDENCE = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=200)
    asked = parser.parse_args()
    found = {}
    for name in asked.sets.split(","):
        x, y = SETS[name]()
        folds = StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)
        found[name] = [
            measured(name, x[train], y[train], x[test], asked, fold)
            for fold, (train, test) in zip(range(asked.folds), folds, strict=False)
        ]
        print(name, summary(found[name]))
    asked_for = {"rows": asked.rows, "epochs": asked.epochs, "confidence": CONFIDENCE}
    means = {name: summary(folds) for name, folds in found.items()}
    save_result("counterfactuals", {"asked": asked_for, "summary": means, "folds": found})


def measured(name, train, label, test, asked, fold) -> dict:
    """The metrics of every method on one fold, and the milliseconds of each for a row."""
    low, size = train.min(0), np.ptp(train, axis=0)
    size = np.where(size > 0, size, 1.0)
    train, test = ((x - low) / size for x in (train, test))
    if name == "digits":  # grey levels need no density on whole numbers
        noise = np.random.default_rng(fold)
        train, test = (x + noise.uniform(0, 1 / 16, x.shape) for x in (train, test))
    train, test = train.astype(np.float32), test.astype(np.float32)
    target = Class(TARGETS[name], CONFIDENCE)
    networks = [MLPClassifier((256, 256), random_state=seed, max_iter=300) for seed in range(3)]
    judges = [
        Differentiable(as_layers(0 * low, 1 + 0 * low, model.fit(train, label)))
        for model in (*networks, LogisticRegression(max_iter=2000))
    ]
    classifier, others = judges[0], judges[1:]
    x = test[networks[0].predict(test) != TARGETS[name]][: asked.rows]
    fit = taut.fit(
        train, model=taut.Flow(layers="affine-coupling:8"), epochs=asked.epochs,
        evidence_particles=2, seed=fold,
    )  # fmt: skip
    independent = taut.fit(
        train, model=taut.Flow(layers="spline-maf:4"), epochs=asked.epochs, evidence_particles=2,
        seed=100 + fold,
    )  # fmt: skip
    given = {"classifier": classifier, "target": target}
    ways = {
        "plain": lambda: search(fit, x, **given),
        "plain, plausible": lambda: search(fit, x, plausible=train, quantile=0.5, **given),
        "revise": lambda: search(fit, x, geometry="adam", proximity=0.1, **given),
        "wachter": lambda: search(fit, x, geometry="x-space", proximity=0.1, **given),
        "nearest unlike": lambda: nearest_unlike(x, train, **given),
        "growing spheres": lambda: growing_spheres(x, **given),
    }
    answers, milliseconds = {}, {}
    for way, run in ways.items():
        run()  # compiles
        begun = time.perf_counter()
        answers[way] = run()
        milliseconds[way] = 1e3 * (time.perf_counter() - begun) / len(x)
    result = metrics(
        answers, x, train=train, of_target=label == TARGETS[name], others=others,
        log_density=lambda rows: np.asarray(independent.evidence(rows).values), **given,
    )  # fmt: skip
    of = {w: {k: tuple(v) for k, v in means.items()} for w, means in result.of.items()}
    return {"of": of, "ms": milliseconds, "rows": result.rows, "compared": result.compared}


def summary(folds: list[dict]) -> dict:
    """Means over folds, by method."""
    ways = folds[0]["of"]
    return {
        way: {
            **{k: float(np.nanmean([f["of"][way][k][0] for f in folds])) for k in ways[way]},
            "ms": float(np.mean([f["ms"][way] for f in folds])),
        }
        for way in ways
    }


if __name__ == "__main__":
    main()
