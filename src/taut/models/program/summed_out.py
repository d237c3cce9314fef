"""Reading discrete and masked latents: what depends on them, how they are summed out, what is idle."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from taut.core.compiling import shared_jit
from taut.errors import InputError
from taut.models.program.arguments import whole
from taut.models.program.dependence import reached
from taut.models.program.discrete import Cells, Choice, Finite, Sites, enumerated
from taut.models.program.distribution_support import support_of
from taut.models.program.failures import place
from taut.models.program.idle_cells import idle_cells
from taut.models.program.masked_latents import Idle, is_masked
from taut.models.program.reading import Reading
from taut.models.program.tracing import cells, is_latent, is_summed, log_prob, plates_of, run

__all__ = ["with_enumeration", "with_idle"]


def with_enumeration(found: Reading, sites: Sites, arrays: dict[str, Any]) -> Reading:
    """The reading with its discrete latents summed out.

    Raises:
        InputError: they cannot be; see `enumerated`.
    """
    finite = [site["finite"] for site in sites.values() if "finite" in site]
    if not finite:
        return found
    where = place(found.program)
    depends, moving = _dependents(found, sites, arrays, finite)
    batched = None if found.plate is None or not found.plate.partial else found.plate.name
    plates = {n: plates_of(s) for n, s in sites.items() if s["type"] == "sample"}
    enumeration = enumerated(finite, depends.__getitem__, plates, sorted(moving), batched, where)
    assert enumeration is not None

    at = shared_jit(lambda a: found.random_values(sites, a, jax.random.key(0)))(arrays)

    def touched(choice: Choice) -> dict[str, Cells]:
        arguments = whole(arrays, found.settings)
        made = run(found.program, arguments, lambda m: at[m["name"]], choice=choice)
        return {name: cells(made[name]) for name in enumeration.touched}

    enumeration.check_rows(touched, where)
    enumeration.check_scales(shared_jit(touched)({}), plates, where)
    return replace(found, enumeration=enumeration)


def with_idle(found: Reading, sites: Sites, arrays: dict[str, Any]) -> Reading:
    """The reading with the cells of its masked latents that keep their own density."""
    masked = {name for name, site in sites.items() if _is_hidden(site) and is_masked(site["fn"])}
    if not masked:
        return found
    arguments = whole(arrays, found.settings)

    def made(values: dict[str, Array], choice: Choice) -> Sites:
        return run(found.program, arguments, lambda m: values[m["name"]], choice=choice)

    cells = idle_cells(
        made,
        lambda key: found.random_values(sites, arrays, key),
        masked,
        found.enumeration,
    )
    return replace(found, idle={name: _idle(sites[name], c) for name, c in cells.items()})


def _dependents(
    found: Reading, sites: Sites, arrays: dict[str, Any], finite: Sequence[Finite]
) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """What each discrete latent moves.

    Returns:
        for each of them, the sites whose log-density it changes; the deterministic sites that one of
        them changes.

    Raises:
        InputError: one of them moves the support of another latent.
    """
    latents = {n: jnp.zeros(s["fn"].shape()) for n, s in sites.items() if is_latent(s)}
    order = [n for n, s in sites.items() if s["type"] == "sample"]
    named = [n for n, s in sites.items() if s["type"] == "deterministic"]

    def outcomes(choice: Choice, arrays: dict[str, Any]) -> list[Any]:
        arguments = whole(arrays, found.settings)
        made = run(found.program, arguments, lambda m: latents[m["name"]], choice=choice)
        bounds = [jax.tree.leaves(support_of(made[n]["fn"])) for n in latents]
        # One number for each, so that the flat results keep their places.
        return [
            *(log_prob(made[n]) for n in order),
            *(sum((jnp.sum(leaf) for leaf in leaves), jnp.zeros(())) for leaves in bounds),
            *(jnp.asarray(made[n]["value"]) for n in named),
        ]

    blank = {f.name: jnp.zeros(f.shape, jnp.int32) for f in finite}
    jaxpr = jax.make_jaxpr(outcomes)(blank, arrays).jaxpr
    rest = [False] * len(jax.tree.leaves(arrays))
    depends: dict[str, tuple[str, ...]] = {}
    moving: set[str] = set()
    for name in blank:
        _, depend = reached(jaxpr, [name == other for other in sorted(blank)] + rest)
        places = iter(depend)
        depends[name] = tuple(n for n in order if next(places))
        bent = [n for n in latents if next(places)]
        moving |= {n for n in named if next(places)}
        if bent:
            raise InputError(
                f"supports that do not depend on discrete latents such as '{name}'",
                f"site '{bent[0]}', whose support does",
                "a latent on the unit interval, scaled to its bounds", where=place(found.program),
            )  # fmt: skip
    return depends, moving


def _idle(site: dict[str, Any], cells: np.ndarray) -> Idle:
    batch = len(site["fn"].batch_shape)
    return Idle(cells, {frame.name: batch + frame.dim for frame in site["cond_indep_stack"]})


def _is_hidden(site: dict[str, Any]) -> bool:
    return is_latent(site) or is_summed(site)
