"""Ways in which a file of a run folder comes to harm: bytes, cells, types, shapes, nesting, emptiness.

    for what, content in damages(path, rng, count): ...

Contents that are whole files of another kind (arrays written again with NaN, another type or shape) have
no checksum, as an earlier taut or another program would have written them.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from safetensors.numpy import load, save

__all__ = ["damages"]

_DEEP = 200_000
_HUGE = "9" * 5000  # more digits than Python reads
_MARK = "@@"  # stands for what `json.dumps` cannot write
_SWAPS: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**13, 2**70, 1e308, "", "x", "nan", [], [1], [[]], {}, {"a": 1},
)  # fmt: skip


def damages(path: Path, rng: np.random.Generator, count: int) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the bytes of the damaged file.

    Arguments:
        path: of a whole file.
        rng: decides where.
        count: how many; none of a file that is empty.
    """
    content = path.read_bytes()
    count = count if content else 0
    ways = {**_OF_BYTES, **_OF_KIND.get(path.suffix, {})}
    names = [*ways]
    for number in range(count):
        name = names[number % len(names)]
        yield name, ways[name](content, rng)


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    place, found = int(rng.integers(len(content))), bytearray(content)
    found[place] ^= 1 << int(rng.integers(8))
    return bytes(found)


def _zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    first = int(rng.integers(len(content)))
    last = min(len(content), first + 64)
    return content[:first] + bytes(last - first) + content[last:]


_OF_BYTES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "empty": lambda content, rng: b"",
    "cut short": lambda content, rng: content[: int(rng.integers(1, len(content)))],
    "a bit flipped": _flipped,
    "a block of zeros": _zeroed,
    "random bytes": lambda content, rng: rng.bytes(200),
    "one half twice": lambda content, rng: content[: len(content) // 2] + content,
}


def _places(value: Any, place: tuple = ()) -> list[tuple]:
    """Where a value can be replaced in nested lists and tables."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((*place, key))
        if isinstance(item, dict | list):
            found += _places(item, (*place, key))
    return found


def _replaced(value: Any, rng: np.random.Generator, what: Any) -> Any:
    """A copy with something else at one place; without it where `what` is `_MARK`."""
    made = json.loads(json.dumps(value))
    places = _places(made)
    if not places:
        return what if what is not _MARK else None
    *way, last = places[int(rng.integers(len(places)))]
    within = made
    for key in way:
        within = within[key]
    if what is _MARK:
        del within[last]
    else:
        within[last] = what
    return made


def _of_json(text: bytes, rng: np.random.Generator, what: Any) -> bytes:
    return json.dumps(_replaced(json.loads(text), rng, what)).encode()


def _swap(rng: np.random.Generator) -> Any:
    return _SWAPS[int(rng.integers(len(_SWAPS)))]


def _marked(text: bytes, rng: np.random.Generator, replacement: str) -> bytes:
    return _of_json(text, rng, "@mark@").replace(b'"@mark@"', replacement.encode())


_OF_JSON = {
    "another value": lambda content, rng: _of_json(content, rng, _swap(rng)),
    "an entry missing": lambda content, rng: _of_json(content, rng, _MARK),
    "deep nesting": lambda content, rng: _marked(content, rng, "[" * _DEEP + "]" * _DEEP),
    "a long integer": lambda content, rng: _marked(content, rng, _HUGE),
    "no number": lambda content, rng: _marked(content, rng, "NaN"),
    "a list": lambda content, rng: b"[1, 2]",
    "null": lambda content, rng: b"null",
}


def _of_a_line(way: Callable[[bytes, np.random.Generator], bytes]) -> Any:
    def damaged(content: bytes, rng: np.random.Generator) -> bytes:
        lines = content.splitlines(keepends=True)
        number = int(rng.integers(len(lines)))
        lines[number] = way(lines[number], rng).rstrip(b"\n") + b"\n"
        return b"".join(lines)

    return damaged


def _of_toml(content: bytes, rng: np.random.Generator) -> bytes:
    made = _replaced(tomllib.loads(content.decode()), rng, _swap(rng) or "none")
    return tomli_w.dumps(made).encode()


def _of_arrays(way: Callable[[np.ndarray], np.ndarray]) -> Any:
    def damaged(content: bytes, rng: np.random.Generator) -> bytes:
        arrays = load(content)
        names = [*arrays]
        name = names[int(rng.integers(len(names)))]
        return save({**arrays, name: np.ascontiguousarray(way(arrays[name]))})

    return damaged


def _without_one(content: bytes, rng: np.random.Generator) -> bytes:
    arrays = load(content)
    del arrays[sorted(arrays)[int(rng.integers(len(arrays)))]]
    return save(arrays)


def _header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


def _of_cells(content: bytes, rng: np.random.Generator) -> bytes:
    lines = [line.split(b",") for line in content.splitlines()]
    row = lines[int(rng.integers(len(lines)))]
    row[int(rng.integers(len(row)))] = str(_swap(rng)).encode()
    return b"\n".join(b",".join(row) for row in lines)


_OF_KIND: dict[str, dict[str, Callable[[bytes, np.random.Generator], bytes]]] = {
    ".json": _OF_JSON,
    ".jsonl": {name: _of_a_line(way) for name, way in _OF_JSON.items()},
    ".toml": {
        "another value": _of_toml,
        "deep nesting": lambda content, rng: b"a = " + b"[" * _DEEP + b"]" * _DEEP,
        "a long integer": lambda content, rng: b"seed = " + _HUGE.encode(),
    },
    ".safetensors": {
        "NaN": _of_arrays(
            lambda a: np.full(a.shape, np.nan, a.dtype if a.dtype.kind == "f" else "f4")
        ),
        "another type": _of_arrays(lambda a: a.astype("f8" if a.dtype != np.float64 else "i4")),
        "another shape": _of_arrays(lambda a: np.concatenate([a.ravel(), a.ravel()])),
        "an array missing": _without_one,
        "no arrays": lambda content, rng: save({}),
        "an array too large": lambda content, rng: _header(
            '{"a":{"dtype":"F32","shape":[10000000000000],"data_offsets":[0,40000000000000]}}'
        ),
        "a deep header": lambda content, rng: _header('{"a":' + "[" * 9000 + "]" * 9000 + "}"),
        "a header without end": lambda content, rng: (2**63).to_bytes(8, "little") + content[8:],
    },
    ".csv": {"another cell": _of_cells, "no lines": lambda content, rng: content.splitlines()[0]},
}
