"""Checkpoints: the training state in one file that is whole or not there.

    checkpoints/step-000012000.safetensors     every array of the state, and in the header
                                               step, format, fingerprint of the data, SHA-256,
                                               and what the bytes depend on beside (`conditions`)

Each is written beside, flushed to disk and renamed; the newest two are kept. Random keys are stored as
their bits. Restoring needs a state of the same structure, which the algorithm's own start gives; an axis
of length 0 in it stands for any length.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from taut.core import InputError, RunError, write_atomically
from taut.core.provenance import conditions
from taut.runs.packed import Unpacked, packed, unpacked
from taut.runs.reading import DAMAGE, reason
from taut.runs.resumed_by import resumed_by

__all__ = [
    "Restored",
    "packed_state",
    "restore_checkpoint",
    "restore_state",
    "save_checkpoint",
    "save_state",
    "unpacked_state",
]

_FORMAT = 2
_KEPT = 2


class Restored(NamedTuple):
    """What was found.

    Attributes:
        state: the newest whole state; None where there is no checkpoint.
        notes: a sentence for each file that was passed over, and one where the machine is another.
        step: the number that the state was kept under.
    """

    state: Any | None
    notes: tuple[str, ...]
    step: int = 0


def save_checkpoint(folder: Path, state: Any, *, fingerprint: str) -> Path:
    """Write a checkpoint and drop all but the newest two.

    Arguments:
        folder: of the checkpoints; made where it is missing.
        state: what is kept.
        fingerprint: of the data and options, which `restore_checkpoint` must be given again.

    Raises:
        RunError: the disk does not take it; earlier checkpoints are untouched.
    """
    return save_state(folder, state, step=int(state.step), fingerprint=fingerprint)


def save_state(folder: Path, state: Any, *, step: int, fingerprint: str, of: str = "") -> Path:
    """The same with the number of steps beside the state.

    Arguments:
        folder: see `save_checkpoint`.
        state: any tree of arrays and numbers.
        step: steps taken.
        fingerprint: see `save_checkpoint`.
        of: what the names of the files begin with; those of others are not looked at.

    Raises:
        RunError: see `save_checkpoint`.
    """
    header = {
        "format": str(_FORMAT), "step": str(step), "fingerprint": fingerprint,
        "conditions": json.dumps(conditions()),
    }  # fmt: skip
    content = packed_state(state, header)
    path = folder / f"{of}step-{step:09d}.safetensors"
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(path, lambda file: file.write(content))
    except OSError as error:
        raise RunError(
            f"room for a checkpoint of {len(content) / 2**20:.1f} MiB",
            f"{error.strerror or error}; the earlier ones are whole",
            f"making room, then {resumed_by(folder.parent)}",
            where=str(path),
        ) from error
    for old in _newest_first(folder, of)[_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def restore_checkpoint(folder: Path, like: Any, *, fingerprint: str) -> Restored:
    """The newest checkpoint whose checksum holds.

    Arguments:
        folder: of the checkpoints; it may be missing.
        like: a state of the same structure.
        fingerprint: see `save_checkpoint`.

    Raises:
        InputError: a whole checkpoint is of other data, other options, or another format.
    """
    return restore_state(folder, like, fingerprint=fingerprint)


def restore_state(folder: Path, like: Any, *, fingerprint: str, of: str = "") -> Restored:
    """The same of what `save_state` wrote; arguments as of it and `restore_checkpoint`."""
    notes: list[str] = []
    for path in _newest_first(folder, of):
        try:
            arrays, header = _read(path)
        except DAMAGE as error:
            notes.append(f"{path.name} is damaged ({reason(error)}); the one before it is used")
            continue
        if (written := int(header["format"])) != _FORMAT:
            newer = written > _FORMAT
            raise InputError(
                f"checkpoint format {_FORMAT}", f"format {written}",
                "`pip install -U taut`" if newer else _anew(path), where=str(path),
            )  # fmt: skip
        if header["fingerprint"] != fingerprint:
            raise InputError(
                "the data and options that the run began with", "others",
                "the original files, or a new run", where=str(path),
            )  # fmt: skip
        before = json.loads(header.get("conditions", "{}"))
        notes += _differences(before)
        state = _filled(like, arrays, path, before.get("taut", ""))
        return Restored(state, tuple(notes), int(header["step"]))
    return Restored(None, tuple(notes))


def packed_state(state: Any, header: Mapping[str, str] | None = None) -> bytes:
    """The arrays of a state by their places in it, as `packed` has them."""
    return packed({name: _bits(leaf) for name, leaf in _named(state)}, header)


def unpacked_state(content: bytes, like: Any) -> Any:
    """The state whose `packed_state` that is, given one of the same structure."""
    return _placed(unpacked(content).arrays, like)


def _differences(before: Mapping[str, str]) -> list[str]:
    """Conditions that are others now, in one sentence; none where they are the same or not known."""
    now = conditions()
    differ = [
        f"{name} {now.get(name) or 'none'} ({value or 'none'} before)"
        for name, value in before.items()
        if value != now.get(name)
    ]
    if not differ:
        return []
    return [
        "the bytes may differ from those of a run that was never stopped, which goes on with "
        + ", ".join(differ)
    ]


def _read(path: Path) -> Unpacked:
    found = unpacked(path.read_bytes())
    if "sha256" not in found.header:
        raise ValueError("it has no checksum")
    return found


def _anew(path: Path) -> str:
    """The remedy where a run has to begin again."""
    return f"fitting anew by {path.parents[1] / 'config.toml'}"


def _filled(like: Any, arrays: Mapping[str, np.ndarray], path: Path, version: str) -> Any:
    """The state; of the same data and options, so that another form is that of another version."""
    names = dict(_named(like))
    wanted = {name: _bits(leaf) for name, leaf in names.items()}
    arrays = _schedules_apart(arrays, wanted)
    odd = [n for n in wanted.keys() | arrays.keys() if not _same_form(wanted.get(n), arrays.get(n))]
    if odd:
        raise InputError(
            "the state of a run as this version of taut has it",
            f"{_form(min(odd))}, by {f'taut {version}' if version else 'an older one'}",
            _anew(path), where=str(path),
        )  # fmt: skip
    return _placed(arrays, like)


def _placed(arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """A state of a structure with other arrays, which are named by their places."""
    flat, tree = jax.tree_util.tree_flatten_with_path(like)
    leaves = [_as(arrays[jax.tree_util.keystr(p)], leaf) for p, leaf in flat]
    return jax.tree.unflatten(tree, leaves)


def _form(name: str) -> str:
    """What is another one: an array by its place, or a state that is one array."""
    return f"another form of {name}" if name else "an array of another form"


def _schedules_apart(
    arrays: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Arrays of a file whose optimizer counts the steps of its schedule, as this version has them.

        AT[0]...  and the steps in AT[1].count   then
        AT[0][0]...                              now, where the schedule follows the steps of the run

    As they are where the two numbers of steps differ: then the schedules do, too.
    """
    found, steps = dict(arrays), arrays.get(".step", np.array(-1))
    for name, count in arrays.items():
        at = name.removesuffix("[1].count")
        if at == name or name in wanted or not np.array_equal(count, steps):
            continue
        del found[name]
        for own in [n for n in found if n.startswith(f"{at}[0]")]:
            found[f"{at}[0]{own[len(at) :]}"] = found.pop(own)
    return found


def _same_form(like: np.ndarray | None, found: np.ndarray | None) -> bool:
    if like is None or found is None or like.ndim != found.ndim:
        return False
    if like.dtype.kind != found.dtype.kind:  # their precision is that of the options
        return False
    return all(n in (0, m) for n, m in zip(like.shape, found.shape, strict=True))


def _as(array: np.ndarray, like: Any) -> Any:
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    if isinstance(like, bool | int | float):
        return type(like)(array)
    return array if isinstance(like, np.ndarray) else jnp.asarray(array)


def _bits(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _named(state: Any) -> list[tuple[str, Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(state)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in flat]


def _newest_first(folder: Path, of: str) -> list[Path]:
    return sorted(folder.glob(f"{of}step-*.safetensors"), reverse=True)
