"""Synthetic rows of adult by mixtures of columns: how like real rows they are, and what they teach.

    python benchmarks/synthetic.py [--settings 100,1000] [--resume] [--try]

Needs TAUT_DATA, a folder with adult_raw/adult.data.gz, the 32,561 rows of the UCI repository; where it
is absent it says so. A tenth of the rows, that of key 0, is held out and a tenth validates; the rest is
fitted to, and as many rows are drawn as were fitted to. Of each setting

    trend            mean over pairs of columns, beside the rows that were fitted to, as published
                     figures have it, and beside held-out rows; 1 where no difference is found
    two-sample       score of boosted trees that are to tell synthetic from held-out rows; 1 where they
                     cannot. Histogram gradient boosting of scikit-learn, where published is XGBoost
    area             under the ROC curve of boosted trees that learn income from the synthetic rows
                     alone, on held-out rows
    nearest          share of synthetic rows whose nearest real row was fitted to, and by chance

`real` is what rows that were fitted to reach in place of synthetic ones; its trend beside themselves is
that of as many drawn from them with replacement. Of several settings, the one whose two-sample score
beside validation rows is highest is `chosen`, among those that remember no row that was fitted to.
Seconds count fitting and drawing, compilation included, and `load` is how many processes the machine had
to serve at the end: where it exceeds the cores, the seconds are those of a busy machine, and
`cpu_seconds` say more. Writes benchmarks/results/synthetic.json after each setting, and goes on from
there with --resume.
"""

import argparse
import gzip
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from record import RESULTS, save_result

import taut
from taut.audit.column_fidelity import pair_trends
from taut.audit.discriminator import indistinguishable
from taut.audit.nearest_records import nearest_records

NAMES = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "income",
)  # fmt: skip
SPLIT = (0.8, 0.1, 0.1)
SETTINGS: dict[str, dict[str, Any]] = {
    str(number): {"components": number, "restarts": 1, "max_iterations": 30}
    for number in (120, 180, 250, 500)
}
PUBLISHED = {  # trend, two-sample, area
    "TVAE": (0.67, 0.00, 0.87),
    "TabSyn": (0.98, 0.79, 0.91),
    "shallow mixture, 20,000 components": (0.98, 0.77, 0.90),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    parser.add_argument(
        "--try", dest="small", action="store_true", help="2,000 rows, 20 components"
    )
    asked = parser.parse_args()
    path = RESULTS / "synthetic.json"
    found = json.loads(path.read_text())["found"] if asked.resume and path.exists() else {}
    frame = adult()
    frame = frame.sample(2000, seed=0) if asked.small else frame
    data = taut.load_data(frame, columns="auto", split=SPLIT, dtype=np.float64)
    if "real" not in found:
        found["real"] = of_real(data)
        print("real", found["real"], flush=True)
    for name in ["20"] if asked.small else asked.settings.split(","):
        if name in found:
            continue
        settings = {"components": 20, "restarts": 1} if asked.small else SETTINGS[name]
        begun, busy = time.perf_counter(), time.process_time()
        fit = taut.em(data, model="mixed", **settings)
        made = np.asarray(fit.sample(len(data.train), key=1), np.float64)
        seconds = {
            "seconds": time.perf_counter() - begun,
            "cpu_seconds": time.process_time() - busy,
        }
        validation = float(fit.evidence(data.validation).value)
        found[name] = {
            "settings": settings, "validation": validation, **measured(data, made), **seconds,
            "load": os.getloadavg()[0],
        }  # fmt: skip
        print(name, found[name], flush=True)
        if not asked.small:
            content = {"rows": rows_of(data), "published": PUBLISHED, "chosen": chosen(found)}
            save_result("synthetic", {**content, "found": found})


def chosen(found: dict[str, Any]) -> str:
    """The setting least distinguishable from validation rows, of those that remember none if any."""
    settings = [name for name in found if name != "real"]
    clean = [name for name in settings if not found[name]["nearest"]["memorised"]]
    return max(clean or settings, key=lambda name: found[name]["two-sample beside validation"])


def adult() -> pl.DataFrame:
    """The rows as they came, with missing cells where it says `?`."""
    file = Path(os.environ.get("TAUT_DATA", "../shared/data")) / "adult_raw" / "adult.data.gz"
    if not file.exists():
        raise SystemExit(f"{file} is not there: set TAUT_DATA to the folder that holds it")
    text = gzip.decompress(file.read_bytes()).decode().replace(", ", ",").strip()
    return pl.read_csv(
        io.StringIO(text), has_header=False, new_columns=list(NAMES), null_values="?"
    )


def rows_of(data: taut.Data) -> dict[str, int]:
    parts = ("train", "validation", "test")
    return {part: len(getattr(data, part)) for part in parts}


def of_real(data: taut.Data) -> dict[str, Any]:
    """What rows that were fitted to reach."""
    train = np.asarray(data.train.x, np.float64)
    again = train[np.random.default_rng(2).integers(len(train), size=len(train))]
    found = measured(data, train)
    found["trend"] = float(np.nanmean(pair_trends(train, again, categories(data))))
    return {name: found[name] for name in ("trend", "trend beside held-out", "two-sample", "area")}


def measured(data: taut.Data, made: np.ndarray) -> dict[str, Any]:
    """The scores of rows that are to be like the real ones."""
    train, validation, test = (
        np.asarray(part.x, np.float64) for part in (data.train, data.validation, data.test)
    )
    category, generator = categories(data), np.random.default_rng(0)
    trends = pair_trends(train, made, category)
    records = nearest_records(made, train, test, category, generator=generator)
    return {
        "trend": float(np.nanmean(trends)),
        "trend beside held-out": float(np.nanmean(pair_trends(test, made, category))),
        "two-sample": float(indistinguishable(test, made, category, generator=generator)),
        "two-sample beside validation": float(
            indistinguishable(validation, made, category, generator=generator)
        ),
        "area": area(made, test, category),
        "nearest": {**records._asdict(), "memorised": records.memorised},
        "worst pairs": worst(trends),
    }


def categories(data: taut.Data) -> np.ndarray:
    assert data.schema.kinds is not None
    return np.array([column.kind in ("categorical", "binary") for column in data.schema.kinds])


def worst(trends: np.ndarray, most: int = 5) -> dict[str, float]:
    pairs = [(float(trends[i, j]), i, j) for i in range(len(trends)) for j in range(i)]
    return {f"{NAMES[i]}, {NAMES[j]}": value for value, i, j in sorted(pairs)[:most]}


def area(made: np.ndarray, test: np.ndarray, category: np.ndarray) -> float:
    """The area under the ROC curve on held-out rows of trees that learned income from the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(categorical_features=category[:-1], random_state=0)
    with threadpool_limits(1, user_api="openmp"):
        trees.fit(made[:, :-1], made[:, -1])
        return float(roc_auc_score(test[:, -1], trees.predict_proba(test[:, :-1])[:, 1]))


if __name__ == "__main__":
    main()
