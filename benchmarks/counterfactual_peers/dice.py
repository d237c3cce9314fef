"""Milliseconds a row of DiCE's random search on a network of ReLU layers, as JSON on the last line.

    PYTHON benchmarks/counterfactual_peers/dice.py ROWS.npz

The file holds `train`, `label`, `rows`, `columns`, `mean`, `scale`, and layers `w0`, `b0`, `w1`, ...
One answer is asked for each row, as of taut.
"""

import contextlib
import io
import json
import sys
import time

import dice_ml
import numpy as np
import pandas as pd
from raiutils.exceptions import UserConfigValidationException


class Network:
    """A classifier of two classes as scikit-learn has them."""

    classes_ = np.array([0, 1])

    def __init__(self, held):
        self.held, self.depth = held, sum(name.startswith("w") for name in held)

    def predict_proba(self, table):
        u = (np.asarray(table, float) - self.held["mean"]) / self.held["scale"]
        for i in range(self.depth):
            u = u @ self.held[f"w{i}"] + self.held[f"b{i}"]
            u = np.maximum(u, 0) if i < self.depth - 1 else 1 / (1 + np.exp(-u))
        return np.concatenate([1 - u, u], axis=1)

    def predict(self, table):
        return self.predict_proba(table).argmax(axis=1)


def main() -> None:
    held = dict(np.load(sys.argv[1]))
    columns = held["columns"].tolist()
    table = pd.DataFrame(held["train"].astype(float), columns=columns)
    table["label"] = held["label"]
    data = dice_ml.Data(dataframe=table, continuous_features=columns, outcome_name="label")
    model = dice_ml.Model(model=Network(held), backend="sklearn")
    dice = dice_ml.Dice(data, model, method="random")
    rows = pd.DataFrame(held["rows"].astype(float), columns=columns)
    answered, begun = 0, time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        for i in range(len(rows)):
            with contextlib.suppress(UserConfigValidationException):
                found = dice.generate_counterfactuals(
                    rows.iloc[i : i + 1], total_CFs=1, desired_class=1, random_seed=0, verbose=False
                )
                answered += found.cf_examples_list[0].final_cfs_df is not None
    spent = 1e3 * (time.perf_counter() - begun) / len(rows)
    print(json.dumps({"ms": spent, "coverage": answered / len(rows), "rows": len(rows)}))


if __name__ == "__main__":
    main()
