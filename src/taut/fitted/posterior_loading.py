"""A posterior from its run folder, with the program and data that the folder only names.

Draws, weights and the guide's arrays are read; moments are computed from them again. Nothing in the
folder runs: the program is the caller's.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import Datum, InputError
from taut.evidence import weighted_moments
from taut.fitted.facts import PosteriorFacts, read_facts
from taut.fitted.posterior import Posterior
from taut.guides import (
    AtFeatures,
    FlowPosterior,
    FullRankGaussian,
    LowRankGaussian,
    MeanFieldGaussian,
)
from taut.inference.posterior import Round
from taut.inference.posterior.targets import program_of
from taut.inference.posterior.verdict import Verdict
from taut.models.program import (
    AbstractProgram,
    Bounded,
    Edge,
    Edged,
    NamedValues,
    NumPyroProgram,
)
from taut.runs import RunFolder, read_structure, unpacked

__all__ = ["load_posterior"]


def load_posterior(
    path: Path | str,
    target: Callable | AbstractProgram,
    *,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
) -> Posterior:
    """The `Posterior` that `Posterior.save` or `taut infer` wrote.

    Arguments:
        path: run folder of a posterior.
        target: the program or log-joint that was fitted.
        data: its data.
        support: of a log-joint.

    Returns:
        the posterior with its draws, weights and guide; `starts` is None.

    Raises:
        InputError: the folder is not a finished run of `taut infer`, or the program is another one.
    """
    run = RunFolder.open(path)
    content = read_structure(run.path)
    known = content["architecture"]
    estimates, written = run.read_summary()
    facts = read_facts(written, where=str(run.path))
    assert isinstance(facts, PosteriorFacts)  # model.json said so
    with jax.enable_x64(content["precision"] == "float64"):
        natural = _natural(known, target, data, support, str(run.path))
        draws = unpacked((run.path / "draws.safetensors").read_bytes())
        z, weights = draws["z"], draws["weights"]
        table, own = natural.table(z), known["num_guide_draws"]
        arrays = unpacked((run.path / "model.safetensors").read_bytes())
        guide = _guide(known, natural.model.dim, arrays)
        return Posterior(
            natural=natural,
            guide=guide,
            family=known["guide"],
            layers=known["layers"],
            estimates=estimates,
            khat=float(known["khat"]),
            guide_khat=float(known["guide_khat"]),
            khat_threshold=float(known["khat_threshold"]),
            ess=float(known["ess"]),
            raw=weighted_moments(table[:own]),
            resampled=weighted_moments(table, weights),
            verdict=Verdict(**{**known["verdict"], "reasons": tuple(known["verdict"]["reasons"])}),
            trace=tuple(_round(line) for line in run.read_steps()),
            starts=None,
            notes=facts.notes,
            seconds=dict(facts.seconds),
            num_guide=own,
            z=z,
            weights=weights,
        )


def _natural(
    known: Mapping[str, Any],
    target: Any,
    data: Mapping[str, Any] | None,
    support: Mapping[str, Any] | None,
    where: str,
) -> NamedValues:
    """The program of all rows, its latents placed as they were, and its data.

    Raises:
        InputError: its latents are not those of the folder.
    """
    plate = known["plate"]
    model, datum = program_of(target, data, support, None if plate is None else {plate: 1})
    if isinstance(model, NumPyroProgram) and plate is not None:
        model = model.all_rows()
    found = [(site.name, list(site.shape)) for site in model.sites]
    wanted = [(site["name"], site["shape"]) for site in known["sites"]]
    if found != wanted:
        raise InputError(
            f"the program that was fitted, with the latents {_latents(wanted)}", _latents(found),
            f"{known['program']} with its data", where=where,
        )  # fmt: skip
    if edges := known.get("edges"):
        model = _within(model, datum, edges)
    return NamedValues.of(model, datum)


def _within(model: AbstractProgram, datum: Datum, edges: dict[str, Any]) -> AbstractProgram:
    """The program in coordinates that stay within the edges of its posterior."""
    numbers = {n: jnp.asarray([*map(float, edges[n])]) for n in edges if n != "moving"}
    if "moving" not in edges:
        return Bounded(model, **numbers)
    moving = (Edge(coordinate, tuple(own), sign) for coordinate, sign, *own in edges["moving"])
    return Edged(model, tuple(moving), datum, **numbers)


def _latents(sites: list[tuple[str, list[int]]]) -> str:
    return ", ".join(f"{name}{shape or ''}" for name, shape in sites)


def _guide(known: Mapping[str, Any], dim: int, arrays: dict[str, np.ndarray]) -> Any:
    """The guide with its arrays."""
    if known["guide"] == "flow":
        skeleton: Any = eqx.filter_eval_shape(
            lambda: FlowPosterior(dim, known["layers"], key=jax.random.key(0))
        )
        flat, tree = jax.tree_util.tree_flatten_with_path(skeleton)
        leaves = [
            jnp.asarray(arrays[jax.tree_util.keystr(place)]) if _is_array(leaf) else leaf
            for place, leaf in flat
        ]
        return jax.tree.unflatten(tree, leaves)
    (features,) = arrays.values()
    return AtFeatures(jnp.asarray(features), _family(known["guide"], dim, features))


def _family(name: str, dim: int, features: Float[np.ndarray, " F"]) -> Any:
    if name == "mean-field":
        return MeanFieldGaussian(dim)
    if name == "low-rank":
        return LowRankGaussian(dim, len(features) // dim - 2)
    return FullRankGaussian(dim)  # Laplace's and structured guides are written as one


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _round(line: Mapping[str, Any]) -> Round:
    """A line of metrics.jsonl, where numbers that are not finite are left out."""
    return Round(**{name: line.get(name, math.nan) for name in Round._fields})
