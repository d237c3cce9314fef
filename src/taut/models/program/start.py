"""Whether a fit can start at a point: what is not finite there, and what has no gradient.

One evaluation of the log-joint and its gradient at z; where something is wrong, the message names the
site, the row (from 1) and the value.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import LOG_VOLUME, Datum, total
from taut.core.compiling import shared_jit
from taut.errors import InputError
from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.observed_support import place_of, shown

__all__ = ["check_start"]

_SHOWN = 6  # parameters in a message that stays one line


def check_start(model: AbstractProgram, datum: Datum, z: Float[Array, " d"]) -> None:
    """Raise unless optimization can start at z.

    Arguments:
        model: a program.
        datum: its data, or a minibatch of them.
        z: the start, (d,).

    Raises:
        InputError: data outside a site's support; a log-density or gradient that is not finite; a
            latent that the log-joint does not depend on.
    """

    def log_joint(z: Array) -> tuple[Array, dict[str, Part]]:
        terms = model.terms(datum, z)
        del terms[LOG_VOLUME]
        return total(terms), model.parts(datum, z)

    evaluate = shared_jit(jax.value_and_grad(log_joint, has_aux=True))
    (value, parts), gradient = jax.tree.map(np.asarray, evaluate(z))
    for name, part in parts.items():
        _check_part(model, name, part, z)
    if not np.isfinite(value):
        raise InputError(
            "a finite log-joint at the start", f"{value}", "another start", where=model.name
        )
    _check_gradient(model, z, gradient)
    dead = [site.name for site in model.sites if not _moves(model, site.name, gradient)]
    if dead:
        # A gradient can vanish at one point by chance.
        elsewhere = np.asarray(evaluate(z + jnp.linspace(0.1, 0.3, model.dim))[1])
        dead = [name for name in dead if not _moves(model, name, elsewhere)]
    if dead:
        raise InputError(
            "a log-joint that changes smoothly with every latent",
            f"a gradient of zero in '{dead[0]}'",
            "removing rounding, comparisons or integer casts of it, or the latent itself",
            where=model.name,
        )


def _check_part(model: AbstractProgram, name: str, part: Part, z: Array) -> None:
    where = f"{model.name}, site '{name}'" if part.value is not None else model.name
    if part.supported is not None and not part.supported.all():
        row, value = _first(~part.supported, part.value)
        raise InputError(
            "latents for which every observed value is possible",
            f"none among random ones; {value}{row} is outside of its support at {_parameters(model, z)}",
            "a prior that reaches them, or correcting the data",
            where=where,
        )
    bad = ~np.isfinite(part.log_prob)
    if not bad.any():
        return
    # A factor has no value.
    row, value = (
        _first(bad, part.value) if part.value is not None and np.size(part.value) else ("", "")
    )
    at = f" of {value}{row}" if value else ""
    raise InputError(
        f"a finite log-density{at} at the start",
        f"{part.log_prob[bad][0]} at {_parameters(model, z)}",
        "priors under which it is finite, or a density without 0/0, log(0) and overflow",
        where=where,
    )


def _check_gradient(model: AbstractProgram, z: Array, gradient: Any) -> None:
    parts = model.layout.parts(jnp.asarray(gradient))
    for site in model.sites:
        part = np.asarray(parts[site.name])
        if not np.isfinite(part).all():
            raise InputError(
                f"a finite gradient in '{site.name}' at the start",
                f"{part[~np.isfinite(part)][0]} at {_parameters(model, z)}",
                "guarding both branches of a jnp.where, sqrt(0) or abs of a zero vector",
                where=model.name,
            )


def _moves(model: AbstractProgram, name: str, gradient: Any) -> bool:
    part = np.asarray(model.layout.parts(jnp.asarray(gradient))[name])
    return not part.size or bool(np.any(part != 0))


def _first(bad: Any, value: Any) -> tuple[str, str]:
    """Where the first bad cell stands, as a phrase, and the value there."""
    cell = tuple(int(i) for i in np.argwhere(bad)[0])
    value = np.asarray(value)
    inside = value.ndim >= len(cell) and value.shape[: len(cell)] == np.shape(bad)
    return place_of(cell), shown(value[cell] if inside else value)


def _parameters(model: AbstractProgram, z: Array) -> str:
    values = model.constrain(z)
    flat = np.concatenate([np.ravel(values[site.name]) for site in model.sites])
    shown = [f"{n} = {v:.4g}" for n, v in zip(model.coordinates, flat, strict=True)][:_SHOWN]
    return ", ".join(shown) + (", ..." if len(flat) > _SHOWN else "")
