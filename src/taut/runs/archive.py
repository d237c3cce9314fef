"""Fitted pairs on disk: arrays in safetensors, structure in JSON, nothing that runs.

    model.safetensors    every array of the pair, named by its path in the tree
    model.json           format version, architecture, data schema, precision

Loading rebuilds the tree from the choices in the JSON and fills in the arrays. Parts that a user wrote
are only named there; `like` brings them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.architectures import ARCHITECTURES, AbstractArchitecture, name_today
from taut.architectures.choices import refuse_users_parts
from taut.core import (
    AbstractPair,
    InputError,
    chosen,
    nearest,
    option,
    write_atomically,
)
from taut.data import Schema
from taut.guides import PLAIN, FullRankGaussian
from taut.inference import INFERENCES, AbstractAmortized, AbstractInference
from taut.models import LogCounts
from taut.runs.packed import packed
from taut.runs.reading import FORMAT, SEALED, read_arrays, read_json, reading, write_sealed_json
from taut.runs.resumed_by import resumed_by

__all__ = ["FORMAT", "is_sealed", "load_pair", "read_model_arrays", "read_structure", "save_pair"]

_FIELDS = {"format": int, "architecture": dict, "precision": str}  # of every model.json


def save_pair(
    folder: Path,
    pair: AbstractPair,
    architecture: AbstractArchitecture,
    schema: Schema,
    *,
    inference: AbstractInference | None = None,
    num_rows: int = 0,
) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder, each in one step.

    Arguments:
        folder: where.
        pair: its arrays are written.
        architecture: what made it.
        schema: the form of a row.
        inference: what it was fitted by, where that made another pair of it.
        num_rows: training rows, which a pair may have parameters for.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _named(pair)}
    write_atomically(folder / "model.safetensors", lambda file: file.write(packed(arrays)))
    precision = next((str(a.dtype) for a in arrays.values() if a.dtype.kind == "f"), schema.dtype)
    write_sealed_json(
        folder / "model.json",
        {
            "format": FORMAT,
            "architecture": architecture.to_dict(),
            "schema": schema.to_dict(),
            "precision": precision,
            "inference": None if inference is None else inference.to_dict(),
            "num_rows": num_rows,
        },
    )


def read_structure(folder: Path) -> dict[str, Any]:
    """The content of `model.json`.

    Raises:
        InputError: there is none, it is not what taut wrote, or a newer taut wrote it.
    """
    path = Path(folder) / "model.json"
    if not path.exists():
        if (path.parent / "config.toml").is_file():
            raise InputError(
                "a finished run", "no model.json", resumed_by(path.parent), where=str(folder)
            )
        raise InputError(
            "a run folder with model.json", "none", f"fitting first, with {option('out', 'RUN')}",
            where=str(folder),
        )  # fmt: skip
    content = read_json(path, newest=FORMAT)
    with reading(path):
        for name, kind in _FIELDS.items():
            if type(content[name]) is not kind:
                raise TypeError(f"{name} {str(content[name])[:40]!r}")
        if not isinstance(content["architecture"]["name"], str):
            raise TypeError("an architecture without a name")
        if content["precision"] not in ("float32", "float64"):
            raise ValueError(f"precision {content['precision'][:40]!r}")
    return content


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Whether the files beside a `model.json` of that content hold checksums."""
    return content["format"] >= SEALED


