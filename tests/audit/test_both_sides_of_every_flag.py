"""Every yes or no of an audit turns where its own words say, with the errors that they name."""

import importlib
import inspect
import math
import pkgutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unchecked import types_unchecked

import taut.audit
from taut.architectures import VAE
from taut.audit.findings import _wrong
from taut.audit.remedies import Choices
from taut.core import Estimate

_EPS = float(np.finfo(np.float32).eps)


def _share(value: float, error: float) -> Estimate:
    return Estimate(value, "none", mc_error=error, unit="of prior draws")


def _kl(value: float, active: int = 1) -> dict[str, Any]:
    return {"num_active": active, "kl": Estimate(value, "exact")}


def _moments(bias: float, error: float, norm: float = 1.0) -> dict[str, Any]:
    return {"squared_bias": bias, "squared_bias_error": error, "squared_norm": norm}


def _groups(*biased: bool) -> dict[str, Any]:
    return {"moments": {f"{i}": SimpleNamespace(biased=b) for i, b in enumerate(biased)}}


def _quantities(*passes: bool) -> dict[str, Any]:
    return {"quantities": tuple(SimpleNamespace(passes=p) for p in passes)}


def _records(share: float) -> dict[str, Any]:
    return {"to_training": share, "by_chance": 0.8, "error": 0.01}


def _copies(share: float) -> dict[str, Any]:
    return {"copies": share, "held_out_copies": 0.1, "copies_error": 0.01}


def _told(information: float) -> dict[str, Any]:
    return {"ceiling": math.log(100), "mutual_information": Estimate(information, "unbiased")}


# What is true of the first of two neighbours, and not of the second.
FLAGS: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "Calibration.passes": [(_quantities(True, True), _quantities(True, False))],
    "GradientMeasure.biased": [(_groups(False, True), _groups(False, False))],
    "GradientMoments.biased": [
        (_moments(5.1, 1.0), _moments(4.9, 1.0)),  # five errors
        (_moments(1.1e4 * _EPS**2, 0.0), _moments(0.9e4 * _EPS**2, 0.0)),  # rounding
    ],
    "Holes.many": [  # more than 1 % by two errors
        ({"share": _share(0.031, 0.01)}, {"share": _share(0.029, 0.01)}),
        ({"share": _share(0.0111, 0.0005)}, {"share": _share(0.0109, 0.0005)}),
    ],
    "LatentUse.collapsed": [(_kl(0.09), _kl(0.11)), (_kl(3.0, active=0), _kl(3.0))],
    "NearestRecords.copied": [(_copies(0.141), _copies(0.139))],  # four errors
    "NearestRecords.memorised": [(_records(0.841), _records(0.839))],  # four errors
    "Quantity.passes": [({"p_value": 0.051}, {"p_value": 0.049})],
    "Surgery.set_by_rows": [(_told(math.log(100) - 0.49), _told(math.log(100) - 0.51))],
    "TwoSample.differ": [({"p_value": 0.0099}, {"p_value": 0.0101})],
}


def _flags() -> dict[str, property]:
    """Every property of the layer that is a yes or no, by its class."""
    found: dict[str, property] = {}
    for module in pkgutil.iter_modules(taut.audit.__path__, "taut.audit."):
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            for own, value in vars(cls).items():
                hints = getattr(getattr(value, "fget", None), "__annotations__", {})
                if cls.__module__ == module.name and hints.get("return") is bool:
                    found[f"{name}.{own}"] = value
    return found


def test_every_flag_has_its_two_sides():
    assert _flags().keys() == FLAGS.keys()


@pytest.mark.parametrize(
    ("name", "told", "untold"), [(name, *sides) for name, pairs in FLAGS.items() for sides in pairs]
)
def test_a_flag_turns_between_two_neighbours(name, told, untold):
    read = _flags()[name].fget
    assert read is not None
    assert read(SimpleNamespace(**told))
    assert not read(SimpleNamespace(**untold))


@pytest.mark.parametrize(("value", "error", "told"), [
    (-1.61, 0.3, True), (-1.59, 0.3, False), (-0.11, 0.0, True), (-0.09, 0.0, False),
    (-9.0, math.nan, False),
])  # fmt: skip
def test_an_elbo_above_the_evidence_is_told_beyond_five_errors_and_a_tenth(value, error, told):
    gaps: Any = SimpleNamespace(total=Estimate(value, "none", mc_error=error))
    use: Any = SimpleNamespace(collapsed=False)
    with types_unchecked():
        found = [finding.name for finding in _wrong(gaps, use, Choices(VAE()))]
    assert found == (["densities"] if told else [])
