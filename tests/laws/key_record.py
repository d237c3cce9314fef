"""What is done with random keys, seen from inside of compiled programs.

JAX lets a generator be defined by four functions of the raw words of a key. The one here is threefry
that also reports each use of a key to the host, so that draws inside of jit, scan and vmap are seen with
their words; a program that is never run reports nothing. Seeds on the host are seen where NumPy's
generators are asked for.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats.qmc  # noqa: F401 - makes generators of its own when it is first imported
from jax.extend.random import define_prng_impl, threefry_prng_impl

__all__ = ["KeyRecord", "recorded"]


class KeyRecord:
    """Uses of keys by their words, and seeds of generators on the host."""

    def __init__(self):
        self.draws: Counter[tuple[int, ...]] = Counter()
        self.uses: defaultdict[tuple[int, ...], set[tuple[str, int]]] = defaultdict(set)
        self.seeds: Counter[tuple[Any, ...]] = Counter()

    def drawn(self, words: Any) -> None:
        self.draws[_numbers(words)] += 1
        self.uses[_numbers(words)].add(("drawn", 0))

    def split(self, words: Any, count: int) -> None:
        self.uses[_numbers(words)].add(("split", count))

    def folded(self, words: Any) -> None:
        self.uses[_numbers(words)].add(("folded", 0))

    def seeded(self, kind: str, seed: Any) -> None:
        self.seeds[kind, *_numbers(seed)] += 1

    def faults(self, *, times: int = 1) -> list[str]:
        """Every key with two uses, and every stream that begins again; in words.

        Arguments:
            times: how often a key may be drawn from, by what wants the same draws again.
        """
        jax.effects_barrier()
        return [
            *(f"key {k} is drawn from {n} times" for k, n in self.draws.items() if n > times),
            *(f"key {k} is {sorted(how)}" for k, how in self.uses.items() if len(how) > 1),
            *(f"seed {s} is used {n} times" for s, n in self.seeds.items() if n > 1),
        ]


_records: list[KeyRecord] = []  # the programs are compiled once and report to whoever listens


@contextlib.contextmanager
def recorded() -> Iterator[KeyRecord]:
    """Listen to the keys of `jax.random.key(...)`, and to NumPy's seeds, made inside."""
    record = KeyRecord()
    with pytest.MonkeyPatch.context() as patch:
        make, generator, philox = jax.random.key, np.random.default_rng, np.random.Philox

        def key(seed: Any, **_: Any) -> Any:
            return make(seed, impl=_RECORDING)

        def default_rng(seed: Any) -> np.random.Generator:
            record.seeded("default_rng", seed)
            return generator(seed)

        def counter_based(*, key: Any, counter: Any) -> np.random.Philox:
            record.seeded("philox", [*key, *counter])
            return philox(key=key, counter=counter)

        patch.setattr(jax.random, "key", key)
        patch.setattr(np.random, "default_rng", default_rng)
        patch.setattr(np.random, "Philox", counter_based)
        _records.append(record)
        try:
            yield record
        finally:
            jax.effects_barrier()
            _records.remove(record)


def _numbers(words: Any) -> tuple[int, ...]:
    return tuple(int(w) for w in np.ravel(words))


def _tell(use: str, words: Any, count: int = 0) -> None:
    def report(words: Any) -> None:
        for record in _records:
            if use == "split":
                record.split(words, count)
            else:
                getattr(record, use)(words)

    jax.debug.callback(report, words)


def _split(words: Any, shape: tuple[int, ...]) -> Any:
    _tell("split", words, int(np.prod(shape)))
    return threefry_prng_impl.split(words, shape)


def _fold_in(words: Any, number: Any) -> Any:
    _tell("folded", words)
    return threefry_prng_impl.fold_in(words, number)


def _random_bits(words: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
    _tell("drawn", words)
    return threefry_prng_impl.random_bits(words, bit_width, shape)


_RECORDING = define_prng_impl(
    key_shape=(2,),
    seed=threefry_prng_impl.seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="recorded_threefry",
    tag="rec",
)
