"""`taut.compare`: two results on the same rows, by differences paired by row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from taut.core import FREE_CONSTANT, Estimate, InputError, Measure, paired_difference
from taut.data import Schema, same_source
from taut.data.checksum import is_sampled
from taut.fitted.facts import FitFacts, PosteriorFacts, read_facts
from taut.fitted.fit import Fit
from taut.fitted.posterior import Posterior
from taut.runs import RunFolder, read_structure, reading

__all__ = ["compare"]


_OF_ROWS = ("kind", "shape", "support", "levels", "binarize")  # of a schema: what a row is


class _Named(NamedTuple):
    """Data by name.

    Attributes:
        source: what loads them again; None for data in memory.
        checksum: of the rows; empty where it was not kept.
        form: of a row.
        schema: of which the form is a part, or None.
        untargeted: checksum of the rows without a target beside them; empty where it was not kept.
    """

    source: str | None
    checksum: str
    form: dict[str, Any]
    schema: Schema | None = None
    untargeted: str = ""


class _Side(NamedTuple):
    """One result.

    Attributes:
        estimates: by name.
        data: what tells its data from others: for a fit or a folder their source and the form of a
            row, for a posterior in memory the arrays.
        name: of the run folder, or of what it is.
        measure: of the log-probabilities; None where it is not known.
        observed: of which values a program's evidence is; empty where that is not known.
    """

    estimates: Mapping[str, Estimate]
    data: Any
    name: str
    measure: Measure | None = None
    observed: str = ""


def compare(
    first: Fit | Posterior | Path | str, second: Fit | Posterior | Path | str
) -> dict[str, Estimate]:
    """The differences first - second of the estimates that both hold, by name.

    Of two posteriors on the same data the difference of `log_evidence` is a log Bayes factor. Of two
    fits one may have a target beside its columns and the other none: densities are those of the columns.

    Arguments:
        first: a fit, a posterior, or a run folder of either.
        second: another, on the same data with the same split.

    Returns:
        paired differences; their side is `exact` or `unbiased` where both sides allow it, else `none`.

    Raises:
        InputError: other data or other rows on the two sides, no estimate in common, or estimates of two
            measures: a probability and a density, of values and of their logarithms, or a log-evidence
            whose constant is free.
    """
    a, b = _side(first, "the first"), _side(second, "the second")
    if isinstance(a.data, _Named) != isinstance(b.data, _Named):
        raise InputError(
            "two run folders, or two posteriors in memory", "one of each",
            "saving the one, or loading the other", where="compare",
        )  # fmt: skip
    # Programs with other arguments may observe the same values.
    if not (a.observed and a.observed == b.observed) and not _equal(a.data, b.data):
        raise InputError(
            "two runs on the same data", f"{_words(a.data)} and {_words(b.data)}",
            "fitting both to one source", where="compare",
        )  # fmt: skip
    _refuse_other_measures(a, b)
    # What neither side holds by row says nothing about the data, such as a gain that remains.
    shared = [
        name
        for name, one in a.estimates.items()
        if name in b.estimates and not (one.values is None and b.estimates[name].values is None)
    ]
    if not shared:
        names = [", ".join(one.estimates) or "none, as it was not measured" for one in (a, b)]
        measured = a.estimates and b.estimates
        raise InputError(
            "two runs with estimates in common", " and ".join(names),
            "two fits, or two posteriors, on the same data" if measured
            else "taut.core.paired_difference of what `evaluate` of both finds of the same rows",
            where="compare",
        )  # fmt: skip
    return {name: paired_difference(a.estimates[name], b.estimates[name]) for name in shared}


def _refuse_other_measures(a: _Side, b: _Side) -> None:
    """Refuse a difference that says nothing of the rows.

    Raises:
        InputError: says which side is which.
    """
    for side in (a, b):
        if any(FREE_CONSTANT in estimate.flags for estimate in side.estimates.values()):
            raise InputError(
                "log-evidences whose constant is known",
                f"one known up to a constant in {side.name}: a prior that is improper, or a log-joint, "
                "which need not be normalised",
                "numpyro.sample with a proper prior for every latent", where="compare",
            )  # fmt: skip
    if a.observed and b.observed and a.observed != b.observed:
        raise InputError(
            "two log-evidences of the same values",
            f"{a.observed} in {a.name} and {b.observed} in {b.name}",
            "programs that observe the data as they are, under distributions of one kind: "
            "dist.LogNormal(m, s) for y in place of dist.Normal(m, s) for jnp.log(y)", where="compare",
        )  # fmt: skip
    if a.measure is None or b.measure is None or not (apart := a.measure.apart(b.measure)):
        return
    alike = len(a.measure.kinds) == len(b.measure.kinds) == 1
    where = "" if alike or not isinstance(a.data, _Named) else _where(a.data.schema, apart)
    first, second = (
        f"{side.measure.words(apart[0])} in {side.name}" for side in (a, b) if side.measure
    )
    raise InputError(
        "two runs whose log-probabilities are of one kind", f"{first} and {second}{where}",
        "models of one kind: a likelihood or layers for the values, as both are read as real numbers or "
        "neither", where="compare",
    )  # fmt: skip


def _where(schema: Schema | None, apart: tuple[int, ...]) -> str:
    """The columns in which two measures differ, in words; nothing where they are all."""
    if schema is None or schema.kind != "table" or len(apart) == schema.size:
        return ""
    return f", for {schema.named(apart)}"


def _side(result: Fit | Posterior | Path | str, name: str) -> _Side:
    if isinstance(result, Posterior):
        return _Side(result.estimates, result.datum, name, observed=result.observed)
    if isinstance(result, Fit):
        form = {name: getattr(result.schema, name) for name in _OF_ROWS}
        named = _named(result.recipe.data.source, result.facts, form, result.schema)
        return _Side(result.estimates, named, name, result.facts.measure)
    if not isinstance(result, str | Path):
        raise InputError(
            "two of: a fit, a posterior, the path of a run folder",
            f"an object of type {type(result).__name__} as {name}",
            "what `taut.fit`, `taut.em`, `taut.infer` or `taut.load` returned", where="compare",
        )  # fmt: skip
    run = RunFolder.open(result)
    estimates, facts = run.read_summary()
    written = read_structure(run.path).get("schema")
    with reading(run.path / "model.json"):
        schema = None if written is None else Schema.from_dict(written)
    form = {} if schema is None else {name: getattr(schema, name) for name in _OF_ROWS}
    named = run.read_config().get("data")
    source = named.get("source") if isinstance(named, Mapping) else named
    facts = read_facts(facts, where=str(run.path))
    measure = facts.measure if isinstance(facts, FitFacts) else None
    observed = "" if isinstance(facts, FitFacts) else facts.observed
    data = _named(source, facts, form, schema)
    return _Side(estimates, data, str(run.path), measure, observed)


def _named(
    source: str | None,
    facts: FitFacts | PosteriorFacts,
    form: dict[str, Any],
    schema: Schema | None,
) -> _Named:
    """Data by what is kept of them; a target that is one of the columns is part of a row."""
    own = facts.checksum
    if schema is not None and schema.target is not None and schema.place_of_target is None:
        own = facts.untargeted_checksum if isinstance(facts, FitFacts) else ""
    return _Named(source, facts.checksum, form, schema, own)


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, _Named):
        return first.form == second.form and _same_rows(first, second)
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def _same_rows(first: _Named, second: _Named) -> bool:
    """By checksum where both sides have one of the same kind, else by source.

    Where one side alone has a target beside its columns, the rows without it are compared: their
    densities are those of the columns.
    """
    sums = (first.checksum, second.checksum)
    targets = {side.schema and side.schema.target for side in (first, second)}
    if len(targets) == 2 and None in targets and first.untargeted and second.untargeted:
        sums = (first.untargeted, second.untargeted)
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
    target = data.schema and data.schema.target
    return f"{data.source!r}{rows}{form}" + (f", target '{target}'" if target else "")
