"""Both networks of each name are made with the widths and the function that are asked for."""

from typing import Any

import jax
import numpy as np
import pytest

from taut.networks import NETWORKS

SHAPE = (4, 4)
OTHERS: dict[str, Any] = {"widths": (3, 5), "activation": "tanh"}
SIDES = ("encoder", "decoder")


def _form(name: str, side: str, **asked: Any) -> tuple[str, list[tuple[int, ...]]]:
    """What a network is but for its numbers."""
    network = NETWORKS[name]
    widths = network.widths(SHAPE, asked.get("widths", (4, 4)))
    function = asked.get("activation", network.activation)
    key = jax.random.key(0)
    made = (
        network.encoder(SHAPE, widths, 2, function, key=key)
        if side == "encoder"
        else network.decoder(2, widths, 1, SHAPE, function, key=key)
    )
    return f"{jax.tree.structure(made)}", [np.shape(leaf) for leaf in jax.tree.leaves(made)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        (name, option)
        for name, network in NETWORKS.items()
        for option in OTHERS
        if option == "widths" or network.activation is not None
    ],
)
def test_what_is_asked_of_a_network_arrives_on_both_sides(name, side, asked):
    assert _form(name, side, **{asked: OTHERS[asked]}) != _form(name, side)
