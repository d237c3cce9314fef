"""Random keys: one convention, and the way from a key to random numbers on the host.

A key has one use. It is drawn from once, or split once, or folded with numbers that differ:

    split(key, n)[i] = fold_in(key, i)        for each i < n

so a key that is split and also folded gives two things the same stream, and a key that is drawn from and
also split gives draws that depend on those of its children. Where things are added to a split, its
number grows: the first n keys of split(key, m) are those of split(key, n), n <= m. Steps, rows and
layers fold their numbers. A key is used again only where the same draws are wanted: to show a step once
more, or to compare two things on common draws.

NumPy's generators start from `host_seed` or `host_generator`, each from a key of its own, and a key that
NumPy's generator hands back to JAX comes from `key_from`.

Source of the equation: `jax_threefry_partitionable`, in JAX's documentation of random numbers.
"""

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from taut.core.datum import Datum
from taut.errors import InputError

__all__ = ["as_key", "host_generator", "host_seed", "key_from", "key_of_row"]


def as_key(key: int | PRNGKeyArray) -> PRNGKeyArray:
    """A random key from a whole number, or the key itself.

    Raises:
        InputError: the number does not fit 64 bits.
    """
    if not isinstance(key, int | np.integer):
        return key
    if not -(2**63) <= key < 2**63:
        raise InputError("a whole number that fits 64 bits", f"{key}", "0", where="seed")
    return jax.random.key(key)


def key_of_row(key: PRNGKeyArray, row: Datum, place: int | Int[Array, ""]) -> PRNGKeyArray:
    """The key of what is drawn for a row, which is the same whatever rows stand around it.

    Arguments:
        key: of all rows.
        row: by whose number in its data set the key goes.
        place: of the row in the batch, by which it goes where the row has no number, or is a data set
            itself, with a number for each of its own rows.
    """
    if row.index is None or np.ndim(row.index):
        return jax.random.fold_in(key, place)
    return jax.random.fold_in(key, row.index)


def host_seed(key: PRNGKeyArray) -> int:
    """A whole number below 2^32 drawn from a key: the seed of everything that the host draws by it."""
    return int(_bits(key))


@jax.jit  # one program, where the operations by themselves are several
def _bits(key: PRNGKeyArray) -> UInt32[Array, ""]:
    return jax.random.bits(key, dtype=np.uint32)


def host_generator(key: PRNGKeyArray) -> np.random.Generator:
    """NumPy's generator, seeded with all words of a key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def key_from(generator: np.random.Generator) -> PRNGKeyArray:
    """The next key of a generator on the host."""
    return jax.random.key(int(generator.integers(2**31)))
