"""What `taut.infer` is given, as a program with its data."""

from collections.abc import Mapping
from typing import Any

from taut.core import Datum, InputError
from taut.models.program import AbstractProgram, LogJoint, NumPyroProgram

__all__ = ["program_of"]


def program_of(
    target: Any,
    data: Mapping[str, Any] | None,
    support: Mapping[str, Any] | None,
    subsample: Mapping[str, int] | None = None,
) -> tuple[AbstractProgram, Datum]:
    """A program and the datum that holds its data.

    Arguments:
        target: a NumPyro program; with `support`, a log-joint of named parameters; or a program that
            was read already, and then `data` may be its datum.
        data: arrays and settings by name.
        support: of a log-joint.
        subsample: rows in a minibatch by name of a plate.

    Raises:
        InputError: the program or its data cannot be used.
    """
    if isinstance(target, AbstractProgram):
        return target, data if isinstance(data, Datum) else Datum(x=dict(data or {}))
    if support is not None and subsample:
        raise InputError(
            "a NumPyro program where a plate is subsampled", "a log-joint without plates",
            "numpyro.plate around the rows", where="subsample",
        )  # fmt: skip
    if support is not None:
        return LogJoint.of(target, support, dict(data or {}))
    chosen = dict(subsample) if subsample else None
    return NumPyroProgram.of(target, dict(data or {}), subsample=chosen)
