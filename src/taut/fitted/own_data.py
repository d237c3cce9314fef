"""The data that a fit was fitted to, loaded again or handed in, with the same rows held out.

Data are known by the schema and the checksum of all rows, whatever their split; the split by the numbers
of the rows that the fit was measured on. Where a fit holds neither, nothing is refused. Rows on disk, of
which a sample stands for all, and rows of which zeros and ones are drawn have another checksum in
another split: the latter are known in memory by the grey rows that were drawn from; else the source is
loaded once more, as the data of the fit were.
"""

from dataclasses import replace

import numpy as np

from taut.core import InputError
from taut.data import Data
from taut.data.checksum import is_sampled
from taut.fitted.fit import Fit

__all__ = ["load_own_data", "own_or_why", "refuse_another_split", "refuse_other_data"]


def load_own_data(fit: Fit, *, where: str) -> Data:
    """The data of the recipe.

    Arguments:
        where: the method of the fit that asks, for the message.

    Raises:
        InputError: they have no name, cannot be loaded, or have changed.
    """
    if fit.recipe.data.source is None:
        raise InputError(
            "the data that were fitted to", "none, as they came in memory", f"fit.{where}(data)",
            where=where,
        )  # fmt: skip
    data = fit.recipe.data.load()
    if why := _changed(fit, data):
        raise InputError(
            "the data that were fitted to", why, f"the original file, or fit.{where}(data)",
            where=where,
        )  # fmt: skip
    return data


def own_or_why(fit: Fit) -> tuple[Data | None, str]:
    """The data of the recipe, or why there are none, in words that a sentence ends with."""
    try:
        data = fit.recipe.data.load()
    except (InputError, OSError) as error:
        return None, f"{error}"
    why = _changed(fit, data)
    return (None, why) if why else (data, "")


def refuse_other_data(fit: Fit, data: Data, *, where: str) -> None:
    """Refuse what is not the data that were fitted to, split as they were.

    Raises:
        InputError: see above.
    """
    refuse_another_split(fit, data, where=where)
    dtype = fit.schema.dtype
    if data.schema.dtype != dtype and replace(data.schema, dtype=dtype) == fit.schema:
        raise InputError(
            f"the data in the precision of the fit, {dtype}", data.schema.dtype,
            f"taut.load_data(..., dtype={dtype!r})", where=where,
        )  # fmt: skip
    if data.schema != fit.schema or _other_rows(fit, data):
        raise InputError(
            "the data that were fitted to", data.describe(), "the same Data", where=where
        )


def refuse_another_split(fit: Fit, data: Data, *, where: str) -> None:
    """Refuse the rows that were fitted to where others of them are held out.

    Raises:
        InputError: see above.
    """
    measured = next((e.index for e in fit.estimates.values() if e.index is not None), None)
    if measured is None or np.isin(measured, data.test.index).all() or not _same_rows(fit, data):
        return
    options = fit.recipe.data
    streamed = "" if options.stream == data.options.stream else f", stream='{options.stream}'"
    raise InputError(
        "the rows that the fit was measured on as the ones held out",
        "the same rows in another split, whose test rows were trained on",
        f"taut.load_data(..., split={tuple(options.split)}, seed={options.split_seed}{streamed})",
        where=where,
    )


def _changed(fit: Fit, data: Data) -> str:
    """What has changed since the fit; empty for nothing."""
    if data.schema == fit.schema and not _other_rows(fit, data):
        return ""
    return f"{fit.recipe.data.source} has changed since the fit"


def _same_rows(fit: Fit, data: Data) -> bool:
    """Whether data hold the rows that were fitted to, in whatever split, as far as can be told."""
    known = fit.facts.checksum
    if not known or data.checksum == known:
        return bool(known)
    if fit.facts.grey_checksum and data.grey_checksum:
        return data.grey_checksum == fit.facts.grey_checksum
    by_split = fit.schema.binarize == "dynamic" or is_sampled(known) or data.streamed
    if data.source is None or not by_split:
        return False
    try:
        return replace(fit.recipe.data, source=data.source).load().checksum == known
    except (InputError, OSError):
        return False


def _other_rows(fit: Fit, data: Data) -> bool:
    known = fit.facts.checksum
    return bool(known) and data.checksum != known
