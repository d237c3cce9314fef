"""`taut.compare`: two results on the same rows, by differences paired by row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from taut.core import Estimate, InputError, paired_difference
from taut.data import Schema, same_source
from taut.data.checksum import is_sampled
from taut.fitted.fit import Fit
from taut.fitted.posterior import Posterior
from taut.runs import RunFolder, read_structure

__all__ = ["compare"]


_OF_ROWS = ("kind", "shape", "support", "levels", "binarize")  # of a schema: what a row is


class _Named(NamedTuple):
    """Data by name.

    Attributes:
        source: what loads them again; None for data in memory.
        checksum: of the rows; empty where it was not kept.
        form: of a row.
    """

    source: str | None
    checksum: str
    form: dict[str, Any]


class _Side(NamedTuple):
    """One result.

    Attributes:
        estimates: by name.
        data: what tells its data from others: for a fit or a folder their source and the form of a
            row, for a posterior in memory the arrays.
    """

    estimates: Mapping[str, Estimate]
    data: Any


def compare(
    first: Fit | Posterior | Path | str, second: Fit | Posterior | Path | str
) -> dict[str, Estimate]:
    """The differences first - second of the estimates that both hold, by name.

    Of two posteriors on the same data the difference of `log_evidence` is a log Bayes factor.

    Arguments:
        first: a fit, a posterior, or a run folder of either.
        second: another, on the same data with the same split.

    Returns:
        paired differences; their side is `exact` or `unbiased` where both sides allow it, else `none`.

    Raises:
        InputError: other data or other rows on the two sides, or no estimate in common.
    """
    a, b = _side(first), _side(second)
    if isinstance(a.data, _Named) != isinstance(b.data, _Named):
        raise InputError(
            "two run folders, or two posteriors in memory", "one of each",
            "saving the one, or loading the other", where="compare",
        )  # fmt: skip
    if not _equal(a.data, b.data):
        raise InputError(
            "two runs on the same data", f"{_words(a.data)} and {_words(b.data)}",
            "fitting both to one source", where="compare",
        )  # fmt: skip
    # What neither side holds by row says nothing about the data, such as a gain that remains.
    shared = [
        name
        for name, one in a.estimates.items()
        if name in b.estimates and not (one.values is None and b.estimates[name].values is None)
    ]
    if not shared:
        raise InputError(
            "two runs with estimates in common",
            f"{', '.join(a.estimates)} and {', '.join(b.estimates)}",
            "two fits, or two posteriors, on the same data", where="compare",
        )  # fmt: skip
    return {name: paired_difference(a.estimates[name], b.estimates[name]) for name in shared}


def _side(result: Fit | Posterior | Path | str) -> _Side:
    if isinstance(result, Posterior):
        return _Side(result.estimates, result.datum)
    if isinstance(result, Fit):
        form = {name: getattr(result.schema, name) for name in _OF_ROWS}
        named = _Named(result.recipe.data.source, result.facts.checksum, form)
        return _Side(result.estimates, named)
    run = RunFolder.open(result)
    estimates, facts = run.read_summary()
    written = read_structure(run.path).get("schema")
    schema = None if written is None else Schema.from_dict(written)
    form = {} if schema is None else {name: getattr(schema, name) for name in _OF_ROWS}
    named = run.read_config().get("data")
    source = named.get("source") if isinstance(named, Mapping) else named
    return _Side(estimates, _Named(source, str(facts.get("checksum", "")), form))


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, _Named):
        return first.form == second.form and _same_rows(first, second)
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def _same_rows(first: _Named, second: _Named) -> bool:
    """By checksum where both sides have one of the same kind, else by source."""
    sums = (first.checksum, second.checksum)
    if all(sums) and is_sampled(sums[0]) == is_sampled(sums[1]):
        return sums[0] == sums[1]
    if first.source is None or second.source is None:
        return first.source == second.source
    return same_source(first.source, second.source)


def _words(data: Any) -> str:
    if not isinstance(data, _Named):
        shapes = ", ".join(f"{np.shape(leaf)}" for leaf in jax.tree.leaves(data))
        return f"arrays of shape {shapes}" if shapes else "no arrays"
    form = "".join(f", {name} {value}" for name, value in data.form.items() if value is not None)
    rows = f" (rows {data.checksum[-8:]})" if data.checksum else ""
    return f"{data.source!r}{rows}{form}"
