"""What no gradient enters stays as it was made, whatever the optimizer does."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from inference_problems import BITS, bits_architecture

import taut
from taut.core import Datum
from taut.data import Schema
from taut.inference import INFERENCES, AbstractAmortized, Algorithm, Joint, Problem
from taut.inference.amortized.ascent_steps import moved
from taut.inference.amortized.movable import movable
from taut.inference.amortized.prior_ascent import features_of, prior_ascent

AMORTIZED = [i for i in INFERENCES.values() if issubclass(i, AbstractAmortized)]
ROWS = np.random.default_rng(0).normal(50, 10, size=(8, 3)).astype(np.float32)
DATA = taut.load_data((ROWS, ROWS[:2], ROWS[:2]))
PRIOR: Any = dist.Normal(jnp.array([3.0, 3.0]), jnp.array([2.0, 2.0])).to_event(1)

# Moves every parameter, and the more the larger it is.
MOVES_ALL = optax.chain(
    optax.scale(1e-3),
    optax.stateless(lambda updates, _: jax.tree.map(lambda u: u + 1e-3, updates)),
    optax.add_decayed_weights(0.01),
)


def _problem(inference: AbstractAmortized) -> tuple[Problem, Datum]:
    if inference.claims.guides == "nearest-codes":
        architecture: Any = bits_architecture()
        schema, rows = Schema("bits", "table", (4,), "binary", 2), BITS
        rows = Datum(BITS.x.astype(np.float32), index=BITS.index)
    else:
        architecture = taut.VAE(latent_dim=2, hidden=(), prior=PRIOR)
        schema, rows = DATA.schema, Datum(ROWS, index=np.arange(8, dtype=np.int32))
    pair = architecture.init(schema, jax.random.key(0))
    pair = architecture.start(pair, rows, schema=schema)
    pair = inference.pair(pair, jnp.asarray(rows.index), jax.random.key(1))
    made = Problem(
        architecture, pair, inference.default_bound(architecture),
        architecture.gradient(inference.default_bound(architecture))[0]
        if inference.takes_gradient else None,
        MOVES_ALL, jax.tree.map(lambda leaf: leaf[0], rows), jax.random.key(2),
        probe=lambda number: jax.tree.map(lambda leaf: leaf[:number], rows),
    )  # fmt: skip
    return made, rows


def _after(algorithm: Algorithm, rows: Datum, num_steps: int) -> Any:
    step = jax.jit(lambda state: algorithm.step(state, rows)[0])
    state = algorithm.init()
    for _ in range(num_steps):
        state = step(state)
    return algorithm.pair(state)


def _arrays(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))[0]
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


@pytest.mark.parametrize("inference", AMORTIZED, ids=lambda i: i.name)
def test_every_inference_holds_constants_and_moves_the_rest(inference):
    """Of the VAE units, a given prior and a centre are constants; of the codebook's, an offset."""
    problem, rows = _problem(inference())
    before = _arrays(problem.pair)
    after = _arrays(_after(inference().algorithm(problem), rows, 2))
    constants = {
        name for name in before if any(
            part in name for part in (".units.", ".distribution", ".center", ".offset", ".prior_family")
        )
    }  # fmt: skip
    held = {name for name in before if np.array_equal(before[name], after[name])}
    assert constants
    assert held == constants


def test_a_prior_that_is_given_is_held_where_priors_are_fitted():
    problem, rows = _problem(Joint())
    algorithm = prior_ascent(problem.pair, MOVES_ALL, key=jax.random.key(0))
    features = jax.tree.map(jnp.asarray, features_of(problem.pair.bind()[1], rows))
    after = _arrays(_after(algorithm, features, 2))
    np.testing.assert_equal(after, _arrays(problem.pair))


def test_constants_have_no_part_in_what_an_optimizer_computes_of_all_parameters():
    """A norm over all updates is that of the parameters which move."""
    optimizer = optax.chain(optax.add_decayed_weights(1.0), optax.clip_by_global_norm(1.0))
    side = {"free": jnp.ones(()), "held": jnp.full((), 1e6)}
    gradient, free = {"free": jnp.ones(()), "held": jnp.zeros(())}, {"free": True, "held": False}
    after, _ = moved(
        optimizer, gradient, optimizer.init(side), side, side,
        scale=jnp.ones(()), step=jnp.zeros((), jnp.int32), free=free,
    )  # fmt: skip
    assert after == {"free": 2.0, "held": 1e6}


def test_what_moves_is_seen_through_loops_branches_and_compiled_functions():
    def loss(live: dict[str, Any]) -> Any:
        stop = jax.lax.stop_gradient

        def body(total: Any, t: Any) -> tuple[Any, None]:
            return total + t * live["loop"] * stop(live["held in a loop"]), None

        total, _ = jax.lax.scan(body, jnp.zeros(()), jnp.arange(3.0))
        total += jax.lax.cond(total > 0, lambda: live["branch"], lambda: stop(live["held there"]))
        compiled = jax.jit(lambda a, b: a * stop(b))(live["compiled"], live["held compiled"])
        return total + compiled + 0 * live["times nothing"]

    live = {
        name: jnp.ones(()) for name in (
            "loop", "held in a loop", "branch", "held there", "compiled", "held compiled",
            "times nothing", "unused",
        )
    }  # fmt: skip
    found = movable(loss, live)
    assert {name for name, free in found.items() if not free} == {
        "held in a loop", "held there", "held compiled", "unused",
    }  # fmt: skip
