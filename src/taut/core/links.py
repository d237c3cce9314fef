"""Connections between the hosts of one run: they meet, watch each other, and end together.

Host 0 listens, every other host calls it, and both ends say every few seconds that they are alive:

    host 1 --- host 0 --- host 2        lines of JSON

A host that ends closes its connections at once; one that stands still says nothing. Host 0 tells those
that are left whom they lost. A collective that waits for a lost host may never return, so a process that
does not end by itself soon after is ended from here, by one line.
"""

import contextlib
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from taut.errors import InputError, RunError, TautError, option

__all__ = ["RESUME", "Link", "Watch", "called", "listened"]

RESUME = "`taut resume RUN` with any number of hosts"
_BEAT = 2.0  # seconds between two signs of life
_SILENCE = 30.0  # seconds without one, after which a host counts as stalled
_GRACE = 5.0  # seconds for a process to end by itself
_RETRY = 0.2


class Link:
    """One connection; any thread may send, one receives."""

    def __init__(self, connection: socket.socket):
        self._socket, self._rest, self._lock = connection, b"", threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises OSError where the other end is gone or takes nothing."""
        with self._lock:
            self._socket.settimeout(_SILENCE)
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next message; raises TimeoutError, EOFError where the other end is gone, or ValueError."""
        while b"\n" not in self._rest:
            self._socket.settimeout(max(seconds, 0.01))
            try:
                part = self._socket.recv(2**16)
            except ConnectionError as error:
                raise EOFError from error
            if not part:
                raise EOFError
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(found)
        return found

    def close(self) -> None:
        """The other end still gets what was sent."""
        with contextlib.suppress(OSError):  # gone already
            self._socket.shutdown(socket.SHUT_RDWR)  # which ends a `receive` under way
        self._socket.close()


def listened(
    port: int, count: int, hello: Mapping[str, Any], *, where: str, seconds: float
) -> dict[int, Link]:
    """Host 0's connections to all others, by their number.

    Arguments:
        port: to listen on.
        count: of the hosts.
        hello: what all must agree on, by name.
        where: the address, for messages.
        seconds: to wait for them.

    Raises:
        InputError: the port is taken, or a host that disagrees, named.
        RunError: hosts that did not come, named.
    """
    deadline, links = time.monotonic() + seconds, {}
    try:
        server = socket.create_server(("", port), backlog=count)
    except OSError as error:
        raise InputError(
            "an address whose port is free", error.strerror or str(error), "another port",
            where=f"hosts, {where}",
        ) from error  # fmt: skip
    with server:
        while len(links) < count - 1:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                link = Link(server.accept()[0])
            except TimeoutError:
                missing = [str(i) for i in range(1, count) if i not in links]
                raise _refused(links, RunError(
                    f"{count} hosts to meet at {where} within {seconds:g} s",
                    f"no word from host {', '.join(missing)}",
                    f"starting them with the same address, or another {option('host_count')}",
                    where="hosts",
                )) from None  # fmt: skip
            try:
                found = link.receive(_SILENCE)
                index, told = int(found["index"]), dict(found["hello"])
            except (OSError, EOFError, ValueError, KeyError, TypeError):
                link.close()  # no host of a run
                continue
            again = index in links or not 0 < index < count
            links[index if not again else -1] = link
            if again:
                raise _refused(links, InputError(
                    f"host numbers 1 to {count - 1}, each once", f"another host {index}",
                    f"{option('host_index')} from 0 to {count - 1}", where="hosts",
                ))  # fmt: skip
            differing = differences({0: hello, index: told})
            if differing is not None:
                raise _refused(links, differing)
    return links


def called(
    address: tuple[str, int], index: int, hello: Mapping[str, Any], *, seconds: float
) -> tuple[Link, dict[str, Any]]:
    """Another host's connection to host 0, and what host 0 says once all are there.

    Raises:
        RunError: host 0 does not answer, with address and seconds.
        InputError: what host 0 refuses.
    """
    where, deadline = f"{address[0]}:{address[1]}", time.monotonic() + seconds
    while True:
        try:
            link = Link(socket.create_connection(address, timeout=seconds))
            break
        except OSError as error:
            if time.monotonic() + _RETRY > deadline:
                raise RunError(
                    f"host 0 to answer at {where} within {seconds:g} s",
                    error.strerror or str(error) or "nothing",
                    "starting host 0 with that address, which it must be reached by", where="hosts",
                ) from None  # fmt: skip
            time.sleep(_RETRY)
    try:
        link.send({"index": index, "hello": hello})
        found = link.receive(deadline - time.monotonic() + _SILENCE)
    except (OSError, EOFError, ValueError):
        link.close()
        raise RunError(
            f"host 0 at {where} to say when all hosts are there", "no word within "
            f"{seconds + _SILENCE:g} s", "what host 0 says", where="hosts",
        ) from None  # fmt: skip
    if "refused" in found:
        link.close()
        raise InputError(*found["refused"], where="hosts")
    return link, found