def read_model_arrays(folder: Path, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of `model.safetensors` beside a `model.json` of that content.

    Raises:
        InputError: there are none, or they are not what taut wrote.
    """
    path = Path(folder) / "model.safetensors"
    if not path.exists():
        raise InputError("model.safetensors", "none", "fitting again", where=str(folder))
    arrays = read_arrays(path, sealed=is_sealed(content))
    with reading(path):
        for name, array in arrays.items():
            if array.dtype.kind not in "biu" and np.isnan(array).any():
                raise ValueError(f"NaN in {name}")
    return arrays


def load_pair(
    folder: Path, *, like: AbstractArchitecture | None = None
) -> tuple[AbstractPair, AbstractArchitecture, Schema]:
    """Read back what `save_pair` wrote, on the precision it was written in.

    Arguments:
        folder: with `model.safetensors` and `model.json`.
        like: an architecture of the same structure, for parts that a user wrote.

    Raises:
        InputError: a file is missing, damaged, newer, or does not fit the structure.
    """
    content = read_structure(folder)
    arrays = read_model_arrays(folder, content)
    path = Path(folder) / "model.safetensors"
    with reading(path.with_name("model.json")):
        architecture = like or _architecture(_named_today(content), folder)
        schema = Schema.from_dict(content["schema"])
        with jax.enable_x64(content["precision"] == "float64"):
            skeleton = eqx.filter_eval_shape(lambda: _made(architecture, schema, content))
    if schema.support != "count" and not any(_COUNTS in name for name in arrays):
        skeleton = _reading_as_they_are(skeleton)
    names = dict(_named(skeleton))
    arrays = _of_today(arrays, names)
    if arrays.keys() != names.keys():
        odd = sorted(arrays.keys() ^ names.keys())
        raise InputError(
            "the arrays of this architecture", f"{odd[0]} on one side only ({len(odd)} in all)",
            "`like=` with the architecture that was fitted", where=str(path),
        )  # fmt: skip
    for name, wanted in names.items():
        found = arrays[name]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise InputError(
                f"{name} of shape {wanted.shape} and {wanted.dtype}", f"{found.shape}, {found.dtype}",
                "`like=` with the architecture that was fitted", where=str(path),
            )  # fmt: skip
    flat, tree = jax.tree_util.tree_flatten_with_path(skeleton)
    leaves = [arrays[jax.tree_util.keystr(p)] if _is_array(leaf) else leaf for p, leaf in flat]
    return jax.tree.unflatten(tree, leaves), architecture, schema


_COUNTS = ".counts.units."
# Arrays that files of taut 0.1 lack, by the end of their names, and what they are without effect.
_ADDED = {
    f"{_COUNTS}shift": 0.0,
    f"{_COUNTS}scale": 1.0,
    ".decoder.bias": 0.0,
    ".decoder.network.bias": 0.0,
}


def _named_today(content: dict[str, Any]) -> dict[str, Any]:
    """The architecture's choices under the names that they have now."""
    choices = content["architecture"]
    full = content["format"] < 2 and choices.get("guide") == FullRankGaussian.name
    return {**choices, "guide": PLAIN} if full else choices


def _reading_as_they_are(pair: AbstractPair) -> AbstractPair:
    """The pair of a file whose encoder reads whole numbers that came as floats without logarithms."""
    return jax.tree.map(
        lambda part: None if isinstance(part, LogCounts) else part,
        pair, is_leaf=lambda part: isinstance(part, LogCounts),
    )  # fmt: skip


def _of_today(arrays: dict[str, np.ndarray], names: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a file under the names that they have now."""
    found = dict(arrays)
    for name, wanted in names.items():
        if name in found:
            continue
        value = next((v for end, v in _ADDED.items() if name.endswith(end)), None)
        if value is not None:
            found[name] = np.full(wanted.shape, value, wanted.dtype)
        head, dispersion, _ = name.partition(".log_inverse_dispersion")
        older = f"{head}.inverse_dispersion.raw"
        if dispersion and older in found:
            # floor + softplus(raw) then, floor + exp(raw) now
            found[name] = np.log(np.logaddexp(0, found.pop(older))).astype(wanted.dtype)
    return found


def _made(
    architecture: AbstractArchitecture, schema: Schema, content: dict[str, Any]
) -> AbstractPair:
    """The pair as its inference needs it, before any step."""
    pair_key, made_key = jax.random.split(jax.random.key(0))
    pair = architecture.init(schema, pair_key)
    inference = content.get("inference") and chosen(INFERENCES, content["inference"], "inference")
    if isinstance(inference, AbstractAmortized):
        numbers = jnp.arange(content["num_rows"], dtype=jnp.int32)
        return inference.pair(pair, numbers, made_key)
    return pair


def _architecture(content: dict[str, Any], folder: Path) -> AbstractArchitecture:
    name = content.get("name", "")
    name = name_today(str(name), content)
    if name == "posterior":
        raise InputError(
            "a model of rows", "the posterior of a program",
            f"`taut show {folder}`, or taut.load with like=PROGRAM",
            where=str(folder),
        )  # fmt: skip
    if name not in ARCHITECTURES:
        refuse_users_parts(content)
        raise InputError(
            f"an architecture among {', '.join(ARCHITECTURES)}", repr(name),
            nearest(name, ARCHITECTURES), where=str(folder),
        )  # fmt: skip
    return ARCHITECTURES[name].from_dict(content)


def _named(tree: Any) -> list[tuple[str, Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in flat if _is_array(leaf)]


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct | np.ndarray)
