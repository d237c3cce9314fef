"""Each name of a layer is made with the options that it reads, whichever of them, and no others."""

from typing import Any

import jax
import numpy as np
import pytest

from taut.architectures import Flow
from taut.data import Schema
from taut.transforms import LAYER_NAMES, SPEC_NAMES, make_layers

KEY = jax.random.key(0)
OTHERS: dict[str, Any] = {
    "hidden": (5,), "activation": "tanh", "bins": 3, "box": 2.0, "units": 2, "condition_dim": 4,
}  # fmt: skip
OF_A_FLOW = ("hidden", "activation", "bins", "box")

NETWORK, SPLINE = {"hidden", "activation"}, {"bins", "box"}
READ: dict[str, set[str]] = {
    "affine-coupling": NETWORK,
    "spline-coupling": NETWORK | SPLINE,
    "maf": NETWORK,
    "spline-maf": NETWORK | SPLINE,
    "iaf": NETWORK,
    "planar": set(),
    "radial": set(),
    "sylvester": {"units"},
    "affine": set(),
    "actnorm": set(),
    "lu": set(),
    "reverse": set(),
    "dequantize": set(),
    "dequantize-variational": NETWORK,
    "logit": set(),
    "abs": NETWORK,
    "generative-abs": set(),
    "sort": set(),
    "generative-sort": set(),
    "shuffle": set(),
    "slice": NETWORK,
    "augment": NETWORK,
    "max-pool": set(),
    "vae": NETWORK,
    "squeeze": set(),
    "invertible-conv": set(),
    "conv-coupling": NETWORK,
    "glow": NETWORK,
    "multi-scale": NETWORK,
}
UNCONDITIONAL = {"actnorm", "lu", "reverse"}

TABLE = Schema("table", "table", (4,), "real")
UNIT = Schema("unit", "image", (4, 4, 2), "unit")
GREY = Schema("grey", "image", (4, 4), "grey", levels=5)
IMAGES = {"squeeze", "invertible-conv", "conv-coupling", "glow", "multi-scale"}


def _schema(name: str) -> Schema:
    if name in IMAGES or name == "logit":
        return UNIT
    return GREY if name.startswith("dequantize") else TABLE


def _form(made: Any) -> tuple[str, list[tuple[int, ...]]]:
    """What layers are but for their numbers."""
    return f"{jax.tree.structure(made)}", [np.shape(leaf) for leaf in jax.tree.leaves(made)]


def _of_vector(name: str, **options: Any) -> Any:
    return _form(make_layers(name, 4, key=KEY, **options))


def _of_data(name: str, **options: Any) -> Any:
    line = f"{name}:2" if LAYER_NAMES[name].needed else name
    return _form(Flow(layers=line, **options).init(_schema(name), KEY))


def test_every_name_is_here():
    assert set(LAYER_NAMES) == set(READ)


@pytest.mark.parametrize("name", SPEC_NAMES)
def test_layers_of_a_vector_read_their_options_and_no_others(name):
    usual = _of_vector(name)
    found = {o for o, value in OTHERS.items() if _of_vector(name, **{o: value}) != usual}
    assert found == READ[name] | (set() if name in UNCONDITIONAL else {"condition_dim"})


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_a_flow_hands_its_options_on_to_its_layers(name):
    usual = _of_data(name)
    found = {o for o in OF_A_FLOW if _of_data(name, **{o: OTHERS[o]}) != usual}
    assert found == READ[name] & set(OF_A_FLOW)