def differences(told: Mapping[int, Mapping[str, Any]]) -> InputError | None:
    """What a host says otherwise than host 0, both named; None where all agree.

    Arguments:
        told: by host, values by name.
    """
    first = told[0]
    for host, values in sorted(told.items()):
        for name in sorted({*first, *values}):
            if values.get(name) != first.get(name):
                return InputError(
                    f"the same {name} on all hosts", f"{values.get(name, 'none')} on host {host}, "
                    f"{first.get(name, 'none')} on host 0", f"the {name} of host 0 on all",
                    where="hosts",
                )  # fmt: skip
    return None


def _refused(links: Mapping[int, Link], error: TautError) -> TautError:
    for link in links.values():
        with contextlib.suppress(OSError):
            link.send({"refused": error.parts})
        link.close()
    return error


class Watch:
    """The other hosts, watched from threads until `leave`.

    Arguments:
        links: of this host, by the number of the other.
        index: of this host.
        count: of all.
        remedy: what goes on where a host was lost.

    Attributes:
        lost: what happened to another host, in words; None while all are well.
    """

    def __init__(self, links: Mapping[int, Link], index: int, count: int, *, remedy: str = RESUME):
        self.links, self.index, self.count, self.remedy = dict(links), index, count, remedy
        self.lost: str | None = None
        self._left, self._done = threading.Event(), set[int]()
        self._said: dict[int, queue.Queue[Any]] = {number: queue.Queue() for number in links}
        threads: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(self._beat, ())]
        threads += [(self._listen, (number, link)) for number, link in self.links.items()]
        for run, given in threads:
            threading.Thread(target=run, args=given, daemon=True, name="taut-hosts").start()

    def compare(self, told: Mapping[str, Any]) -> None:
        """Refuse, on all hosts, what one of them says otherwise than host 0.

        Raises:
            InputError: names host and value.
        """
        if self.index == 0:
            found = {0: told, **{number: self._heard(number) for number in self.links}}
            error = differences(found)
            for link in self.links.values():
                link.send({"said": None if error is None else error.parts})
        else:
            self.links[0].send({"said": dict(told)})
            parts = self._heard(0)
            error = None if parts is None else InputError(*parts, where="hosts")
        if error is not None:
            raise error

    def failure(self) -> RunError | None:
        """The end of this run by that of another host, which may show in a moment."""
        began = time.monotonic()
        while self.lost is None and time.monotonic() - began < _GRACE / 2:
            time.sleep(0.05)
        if self.lost is None:
            return None
        self._left.set()  # this process ends by itself
        return self._failure(self.lost)

    def leave(self, why: str = "") -> None:
        """Tell the others that this host ends.

        Arguments:
            why: it ends before the run does.
        """
        self._left.set()
        for link in self.links.values():
            with contextlib.suppress(OSError):
                link.send({"left": why})
            link.close()

    def _heard(self, number: int) -> Any:
        while True:
            try:
                return self._said[number].get(timeout=_BEAT)
            except queue.Empty:
                if self.lost is not None:
                    raise self._failure(self.lost) from ConnectionError(self.lost)

    def _beat(self) -> None:
        while not self._left.wait(_BEAT):
            for number, link in self.links.items():
                if number in self._done:
                    continue
                try:
                    link.send({"alive": True})
                except OSError:
                    self._loses(f"host {number} of {self.count} ended without a word")

    def _listen(self, number: int, link: Link) -> None:
        named = f"host {number} of {self.count}"
        while True:
            try:
                found = link.receive(_SILENCE)
            except TimeoutError:
                return self._loses(f"{named} gave no sign of life for {_SILENCE:g} s")
            except (OSError, EOFError, ValueError):
                return self._loses(f"{named} ended without a word")
            if "said" in found:
                self._said[number].put(found["said"])
            elif "lost" in found:
                return self._loses(str(found["lost"]))
            elif "left" in found:
                self._done.add(number)
                if found["left"]:
                    self._loses(f"{named} stopped: {found['left']}")
                return None

    def _loses(self, what: str) -> None:
        if self.lost is not None or self._left.is_set():
            return
        self.lost = what
        for link in self.links.values() if self.index == 0 else ():
            with contextlib.suppress(OSError):
                link.send({"lost": what})
        threading.Timer(_GRACE, self._end).start()

    def _end(self) -> None:
        if self.lost is None or self._left.is_set():
            return
        told = self._failure(self.lost).worded("command line")
        print(f"taut: {told}", file=sys.stderr, flush=True)
        os._exit(RunError.exit_code)  # the main thread may wait for the lost host for ever

    def _failure(self, lost: str) -> RunError:
        return RunError("all hosts to the end", lost, self.remedy, where="hosts")
