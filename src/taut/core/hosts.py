"""Several hosts as one: the same program on each, every host with a share of the rows.

JAX's own runtime brings their devices together (`jax.distributed`), collectives on CPUs by Gloo. On CPUs
it is left once they have met: it ends a process without a word to Python where another is gone, and
collectives need it no more. From then on the hosts watch each other (`links`), and a lost one is an
error like any other.

All hosts run the same steps in the same order. Whatever they decide by the clock or by a signal, they
decide together: `told_by_all`. Host 0 alone writes.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from taut.core.devices import num_devices, over_devices, share, whole
from taut.core.links import RESUME, Link, Watch, called, listened
from taut.errors import InputError, RunError, TautError, option

__all__ = [
    "agree_on",
    "bytes_of_first",
    "from_first",
    "num_hosts",
    "over_hosts",
    "told_by_all",
    "told_by_first",
    "writes",
]

_SECONDS = 60.0  # to meet within

_watch: Watch | None = None


@contextlib.contextmanager
def over_hosts(
    hosts: str | None,
    *,
    host_index: int | None = None,
    host_count: int | None = None,
    seconds: float = _SECONDS,
    remedy: str = RESUME,
) -> Iterator[None]:
    """Share rows out over the devices of several hosts while the block runs.

    Every host runs the same block. A process meets others once, before it has asked JAX for anything.

    Arguments:
        hosts: HOST:PORT where host 0 is reached; `auto` where SLURM, Kubernetes or MPI tell that and the
            numbers; None for this host alone, or those of an enclosing block.
        host_index: the number of this host, from 0.
        host_count: of all.
        seconds: to wait for the others.
        remedy: what goes on where a host was lost.

    Raises:
        InputError: an address or number that cannot be used; hosts that disagree, named.
        RunError: a host that does not answer, or is lost on the way.
    """
    global _watch
    if hosts is None:
        given = {"host_index": host_index, "host_count": host_count}
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"{option('hosts')} beside {option(name)}", "none",
                    option("hosts", "HOST:PORT"), where=option(name),
                )  # fmt: skip
        yield
        return
    if _watch is not None:
        raise InputError("hosts that meet once", "once more", f"leaving out {option('hosts')}")
    address, index, count, local = _placed(hosts, host_index, host_count)
    links = _meet(address, index, count, local, seconds)
    watch = _watch = Watch(links, index, count, remedy=remedy)
    try:
        with over_devices("all"):
            yield
    except TautError as error:
        watch.leave(error.worded("command line"))
        raise
    except KeyboardInterrupt as interrupt:
        watch.leave(str(interrupt) or "interrupted")
        raise
    except BaseException as error:
        failure = watch.failure()
        watch.leave(type(error).__name__)
        if failure is None:
            raise
        # Of a connection: a run that was begun stays, to go on with.
        raise failure from ConnectionError(str(error))
    else:
        watch.leave()
    finally:
        _watch = None


def writes() -> bool:
    """Whether this host is the one that writes files and prints: host 0, or one alone."""
    return _watch is None or _watch.index == 0


def num_hosts() -> int:
    """How many hosts share the rows."""
    return 1 if _watch is None else _watch.count


def agree_on(told: Mapping[str, Any]) -> None:
    """Refuse, on all hosts, values by name that are others on one of them than on host 0.

    Raises:
        InputError: names host and value.
    """
    if _watch is not None:
        _watch.compare(told)


def told_by_all(*values: float | int) -> np.ndarray:
    """What each host says, (hosts, values): the same on all of them."""
    own = np.array(values, np.float64)
    if _watch is None:
        return own[None]
    own = own.astype(jax.dtypes.canonicalize_dtype(own.dtype))
    everywhere = np.broadcast_to(own, (num_devices(), len(own)))
    of_hosts = [device.process_index for device in jax.devices()]
    return whole(share(everywhere))[[of_hosts.index(i) for i in range(num_hosts())]]


def told_by_first(value: float | int) -> float:
    """What host 0 says: the same on all of them."""
    return float(from_first(np.float64(value)))


def bytes_of_first(content: bytes) -> bytes:
    """Bytes as host 0 has them, whatever the others give."""
    if _watch is None:
        return content
    own = np.frombuffer(content, np.uint8)
    (size,) = from_first(np.array([len(own)], np.int32))
    return from_first(own if writes() else np.zeros(size, np.uint8)).tobytes()


def from_first(tree: Any) -> Any:
    """Arrays and random keys as host 0 has them, which on the others need only have their form."""
    return tree if _watch is None else jax.tree.map(_of_first, tree)


def _of_first(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        bits = _of_first(np.asarray(jax.random.key_data(leaf)))
        return jax.random.wrap_key_data(jnp.asarray(bits), impl=jax.random.key_impl(leaf))
    own = np.asarray(leaf)
    bits = np.ascontiguousarray(own).reshape(-1).view(np.uint8)  # of float64 where JAX has none
    found = whole(share(np.broadcast_to(bits, (num_devices(), bits.size))))[0].copy()
    found = found.view(own.dtype).reshape(own.shape)
    return jnp.asarray(found) if isinstance(leaf, jax.Array) else found


def _meet(
    address: tuple[str, int], index: int, count: int, local: Any, seconds: float
) -> dict[int, Link]:
    """All hosts as one runtime of JAX's, and the connections between them."""
    from jax._src import xla_bridge

    if xla_bridge.backends_are_initialized():
        raise InputError(
            "a process that has not computed anything yet", "one that has",
            f"{option('hosts')} before anything else", where=option("hosts"),
        )  # fmt: skip
    hello = {
        "number of hosts": count,
        **{f"version of {name}": version(name) for name in ("taut", "jax", "numpy", "equinox")},
    }
    links: dict[int, Link]
    if index == 0:
        links = listened(
            address[1], count, hello, where=f"{address[0]}:{address[1]}", seconds=seconds
        )
        coordinator = f"{address[0]}:{_free_port()}"
        for link in links.values():
            link.send({"coordinator": coordinator})
    else:
        link, found = called(address, index, hello, seconds=seconds)
        links, coordinator = {0: link}, str(found["coordinator"])
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)
    try:
        with _standard_output_closed():
            jax.distributed.initialize(
                coordinator, count, index, local_device_ids=local,
                initialization_timeout=int(seconds), cluster_detection_method="deactivate",
            )  # fmt: skip
            with over_devices("all"):  # the first collective is what Gloo meets for
                whole(share(np.zeros(num_devices(), np.float32)))
            if jax.devices()[0].platform == "cpu":
                jax.distributed.shutdown()
    except RuntimeError as error:
        raise RunError(
            f"{count} hosts to meet at {coordinator} within {seconds:g} s",
            str(error).partition("\n")[0], "an address that all hosts reach", where="hosts",
        ) from error  # fmt: skip
    return links


