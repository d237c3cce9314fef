"""Where a command computes: on how many devices, with which other hosts."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["AGAIN", "Placement"]

AGAIN = "the same commands again, which go on from what was kept"


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
    def entered(self, *, remedy: str | None = None) -> Iterator[None]:
        """Compute there while the block runs.

        Arguments:
            remedy: what goes on where a host was lost; None for a run that is resumed.
        """
        from taut.core.devices import over_devices
        from taut.core.hosts import over_hosts
        from taut.core.links import RESUME

        met = over_hosts(
            self.hosts, host_index=self.host_index, host_count=self.host_count,
            remedy=RESUME if remedy is None else remedy,
        )  # fmt: skip
        with met, over_devices(self.devices):
            yield
