"""What is asked of a fit or a posterior arrives where it is worked out: that is a recorder here."""

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest
from unchecked import types_unchecked

import taut
from taut.api.auditing import audit
from taut.api.bracketing import bracket_posterior
from taut.api.calibrating import calibrate_posterior
from taut.api.likening import fidelity
from taut.core import Datum, host_seed
from taut.fitted import Fit
from taut.fitted.conditional import Conditional
from taut.fitted.predicting import predict
from taut.inference import Refined
from taut.inference.posterior import PosteriorOptions
from taut.inference.posterior.verdict import DOUBT

X = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
TRAIN, HELD_OUT = (Datum(X[rows], index=np.arange(90)[rows]) for rows in (slice(60), slice(60, 90)))
MADE = X[::-1] + 1
FIT: Any = SimpleNamespace(
    schema=taut.load_data(X).schema, precision="float32", model=None,
    recipe=SimpleNamespace(data=SimpleNamespace(missing_codes=())),
    sample=lambda count, *, key: MADE[:count] + key,
)  # fmt: skip
FIT._precision, FIT._rows, FIT._without_bound = contextlib.nullcontext, lambda rows: rows, False
FIT.serving = lambda rows, key: ("its pair", key)
NAMED = pl.DataFrame(X.astype(float), schema=["a", "b", "y"])
PREDICTED = taut.load_data(NAMED, target="y", target_as="column")
PREDICTS: Any = SimpleNamespace(
    schema=PREDICTED.schema, predictor=Conditional(np.asarray(1.0)), model=None, precision="float32",
    recipe=SimpleNamespace(data=PREDICTED.options),
)  # fmt: skip
POSTERIOR: Any = SimpleNamespace(
    model="a program", datum="its data", estimates={"log_evidence": -3.25, "elbo": -4.5}, khat=0.9,
    guide_khat=0.6, verdict=SimpleNamespace(verdict=DOUBT), z=X, family="laplace", layers="", guide=None,
)  # fmt: skip
OWN = PosteriorOptions(guide="laplace", precision="float32")
OTHER = PosteriorOptions(guide="full-rank", num_starts=2)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Datum):
        found, wanted = found.x, wanted.x
    if isinstance(wanted, np.random.Generator):
        return found.bit_generator.state == wanted.bit_generator.state
    return bool(np.all(found == wanted))


# Door, what works it out, what is asked, and what then has to be given, by place or name.
CASES: dict[str, tuple[Callable[[], Any], str, dict[int | str, Any]]] = {
    "an audit": (
        lambda: audit(FIT, TRAIN, held_out=HELD_OUT, rows=17, key=9),
        "taut.audit.audit_fit",
        {1: TRAIN, 2: HELD_OUT, "num_rows_each": 17, "key": jax.random.key(9)},
    ),
    "fidelity": (
        lambda: fidelity(FIT, TRAIN, held_out=HELD_OUT, num_samples=17, key=9),
        "taut.audit.fidelity.fidelity_of",
        {
            0: MADE[:17] + 9, 1: TRAIN.x, 2: HELD_OUT.x,
            "generator": np.random.default_rng(host_seed(jax.random.key(9))),
        },
    ),
    "fidelity of rows": (
        lambda: fidelity(FIT, TRAIN, held_out=HELD_OUT, synthetic=MADE[:17]),
        "taut.audit.fidelity.fidelity_of",
        {0: MADE[:17], 1: TRAIN.x, 2: HELD_OUT.x},
    ),
    "an imputation": (
        lambda: Fit.impute(FIT, HELD_OUT, draws=3, num_particles=17, key=9),
        "taut.fitted.fit.filled",
        {0: FIT, 1: HELD_OUT, "draws": 3, "num_particles": 17, "key": jax.random.key(9)},
    ),
    "an evaluation": (
        lambda: Fit.evaluate(FIT, HELD_OUT, method="refined", num_particles=17, key=9),
        "taut.fitted.fit.measured_by",
        {0: Refined(17), 1: "its pair", 2: HELD_OUT, "key": jax.random.key(9)},
    ),
    "draws given cells": (
        lambda: Fit.sample(FIT, 3, given={"a": 1.0}, num_particles=17, key=9, mean=True),
        "taut.fitted.fit.sample_given",
        {
            0: FIT, 1: {"a": 1.0}, "num_samples": 3, "num_particles": 17, "key": 9, "mean": True,
        },
    ),
    "an interval": (
        lambda: predict(PREDICTS, PREDICTED.test, num_particles=1700, key=9),
        "taut.fitted.predicting.filled",
        {0: PREDICTS, "num_particles": 1700, "key": jax.random.key(9)},
    ),
    "refits": (
        lambda: calibrate_posterior(POSTERIOR, refits=70, draws=17, seconds=3.5, key=9),
        "taut.audit.refits.calibration_by_refits",
        {
            0: "a program", 1: "its data", 2: OWN, "refits": 70, "num_draws": 17, "seconds": 3.5,
            "key": jax.random.key(9),
        },
    ),
    "other refits": (
        lambda: calibrate_posterior(POSTERIOR, options=OTHER),
        "taut.audit.refits.calibration_by_refits",
        {2: OTHER},
    ),
    "a bracket": (
        lambda: bracket_posterior(POSTERIOR, refits=70, seconds=3.5, key=9),
        "taut.audit.refit_bracket.bracket_by_refits",
        {
            0: "a program", 1: "its data", 2: OWN, "lower": -3.25, "doubted": True, "guide_khat": 0.6,
            "refits": 70, "seconds": 3.5, "key": jax.random.key(9),
        },
    ),
    "another bracket": (
        lambda: bracket_posterior(POSTERIOR, options=OTHER),
        "taut.audit.refit_bracket.bracket_by_refits",
        {2: OTHER},
    ),
}  # fmt: skip


class Called(Exception):
    """The recorder was reached, and has nothing to give back."""


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_arrives(name, monkeypatch):
    asked, place, wanted = CASES[name]

    def record(*arguments: Any, **given: Any) -> Any:
        raise Called(dict(enumerate(arguments)) | given)

    monkeypatch.setattr(place, record)
    with types_unchecked(), pytest.raises(Called) as raised:
        asked()
    (found,) = raised.value.args
    for where, value in wanted.items():
        assert _same(found[where], value), where