def _placed(
    hosts: str, index: int | None, count: int | None
) -> tuple[tuple[str, int], int, int, Any]:
    """Address, number of this host, number of hosts, and the devices that are its own (None: all)."""
    local = None
    if hosts == "auto":
        from jax._src.clusters import ClusterEnv

        found, count, index, local = ClusterEnv.auto_detect_unset_distributed_params(
            None, count, index, None, None, int(_SECONDS)
        )
        if found is None or count is None or index is None:
            raise InputError(
                "SLURM, Kubernetes or MPI around this process", "none",
                f"{option('hosts', 'HOST:PORT')} with {option('host_index')} and "
                f"{option('host_count')}", where=option("hosts"),
            )  # fmt: skip
        hosts = found
    name, _, port = hosts.rpartition(":")
    if not name or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(
            "HOST:PORT, where host 0 is reached, or auto", repr(hosts),
            option("hosts", "10.0.0.1:6000"), where=option("hosts"),
        )  # fmt: skip
    if count is None or count < 2:
        raise InputError(
            "a number of hosts, 2 or more", "none" if count is None else f"{count}",
            option("host_count", 2), where=option("host_count"),
        )  # fmt: skip
    if index is None or not 0 <= index < count:
        raise InputError(
            f"the number of this host, from 0 to {count - 1}",
            "none" if index is None else f"{index}", option("host_index", 0),
            where=option("host_index"),
        )  # fmt: skip
    return (name.strip("[]"), int(port)), index, count, local


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def _standard_output_closed() -> Iterator[None]:
    """Without what Gloo prints there, which is the place of results."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
