"""Counterfactuals of Adult by the score of GenRe: validity + plausibility - cost, on the same split.

The protocol of Garg, Nagalapatti and Sarawagi, From search to sampling: generative models for robust
algorithmic recourse (ICLR 2025), section 5, and of the code beside it. Cells are scaled by the columns'
ranges over the training rows. A calibrated random forest of all rows stands for those who decide: its
draws label the training rows, from which a network with three layers of 10 is fitted, the classifier
that is explained. Test rows that the network refuses get an answer x', and

    score = share that the forest accepts + share that is no outlier - mean of sum |x' - x| / columns

where an outlier is one among the rows that the forest accepts (local outlier factor, 5 neighbours). A
row without an answer is neither accepted nor plausible. The score is below 2 by its making, for an
answer that is accepted differs from its row.

    TAUT_DATA=FOLDER python benchmarks/counterfactual_score.py [--rows 1000] [--try]
"""

import argparse
import json
import time

import numpy as np
import optax
import polars as pl
from counterfactuals import CREDIT, above_floors, coded, constraints
from record import save_result
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

import taut
from taut.counterfactuals import Class, Differentiable, nearest_unlike
from taut.counterfactuals.sklearn_classifier import as_layers

CONFIDENCES = (0.5, 0.7, 0.9)
MOST = 12_000  # training rows of the flow's floor and of the nearest row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--try", dest="trying", action="store_true", help="small; writes nothing")
    asked = parser.parse_args()
    (train, label), (test, test_label), columns = loaded("train"), loaded("test"), names()
    if asked.trying:
        train, label, test, test_label = train[:2000], label[:2000], test[:500], test_label[:500]
    low, size = train.min(0), np.ptp(train, axis=0)

    def scaled(x: np.ndarray) -> np.ndarray:
        return (x - low) / size

    both, of_both = np.concatenate([train, test]), np.concatenate([label, test_label])
    forest = CalibratedClassifierCV(RandomForestClassifier(random_state=42), method="isotonic")
    forest.fit(scaled(both), of_both, sample_weight=compute_sample_weight("balanced", of_both))
    accepted = both[forest.predict_proba(scaled(both))[:, 1] > 0.5]
    usual = LocalOutlierFactor(n_neighbors=5, novelty=True).fit(scaled(accepted))
    drawn = np.random.default_rng(42).binomial(1, forest.predict_proba(scaled(train))[:, 1])
    network = MLPClassifier((10, 10, 10), random_state=42, max_iter=300, early_stopping=True)
    network.fit(scaled(train), drawn)
    classifier = Differentiable(as_layers(low, size, network))

    refused = test[network.predict_proba(scaled(test))[:, 1] <= 0.5]
    rows = np.random.default_rng(0).permutation(refused)[: asked.rows].astype(np.float32)
    table = pl.DataFrame(dict(zip(columns, train.astype(np.float32).T, strict=True)))
    fit = taut.fit(
        table, model=taut.Flow(layers="affine-coupling:8", hidden=(64, 64)), seed=0,
        epochs=2 if asked.trying else 20, evidence_particles=2,
        optimizer=optax.adamw(1e-3, weight_decay=1e-2),
    )  # fmt: skip
    some = np.random.default_rng(1).permutation(train)[:MOST].astype(np.float32)
    box = constraints("adult", train, columns)

    def measured(answers: np.ndarray, answered: np.ndarray, seconds: float) -> dict[str, float]:
        cost = np.abs(scaled(answers) - scaled(rows)).sum(1)
        valid = answered & (forest.predict_proba(scaled(answers))[:, 1] > 0.5)
        plausible = answered & (usual.predict(scaled(answers)) == 1)
        found = {
            "coverage": float(answered.mean()), "validity": float(valid.mean()),
            "plausibility": float(plausible.mean()), "cost": float(cost[answered].mean()),
            "milliseconds_per_row": 1e3 * seconds / len(rows),
        }  # fmt: skip
        score = found["validity"] + found["plausibility"] - found["cost"] / len(columns)
        return found | {"score": score}

    ways = {}
    for confidence in CONFIDENCES[:1] if asked.trying else CONFIDENCES:
        given = {"classifier": classifier, "target": Class(1, confidence)}
        began = time.perf_counter()
        answers = above_floors(fit, rows, some, constraints=box, **given)
        taken = time.perf_counter() - began
        ways[f"plain, plausible, {confidence}"] = measured(answers.x, answers.answered, taken)
        began = time.perf_counter()
        nearest = nearest_unlike(rows, some, scale=size, **given)
        taken = time.perf_counter() - began
        ways[f"nearest unlike, {confidence}"] = measured(nearest.x, nearest.answered, taken)
        print(json.dumps(ways, indent=1), flush=True)
    if not asked.trying:
        content = {"rows": len(rows), "asked": 2.0, "highest_possible": 2.0, "ways": ways}
        print(save_result("counterfactual_score", content))


def loaded(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows as numbers and their incomes, of the split's training or test rows."""
    table = pl.read_csv(CREDIT / f"adult_{part}.csv")
    return coded(table, names()), table["income"].to_numpy()


def names() -> list[str]:
    """The columns, income apart."""
    return [c for c in pl.read_csv(CREDIT / "adult_train.csv", n_rows=1).columns if c != "income"]


if __name__ == "__main__":
    main()
