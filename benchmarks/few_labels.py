"""Few labels: test error, NLL and calibration error of what learns from all rows, and what cannot.

    python benchmarks/few_labels.py --mnist FOLDER --adult adult.data.gz [--draws 5] [--epochs 100]
                                    [--labels 100] [--methods m1 m2] [--try]

MNIST with 100 labels and adult with 100, 1,000 and all, the labels drawn anew for each draw; a fifth of
them chooses penalties and temperatures, and the test rows are seen by no fit.

    m1          a head on the latent features of a VAE of all training rows: regression, or neighbours
    m2          a class that is enumerated, which labels tell; q(y given x) predicts
    m1+m2       m2 on the latent features of m1, of the same VAE
    masked      a VAE of features and label alike, cells hidden at random; its conditional predicts
    supervised  of the labelled rows alone: logistic regression of pixels; gradient boosting of a table

Every run is written when it is done, with its commit, and those in benchmarks/results/few_labels.json
(with --try few_labels_try.json) are not run again.
"""

import argparse
import gzip
import json
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
from record import RESULTS, commit, save_result
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import taut
from taut.data import Dataset, load_rows
from taut.fitted.class_head import class_head, spread_labels
from taut.fitted.heads import best_temperature
from taut.fitted.prediction import class_scores
from taut.fitted.stacked import stacked_head

TARGET = "target"
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", TARGET,
)  # fmt: skip
HELD = 0.2  # of the labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--adult", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--labels", type=int, nargs="*", help="how many; of adult 0 is all")
    parser.add_argument("--methods", nargs="*", default=[*METHODS], choices=METHODS)
    parser.add_argument("--try", dest="small", action="store_true")
    asked = parser.parse_args()
    name = "few_labels_try" if asked.small else "few_labels"
    path = RESULTS / f"{name}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    draws, epochs = (1, 3) if asked.small else (asked.draws, asked.epochs)
    sets = {}
    if asked.mnist:
        sets["mnist"] = lambda: mnist(asked.mnist, small=asked.small)
    if asked.adult:
        sets["adult"] = lambda: adult(asked.adult, small=asked.small)
    for set_name, load in sets.items():
        train, test = load()
        numbers = asked.labels or ((100,) if set_name == "mnist" else (100, 1000, 0))
        numbers = [number or len(train) for number in numbers]
        for draw, number, method in product(range(draws), numbers, asked.methods):
            key = {"set": set_name, "method": method, "labels": number, "draw": draw}
            if any(key.items() <= run.items() for run in runs):
                continue
            begun = time.perf_counter()
            parts = labelled(train, number, draw, balanced=set_name == "mnist")
            scores = METHODS[method](set_name, *parts, test, draw, epochs)
            took = {"epochs": epochs, "seconds": time.perf_counter() - begun}
            runs.append({**key, **took, **scores, "commit": commit()})
            save_result(name, {"runs": runs, "summary": summary(runs)})
            print(runs[-1], flush=True)


