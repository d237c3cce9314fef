"""A class that labels tell: learned from few of them, saved, and refused where no bound can take it."""

import re
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.bounds import ELBO
from taut.core import Datum, InputError
from taut.data import label_names
from taut.evidence import expected_bound
from taut.fitted.class_latent import class_logits, with_classification
from taut.report.html.rows import latents

RNG = np.random.default_rng(0)
N = 320
CLASS = np.arange(N) % 2
X = np.where(RNG.random((N, 12)) < np.where(CLASS[:, None], 0.85, 0.15), 1, 0)
Y = np.where(np.arange(N) < 256, np.nan, CLASS)
TINY: dict[str, Any] = {"latent_dim": 1, "hidden": (8,), "evidence_particles": 2, "epochs": 20}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("classes") / "run"
    found = taut.fit(
        (X, Y), target="y", model="mixture-vae", batch_size=32, learning_rate=0.01, out=folder, **TINY
    )  # fmt: skip
    return found, folder


def test_few_labels_name_the_classes_that_all_rows_show(fitted):
    found, folder = fitted
    assert found.architecture.components == 2
    assert (found.predict(X).labels == CLASS).mean() > 0.95  # the truth itself has .99
    assert "log q(y | x) is added" in found.facts.objective_departure
    again: Any = taut.load(folder)
    np.testing.assert_array_equal(again.predict(X).probabilities, found.predict(X).probabilities)


def test_validation_looks_at_what_is_climbed(fitted):
    """The bound and alpha times the mean of log q(y | x): labels that are learned by heart end a fit."""
    found, _ = fitted
    assert found.architecture.label_alpha == 1  # as if every row had a label
    rows = Datum(X[300:].astype(np.float32))
    bound = expected_bound(found.pair, rows, ELBO(), key=jax.random.key(0))
    told = with_classification(bound, found.pair, (rows, CLASS[300:]), 2.5)
    log_q = class_logits(found.pair, rows)
    wanted = bound.value + 2.5 * log_q[np.arange(20), CLASS[300:]].mean()
    assert (told.value, told.side) == (pytest.approx(wanted), "none")
    assert told.values.mean() == pytest.approx(wanted)
    assert with_classification(bound, found.pair, (rows, CLASS[:0]), 2.5) is bound
    last = [step["validation"] for step in found.history if "validation" in step][-1]
    assert last["side"] == "none"  # of rows with labels; of others it is a lower bound


def test_evidence_of_rows_does_not_look_at_their_labels(fitted):
    found, _ = fitted
    data = taut.load_data((X, Y), target="y")
    beside = found.evaluate(data.test, num_particles=4)
    alone = found.evaluate(replace(data.test, label=None), num_particles=4)
    np.testing.assert_array_equal(beside.log_evidence.values, alone.log_evidence.values)


def test_a_row_without_a_class_has_no_name_where_labels_are_shown(fitted):
    found, _ = fitted
    data: Any = taut.load_data((X, Y), target="y")
    names = label_names(data.test)
    assert names == [None if code < 0 else "01"[code] for code in data.test.label]
    named = re.findall("</svg> ([^<]*)</li>", str(latents(found, data.test)))
    assert named == [*sorted({name for name in names if name}), "no label"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bound": "iwae"}, 'bound="elbo", where the target is the class'),
        ({"label_alpha": -1.0}, "a number of at least 0, got -1.0"),
        ({"components": 3}, "2 classes, as the target has them, got 3"),
    ],
)
def test_what_takes_no_classes_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        taut.fit((X, Y), target="y", model="mixture-vae", **{**TINY, **options})
