"""A program with its data is known again by its log-joint at a few points.

    log p(x, z_k)        nats, in the coordinates of z

A function may be edited, and so may what it reads of its file, of a function around it, or of settings,
while its latents keep their names and shapes. Data enter as float32 holds them, as in their checksum:
a posterior is known again in whatever precision its data are held. Two programs are taken for the same
where these numbers agree to half of their digits, which another machine or another version of JAX
leaves alone.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import Datum, InputError
from taut.core.compiling import shared_jit
from taut.models.program.abstract import AbstractProgram

__all__ = ["log_joints", "refuse_another"]


def log_joints(
    model: AbstractProgram, datum: Datum, z: Float[np.ndarray, "K d"]
) -> Float[np.ndarray, " K"]:
    """log p(x, z) at every point, with x rounded to float32; nats, in the precision of z."""

    def rounded(leaf: Any) -> Any:
        array = isinstance(leaf, np.ndarray | jax.Array)
        if array and jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf, jnp.float32).astype(z.dtype)
        return leaf

    datum = jax.tree.map(rounded, datum)
    at_points = shared_jit(jax.vmap(model.log_joint, in_axes=(None, 0)))
    return np.asarray(at_points(datum, jnp.asarray(z)))


def refuse_another(
    found: Float[np.ndarray, " K"], known: Float[np.ndarray, " K"], *, wish: str, where: str
) -> None:
    """Refuse a program, or data, that are others.

    Arguments:
        found: log-joints now.
        known: of the program that is wanted, at the same points.
        wish: the program that is wanted, in words.
        where: the run folder.

    Raises:
        InputError: the log-joints differ by more than rounding.
    """
    share = np.sqrt(np.finfo(found.dtype).eps)
    known = known.astype(found.dtype)
    same = np.isclose(found, known, rtol=share, atol=share, equal_nan=True)
    if same.all():
        return
    first = np.argmin(same)
    raise InputError(
        wish,
        f"one whose log-joint at a point is {found[first]:.8g} nats in place of {known[first]:.8g}",
        "the file, the data and whatever the function reads as they were", where=where,
    )  # fmt: skip