def mnist(folder: Path, *, small: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pixels above one half as bits, and the digit as text."""
    data = taut.load_data(f"mnist:{folder}", binarize="threshold")
    parts = [(data.train[:], 2000), (data.validation, 0), (data.test, 500)]
    frames = []
    for part, few in parts:
        part = part[:few] if small else part
        names = [f"p{i}" for i in range(784)]
        frame = pl.DataFrame(part.x.reshape(len(part), -1).astype(np.int8), schema=names)
        digits = [f"digit {label}" for label in part.label]
        frames.append(frame.with_columns(pl.Series(TARGET, digits, dtype=pl.String)))
    return pl.concat(frames[:2]), frames[2]


def adult(path: Path, *, small: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the file in an order of their own; a fifth for the test."""
    text = gzip.decompress(path.read_bytes()).decode()
    cells = [line.split(", ") for line in text.split("\n") if line]
    frame = pl.DataFrame(cells, schema=COLUMNS, orient="row").with_columns(
        pl.col(n).cast(pl.Int64, strict=False)
        for n in (
            "age",
            "fnlwgt",
            "education-num",
            "capital-gain",
            "capital-loss",
            "hours-per-week",
        )
    )
    order = np.random.default_rng(0).permutation(len(frame))
    test = len(frame) // 5
    train, test = frame[order[test:]], frame[order[:test]]
    return (train[:1500], test[:500]) if small else (train, test)


def labelled(
    train: pl.DataFrame, number: int, draw: int, *, balanced: bool
) -> tuple[pl.DataFrame, pl.DataFrame, np.ndarray]:
    """Training and validation rows, labels hidden but for some, and the classes.

    Arguments:
        train: all rows that may be learned from.
        number: of labels.
        draw: which rows have them.
        balanced: as many of every class, as the field draws them of MNIST; else by chance.
    """
    rng = np.random.default_rng(draw)
    names = train[TARGET].to_numpy()
    classes, known, held = np.unique(names), np.zeros(len(train), bool), np.zeros(len(train), bool)
    groups = (
        [np.flatnonzero(names == name) for name in classes] if balanced else [range(len(train))]
    )
    for places in map(rng.permutation, groups):
        count = number // len(groups)
        known[places[:count]], held[places[: int(HELD * count)]] = True, True
    shown = [name if seen else None for name, seen in zip(names, known, strict=True)]
    hidden = train.with_columns(pl.Series(TARGET, shown, dtype=pl.String))
    return hidden.filter(~pl.Series(held)), hidden.filter(pl.Series(held)), classes


_VAES: dict[tuple, taut.Fit] = {}
OPTIONS = {"mnist": {"optimizer": "muon", "learning_rate": 1.5e-3, "batch_size": 500}}


class Features(NamedTuple):
    """What a VAE of all rows makes of the rows and labels of one draw.

    Attributes:
        fit: the VAE.
        z: features of training rows.
        codes: their classes, -1 for none.
        held: features and classes of the labelled validation rows.
    """

    fit: taut.Fit
    z: np.ndarray
    codes: np.ndarray
    held: tuple[np.ndarray, np.ndarray]


def features(set_name, train, validation, classes, epochs) -> Features:
    """By one VAE for every number of labels and every draw, as it sees no labels."""
    key = (set_name, epochs)
    if key not in _VAES:
        _VAES[key] = taut.fit(
            pl.concat([train, validation]).drop(TARGET),
            model=taut.VAE(latent_dim=50, hidden=(600, 600)), split=(0.95, 0.04, 0.01),
            epochs=epochs, evidence_particles=2, seed=0, **OPTIONS.get(set_name, {}),
        )  # fmt: skip
    fit = _VAES[key]
    known = validation.filter(pl.col(TARGET).is_not_null())
    parts = [(encoded(fit, frame), codes_of(frame, classes)) for frame in (train, known)]
    return Features(fit, *parts[0], parts[1])


def rows_of(fit: taut.Fit, frame: pl.DataFrame) -> Dataset:
    return load_rows(frame.drop(TARGET), fit.schema, unseen="missing")


def encoded(fit: taut.Fit, frame: pl.DataFrame) -> np.ndarray:
    return np.asarray(fit.encode(rows_of(fit, frame)), np.float64)


def codes_of(frame: pl.DataFrame, classes: np.ndarray) -> np.ndarray:
    code = {name: i for i, name in enumerate(classes)}
    return np.array([-1 if name is None else code[name] for name in frame[TARGET]])


def m1(set_name, train, validation, classes, test, draw, epochs) -> dict:
    """Regression on the latent features, or neighbours among them."""
    fit, z, codes, held = features(set_name, train, validation, classes, epochs)
    head = class_head(z, codes, held, len(classes))
    return {"head": type(head).__name__, **scored_head(head, fit, test, classes)}


def m1m2(set_name, train, validation, classes, test, draw, epochs) -> dict:
    """A model of the latents with classes, which is told what spreads from the labels."""
    fit, z, codes, held = features(set_name, train, validation, classes, epochs)
    told = spread_labels(z, codes, held, len(classes))
    head = stacked_head(
        fit.pair, (rows_of(fit, train).datum(), rows_of(fit, validation).datum()),
        (told, codes_of(validation, classes)), len(classes), fit.recipe.training,
        num_steps=fit.facts.steps, key=draw,
    )  # fmt: skip
    head = head._replace(temperature=best_temperature(head.logits(held[0]), held[1]))
    return scored_head(head, fit, test, classes)


def scored_head(head: Any, fit: taut.Fit, test: pl.DataFrame, classes: np.ndarray) -> dict:
    """What a head says of the test rows."""
    logits = head.logits(encoded(fit, test)) / float(head.temperature)
    return scored(_softmax(logits), codes_of(test, classes))


def m2(set_name, train, validation, classes, test, draw, epochs) -> dict:
    """The class is a latent of the model."""
    model = taut.MixtureVAE(latent_dim=50, hidden=(600, 600))
    return fitted(set_name, train, validation, test, draw, epochs, model)


def masked(set_name, train, validation, classes, test, draw, epochs) -> dict:
    """Features and label are columns of one table."""
    model = taut.VAE(latent_dim=50, hidden=(600, 600))
    return fitted(set_name, train, validation, test, draw, epochs, model, target_as="column")


def fitted(set_name, train, validation, test, draw, epochs, model, **options) -> dict:
    """What a fit with a target says of its test rows."""
    fit = taut.fit(
        (train, validation, test), target=TARGET, model=model, epochs=epochs, seed=draw,
        evidence_particles=2, **options, **OPTIONS.get(set_name, {}),
    )  # fmt: skip
    named = {"error": 1 - fit.estimates["accuracy"].value}
    return named | {
        n: fit.estimates[e].value for n, e in {"nll": "target_nll", "ece": "ece"}.items()
    }


def supervised(set_name, train, validation, classes, test, draw, epochs) -> dict:
    """What scikit-learn makes of the labelled rows alone."""
    known = pl.concat([train, validation]).filter(pl.col(TARGET).is_not_null())
    x, others = (
        pd.DataFrame(frame.drop(TARGET).to_dict(as_series=False)) for frame in (known, test)
    )
    if set_name == "mnist":
        model = LogisticRegressionCV(cv=3, max_iter=1000, random_state=draw)
    else:
        text = [n for n in x.columns if x[n].dtype == object or str(x[n].dtype).startswith("str")]
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        model = make_pipeline(
            make_column_transformer((encoder, text), remainder="passthrough"),
            HistGradientBoostingClassifier(random_state=draw),
        )
    model.fit(x, known[TARGET].to_numpy())
    code = {name: i for i, name in enumerate(model.classes_)}
    codes = np.array([code[name] for name in test[TARGET]])
    return scored(model.predict_proba(others), codes)


def scored(probabilities: np.ndarray, codes: np.ndarray) -> dict:
    found = class_scores(probabilities, codes, index=np.arange(len(codes)), drawn=False)
    return {
        "error": 1 - found["accuracy"].value, "nll": found["target_nll"].value,
        "ece": found["ece"].value,
    }  # fmt: skip


def summary(runs: list[dict]) -> list[dict]:
    """Means over draws, with their standard errors."""
    groups: dict[tuple, list[dict]] = {}
    for run in runs:
        groups.setdefault((run["set"], run["method"], run["labels"]), []).append(run)
    found = []
    for (set_name, method, labels), own in groups.items():
        row = {"set": set_name, "method": method, "labels": labels, "draws": len(own)}
        for name in ("error", "nll", "ece", "seconds"):
            values = np.array([run[name] for run in own])
            error = float(values.std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else None
            row[name] = {"mean": float(values.mean()), "error": error}
        found.append(row)
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


METHODS = {"supervised": supervised, "m1": m1, "m2": m2, "m1+m2": m1m2, "masked": masked}

if __name__ == "__main__":
    main()
