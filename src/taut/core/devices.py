"""Rows in shares over several devices; all else is whole on each.

    mean_i f(x_i), i < B    =    (1 / B) sum over devices d of  sum over d's share of  f(x_i)

A program is written for all rows, and XLA makes of it one for the share of a device: where rows are
added up, it adds the sums of the devices. Draws are keyed by row, so that what one step adds up differs
between numbers of devices by no more than the rounding of a sum. Rows that the devices do not divide are
filled up, and what fills them has no weight.

A sum over hosts takes milliseconds however small it is, so what a step adds up (`sum_of_shares`,
`mean_of_shares`) goes as one vector and not as one for each array (`benchmarks/hosts.py`).

    with over_devices("all"):        which `over_rows`, the training step and the E-step ask for
        ...
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from taut.errors import InputError, option

__all__ = [
    "Devices",
    "alone",
    "current_mesh",
    "mean_of_shares",
    "num_devices",
    "on_all",
    "on_one",
    "over_devices",
    "per_share",
    "share",
    "sum_of_shares",
    "whole",
]

_ROWS = "rows"  # the one axis of the mesh
Devices = int | Literal["all"] | str | None  # text is a number, as it is typed

_MESH: ContextVar[Mesh | None] = ContextVar("taut_devices", default=None)


@contextlib.contextmanager
def over_devices(devices: Devices) -> Iterator[None]:
    """Share rows out over devices while the block runs.

    Arguments:
        devices: how many, or "all"; None for what an outer block has, else one.

    Raises:
        InputError: no number of devices, or more than there are.
    """
    if devices is None:
        yield
        return
    found = jax.devices()
    count = _number(devices, found)
    mesh = Mesh(np.array(found[:count]), (_ROWS,), axis_types=(AxisType.Auto,))
    token = _MESH.set(mesh if count > 1 else None)
    try:
        yield
    finally:
        _MESH.reset(token)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One device of this host, whatever an outer block has, while the block runs."""
    token = _MESH.set(None)
    try:
        yield
    finally:
        _MESH.reset(token)


def current_mesh() -> Mesh | None:
    """The devices that rows are shared out over; None for one device, which JAX chooses."""
    return _MESH.get()


def num_devices() -> int:
    """How many they are."""
    mesh = current_mesh()
    return 1 if mesh is None else mesh.size


def share(rows: Any) -> Any:
    """Rows on the first axis of each array, each device's own; within a program or outside of one."""
    return _placed(rows, PartitionSpec(_ROWS))


def on_all(tree: Any) -> Any:
    """Arrays that are whole on every device; within a program or outside of one."""
    return _placed(tree, PartitionSpec())


def per_share(function: Callable[[Any], Any], rows: Any) -> Any:
    """A function of rows, on each device of its own; within a program.

    Arguments:
        function: of rows to a result for each of them.
        rows: arrays whose first axis the devices divide.
    """
    return _mapped(function, rows, PartitionSpec(_ROWS))


def sum_of_shares(function: Callable[[Any], Any], rows: Any) -> Any:
    """The sum over devices of a function of their own rows; arguments as of `per_share`."""

    return _mapped(lambda own: _added_up(function(own)), rows, PartitionSpec())


def mean_of_shares(function: Callable[[Any], Any], rows: Any) -> Any:
    """Means over all rows, of the means over the devices' own; within a program.

    Arguments:
        function: of rows to floating-point arrays, each a mean over those rows.
        rows: arrays with rows on their first axis. Where the devices do not divide them, XLA cuts
            `function` of all of them.
    """
    devices = num_devices()
    if devices == 1 or jax.tree.leaves(rows)[0].shape[0] % devices:
        return function(rows)
    return jax.tree.map(lambda total: total / devices, sum_of_shares(function, rows))


def whole(tree: Any) -> Any:
    """Arrays on every host, of which devices held shares or all."""
    return jax.tree.map(np.asarray, jax.tree.map(_gathered, tree))


def on_one(tree: Any) -> Any:
    """Arrays and random keys that are whole on every device, on the one that JAX chooses."""
    return tree if current_mesh() is None else jax.tree.map(_on_one, tree)


def _gathered(leaf: Any) -> Any:
    """An array whose shares may lie on other hosts, as one that does not."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return leaf
    return _identity(leaf)


def _identity(leaf: jax.Array) -> jax.Array:
    mesh = current_mesh()
    assert mesh is not None  # or all of it were here
    return _copied_to_all(mesh)(leaf)


@cache
def _copied_to_all(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _on_one(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        bits = jax.random.key_data(leaf.addressable_data(0))
        return jax.random.wrap_key_data(_on_one(bits), impl=jax.random.key_impl(leaf))
    return jnp.asarray(np.asarray(leaf)) if isinstance(leaf, jax.Array) else leaf


def _mapped(function: Callable[[Any], Any], rows: Any, results: PartitionSpec) -> Any:
    mesh = current_mesh()
    if mesh is None:
        return function(rows)
    return jax.shard_map(
        function, mesh=mesh, in_specs=PartitionSpec(_ROWS), out_specs=results, check_vma=False
    )(rows)


def _added_up(own: Any) -> Any:
    """The sum over devices of arrays that each has of its own, all of one type at once."""
    leaves, structure = jax.tree.flatten(own)
    for dtype in dict.fromkeys(leaf.dtype for leaf in leaves):  # in one order on all hosts
        places = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        vector, parted = ravel_pytree([leaves[i] for i in places])
        for i, total in zip(places, parted(_summed(vector)), strict=True):
            leaves[i] = total
    return jax.tree.unflatten(structure, leaves)


def _summed(vector: jax.Array) -> jax.Array:
    """The sum over devices of a vector that each has of its own, the same bits on all of them.

    On CPUs, for 2^k devices, by k exchanges of partial sums, each with the device whose number differs
    in one bit; Gloo takes longer over its own sum of the same vector.
    """
    mesh = current_mesh()
    assert mesh is not None
    if mesh.devices.flat[0].platform != "cpu" or mesh.size & (mesh.size - 1):
        return jax.lax.psum(vector, _ROWS)
    for bit in range(mesh.size.bit_length() - 1):
        pairs = [(i, i ^ 1 << bit) for i in range(mesh.size)]
        vector = vector + jax.lax.ppermute(vector, _ROWS, pairs)
    return vector


def _placed(tree: Any, spec: PartitionSpec) -> Any:
    mesh = current_mesh()
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, spec)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, Tracer):
            return jax.lax.with_sharding_constraint(leaf, sharding)
        if sharding.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

    return jax.tree.map(put, tree)


def _number(devices: Any, found: list[Any]) -> int:
    if devices == "all":
        return len(found)
    try:
        count = int(devices) if isinstance(devices, int | str) else 0
    except ValueError:
        count = 0
    if isinstance(devices, bool) or count < 1:
        raise InputError(
            "a number of devices, or all", repr(devices), option("devices", "all"),
            where=option("devices"),
        )  # fmt: skip
    if count > len(found):
        cores = ", which works on all its cores" if found[0].platform == "cpu" else ""
        raise InputError(
            f"as many devices as there are or fewer, {len(found)} ({found[0].device_kind}{cores})",
            f"{count}", option("devices", "all"), where=option("devices"),
        )  # fmt: skip
    if count < len(found) and jax.process_count() > 1:
        raise InputError(
            "the devices of all hosts", f"{count} of them", option("devices", "all"),
            where=option("devices"),
        )  # fmt: skip
    return count
