"""Which cells of masked latents nothing reads (see `masked_latents`), by numbers at random points.

A continuous cell is idle where the gradient of every site's log-density in it is exactly zero, a
discrete one where its value changes the density of no other site.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from taut.core.compiling import shared_jit
from taut.models.program.discrete import Choice, Enumeration, Finite, Sites
from taut.models.program.tracing import log_prob

__all__ = ["idle_cells"]

_POINTS = 8  # random points; a latent that is read through a ReLU moves at half of them


def idle_cells(
    run: Callable[[dict[str, Array], Choice], Sites],
    values: Callable[[PRNGKeyArray], dict[str, Array]],
    masked: Collection[str],
    enumeration: Enumeration | None,
) -> dict[str, np.ndarray]:
    """The idle cells of masked latents, as `kept` takes them; latents without any are left out.

    Arguments:
        run: the program on values of the latents and a choice of the discrete ones.
        values: random values of the latents.
        masked: names of the latents that have a mask.
        enumeration: how discrete latents are summed out.
    """
    finite = () if enumeration is None else enumeration.shared + enumeration.local
    keys = jax.random.split(jax.random.key(0), _POINTS)

    def point(key: PRNGKeyArray) -> tuple[dict[str, Array], Choice]:
        own, *others = jax.random.split(key, 1 + len(finite))
        chosen = {
            f.name: jax.random.randint(k, f.full_shape, 0, f.num_values)
            for f, k in zip(finite, others, strict=True)
        }
        return values(own), chosen

    def moving(key: PRNGKeyArray) -> dict[str, Array]:
        at, chosen = point(key)

        def weighted(some: dict[str, Array]) -> Array:
            # Weights of their own keep the shares of two sites from cancelling.
            sites = [s for s in run(at | some, chosen).values() if s["type"] == "sample"]
            shares = []
            for number, site in enumerate(sites):
                cells = log_prob(site)
                own = jax.random.fold_in(key, number)
                shares.append(jnp.sum(jax.random.uniform(own, jnp.shape(cells)) * cells))
            return sum(shares, jnp.zeros(()))

        continuous = {name: at[name] for name in masked if name in at}
        return jax.tree.map(lambda g: g != 0, jax.grad(weighted)(continuous))

    found: dict[str, np.ndarray] = {}
    if set(masked) - {f.name for f in finite}:
        moved = shared_jit(jax.vmap(moving))(keys)
        found |= {name: np.asarray(~cells.any(axis=0)) for name, cells in moved.items()}
    for f in finite:
        if f.name in masked:
            assert enumeration is not None
            readers = set(enumeration.by_local if f.dims else enumeration.touched) - {f.name}
            moved = _read(run, point, f, sorted(readers), keys)
            found[f.name] = np.asarray(~moved)
    return {name: cells for name, cells in found.items() if cells.any()}


def _read(
    run: Callable[[dict[str, Array], Choice], Sites],
    point: Callable[[PRNGKeyArray], tuple[dict[str, Array], Choice]],
    finite: Finite,
    readers: Sequence[str],
    keys: Array,
) -> Bool[Array, "..."]:
    """Which cells of a discrete latent change the density of some other sites."""
    one_cell = np.eye(math.prod(finite.shape), dtype=bool).reshape(-1, *finite.shape)

    def at(key: PRNGKeyArray, cell: Array) -> Array:
        values, chosen = point(key)
        # Data may lie where two values of the latent are equally likely.
        drawn = {name: _drawn(site, key) for name, site in run(values, chosen).items()}

        def others(number: Array) -> list[Array]:
            picked = jnp.where(cell, number, chosen[finite.name])
            sites = run(values, chosen | {finite.name: picked})
            return [log_prob({**sites[name], "value": drawn[name]}) for name in readers]

        moved = [
            finite.any_by_row(~jnp.isclose(each, each[0], rtol=1e-4, atol=1e-6).all(axis=0))
            for each in jax.vmap(others)(jnp.arange(finite.num_values))
        ]
        return cell & sum(moved, jnp.zeros((), bool))

    every = jax.vmap(jax.vmap(at, in_axes=(None, 0)), in_axes=(0, None))
    return shared_jit(every)(keys, jnp.asarray(one_cell)).any(axis=(0, 1))


def _drawn(site: dict[str, Any], key: PRNGKeyArray) -> Any:
    """New data of an observed site; the value of every other one."""
    if site["type"] != "sample" or not site["is_observed"] or site["infer"].get("is_auxiliary"):
        return site["value"]
    try:
        return site["fn"].sample(key)
    except NotImplementedError:
        return site["value"]
