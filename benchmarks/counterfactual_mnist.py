"""Counterfactuals of MNIST in the latent space of a VAE: 4 to 9 and others, at a confidence of 0.99.

An MLP of 2 x 256 is explained; two with other seeds, and a logistic regression, say whether they agree
with its answers. Ascent in the latent space ("plain") is compared with ascent of the pixels ("wachter")
on the rows that both answered, by paired differences: agreement, share of the nearest training rows that
are of the target class, im1 (see `taut.counterfactuals.metrics`), by VAEs of each class. Answers to a
classifier of shuffled labels are the control: the others agree with those by chance.

Targets: agreement at least 0.8; neighbours and im1 better than the pixels'.

    TAUT_DATA=FOLDER python benchmarks/counterfactual_mnist.py [--rows 100] [--try]
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from counterfactuals import called, rebuilt
from record import save_result
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import taut
from taut.counterfactuals import Class, Differentiable, metrics, search
from taut.counterfactuals.sklearn_classifier import as_layers
from taut.data.sources.idx import read_idx

PAIRS = ((4, 9), (3, 8), (7, 1))
CONFIDENCE, TRAINING = 0.99, 12_000
COMPARED = ("agreement", "neighbours", "im1", "im2")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100, help="of each pair of classes")
    parser.add_argument("--try", dest="trying", action="store_true", help="small; writes nothing")
    asked = parser.parse_args()
    x, y = loaded("train")
    chosen = np.random.default_rng(0).permutation(len(x))[: 1000 if asked.trying else TRAINING]
    (x, y), (x_test, y_test) = (x[chosen], y[chosen]), loaded("t10k")

    def judge(model: Any, labels: np.ndarray) -> Differentiable:
        return Differentiable(as_layers(0.0, 1.0, model.fit(x.reshape(len(x), -1), labels)))

    def network(seed: int) -> MLPClassifier:
        return MLPClassifier((256, 256), random_state=seed, max_iter=100, early_stopping=True)

    networks = [judge(network(seed), y) for seed in range(3)]
    classifier, others = networks[0], [*networks[1:], judge(LogisticRegression(max_iter=200), y)]
    fit = taut.fit(
        x, model=taut.VAE(latent_dim=24, hidden=(400, 200), likelihood="gaussian"),
        epochs=200 if asked.trying else 80, evidence_particles=2, seed=0,
    )  # fmt: skip
    of_class = rebuilt(x, y, 20 if asked.trying else 150)
    said = called(classifier, x_test)
    pairs: dict[str, Any] = {}
    for origin, index in PAIRS:
        rows = x_test[(y_test == origin) & (said == origin)][: asked.rows]
        target = Class(index, CONFIDENCE)
        given = {"classifier": classifier, "target": target}
        began = time.perf_counter()
        ways = {"plain": search(fit, rows, **given)}
        taken = time.perf_counter() - began
        ways["wachter"] = search(fit, rows, geometry="x-space", proximity=0.01, **given)
        found = metrics(
            ways, rows, train=x, of_target=y == index, others=others, autoencoders=of_class,
            origin=np.full(len(rows), origin), **given,
        )  # fmt: skip
        pairs[f"{origin} to {index}"] = {
            "rows": len(rows),
            "milliseconds_per_row": 1e3 * taken / len(rows),
            "of": {way: {k: tuple(v) for k, v in of.items()} for way, of in found.of.items()},
            "plain less wachter": {
                metric: tuple(found.difference(metric, "plain", "wachter")) for metric in COMPARED
            },
        }
        print(json.dumps(pairs, indent=1), flush=True)
    shuffled = judge(network(0), np.random.default_rng(0).permutation(y))
    index = PAIRS[0][1]
    rows = x_test[called(shuffled, x_test) != index][: asked.rows]
    # At the class alone: a classifier of noise is seldom sure of anything.
    control = search(fit, rows, classifier=shuffled, target=Class(index, 0.5))
    answers = control.answers[control.reached[:, 0], 0]
    agreed = [float(np.mean(called(j, answers) == index)) for j in networks]
    content = {
        "training_rows": len(x), "confidence": CONFIDENCE, "pairs": pairs,
        "control": {"answered": len(answers), "rows": len(rows), "agreement": np.mean(agreed)},
    }  # fmt: skip
    print(json.dumps(content["control"]))
    if not asked.trying:
        print(save_result("counterfactual_mnist", content))


def loaded(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images with cells between 0 and 1, (N, 28, 28), and their digits."""
    folder = Path(os.environ["TAUT_DATA"]) / "mnist"
    x = read_idx(f"{folder / part}-images-idx3-ubyte.gz").astype(np.float32) / 255
    return x, read_idx(f"{folder / part}-labels-idx1-ubyte.gz").astype(np.int64)


if __name__ == "__main__":
    main()
