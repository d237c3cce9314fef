"""Where a command computes: on how many devices, with which other hosts."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Placement"]


@dataclass(frozen=True)
class Placement:
    """Devices and hosts.

    Parameters
    ----------
    devices
        How many devices share the rows, or `all`. [default: 1; with --hosts all]
    hosts
        HOST:PORT of host 0, where several hosts share the rows, each of which runs this command; `auto`
        under SLURM, Kubernetes or MPI. Host 0 alone writes and prints.
    host_index
        The number of this host, from 0.
    host_count
        Of all hosts.
    """

    devices: str | None = None
    hosts: str | None = None
    host_index: int | None = None
    host_count: int | None = None

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Compute there while the block runs."""
        from taut.core.devices import over_devices
        from taut.core.hosts import over_hosts

        met = over_hosts(self.hosts, host_index=self.host_index, host_count=self.host_count)
        with met, over_devices(self.devices):
            yield
