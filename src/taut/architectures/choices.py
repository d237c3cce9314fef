"""What architectures ask of a choice: a number in range, a known name, a form that JSON holds."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from taut.core import InputError, nearest, option
from taut.data import Schema
from taut.models import AbstractLikelihood, LogCounts, Units

__all__ = ["at_least_one", "counts_of", "known", "refuse_users_parts", "units_of"]


def at_least_one(value: int, name: str) -> None:
    """Refuse an option below one."""
    if value < 1:
        raise InputError(
            "a whole number of at least 1", f"{value}", "1 or more", where=option(name)
        )


def known(name: str, registry: Mapping[str, Any], where: str) -> None:
    """Refuse a name that is not in the registry."""
    if name not in registry:
        raise InputError(
            f"one of {', '.join(registry)}", repr(name), nearest(name, registry), where=where
        )


def refuse_users_parts(choices: Mapping[str, Any]) -> None:
    """Refuse choices from a file that only name a part which a user wrote."""
    for part, value in choices.items():
        if isinstance(value, Mapping) and "user" in value:
            raise InputError(
                "a file whose parts are all taut's own",
                f"the {part} {value['user']}, which a user wrote",
                "`taut.load(path, like=architecture)` with an architecture that holds it",
                where="load",
            )


def units_of(schema: Schema) -> Units | None:
    """The standardisation that the schema has learned from the training rows; None without one."""
    if schema.scale is None:
        return None
    shift, scale = (jnp.broadcast_to(v, schema.shape).astype(float) for v in schema.shift_scale())
    return Units(shift, scale)


def counts_of(schema: Schema, likelihood: AbstractLikelihood) -> LogCounts | None:
    """How an encoder reads counts before it has seen a row; None where the data are none.

    Whole numbers that come as floats are counts where the likelihood says so.
    """
    counts = schema.support == "count" or likelihood.counts
    return LogCounts.start(schema.shape) if counts else None
