"""A posterior from its run folder, with the program and data that the folder only names.

Draws, weights and the guide's arrays are read; moments are computed from them again. Nothing in the
folder runs: the program is the caller's.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import Datum, InputError
from taut.evidence import PosteriorMoments, weighted_moments
from taut.fitted.facts import PosteriorFacts, read_facts
from taut.fitted.posterior import Posterior, data_checksum_of
from taut.fitted.posterior_files import known_draws
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
    forms_of_data,
    log_joints,
    parted,
    refuse_another,
)
from taut.runs import (
    RunFolder,
    is_sealed,
    read_arrays,
    read_model_arrays,
    read_structure,
    reading,
)

__all__ = ["load_posterior"]

_NUMBERS = ("khat", "guide_khat", "khat_threshold", "ess")  # which model.json holds as text


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
        InputError: the folder is not a finished run of `taut infer`, or the program or its data are
            others.
    """
    run = RunFolder.open(path)
    content = read_structure(run.path)
    known = content["architecture"]
    with reading(run.path / "model.json"):
        wanted = [(str(site["name"]), list(site["shape"])) for site in known["sites"]]
        own, numbers = int(known["num_guide_draws"]), {n: float(known[n]) for n in _NUMBERS}
        verdict = Verdict(**{**known["verdict"], "reasons": tuple(known["verdict"]["reasons"])})
    estimates, written = run.read_summary()
    facts = read_facts(written, where=str(run.path / "summary.json"))
    if not isinstance(facts, PosteriorFacts):
        raise InputError(
            "the facts of a posterior in summary.json", "those of a fit", "a backup of the file",
            where=str(run.path),
        )  # fmt: skip
    arrays = read_model_arrays(run.path, content)
    draws = read_arrays(run.path / "draws.safetensors", sealed=is_sealed(content))
    trace = tuple(_round(line) for line in run.read_steps())
    with jax.enable_x64(content["precision"] == "float64"):
        natural = _natural(known, wanted, target, data, support, run.path)
        with reading(run.path / "draws.safetensors"):
            z, weights = _draws(draws, natural.model.dim, content["precision"])
        if facts.checksum and facts.checksum not in _checksums(natural.datum, target, data):
            raise InputError(
                "the data that were fitted", "others", "the data as they were, or fitting these",
                where=str(run.path),
            )  # fmt: skip
        _refuse_another(natural, known, z[known_draws(weights)], run.path)
        with reading(run.path / "draws.safetensors"):
            table = natural.table(z)
        with reading(run.path / "model.json"):
            guide = _guide(known, natural.model.dim, arrays)
        return Posterior(
            natural=natural,
            guide=guide,
            family=known["guide"],
            layers=known["layers"],
            estimates=estimates,
            **numbers,
            raw=weighted_moments(table[:own]),
            resampled=_resampled(table, weights, own, facts),
            verdict=verdict,
            trace=trace,
            starts=None,
            notes=facts.notes,
            seconds=dict(facts.seconds),
            num_guide=own,
            z=z,
            weights=weights,
            refined=facts.refined,
        )


def _resampled(
    table: Float[np.ndarray, "K C"],
    weights: Float[np.ndarray, " K"],
    own: int,
    facts: PosteriorFacts,
) -> PosteriorMoments:
    """Moments of the weighted draws; refined ones come in independent runs, after the guide's own."""
    if facts.refined is None:
        return weighted_moments(table, weights)
    return weighted_moments(table[own:], weights[own:], runs=facts.refined.runs)


def _refuse_another(
    natural: NamedValues, known: Mapping[str, Any], z: Float[np.ndarray, "k d"], path: Path
) -> None:
    """Refuse a program that the draws are not of; older folders do not tell.

    Raises:
        InputError: see above.
    """
    with reading(path / "model.json"):
        wanted = [*map(float, known.get("log_joint", ()))]
    if wanted:
        refuse_another(
            log_joints(natural.model, natural.datum, z), np.asarray(wanted),
            wish=f"the program that was fitted, {known['program']}", where=str(path),
        )  # fmt: skip


def _checksums(datum: Datum, target: Any, data: Mapping[str, Any] | None) -> Iterator[str]:
    """Of the data as they are, and of what says the same with defaults of the program's arguments."""
    yield data_checksum_of(datum)
    if not isinstance(target, AbstractProgram):
        for form in forms_of_data(target, data or {}):
            yield data_checksum_of(Datum(x=parted(form)[0]))


def _natural(
    known: Mapping[str, Any],
    wanted: list[tuple[str, list[int]]],
    target: Any,
    data: Mapping[str, Any] | None,
    support: Mapping[str, Any] | None,
    path: Path,
) -> NamedValues:
    """The program of all rows, its latents placed as they were, and its data.

    Raises:
        InputError: its latents are not those of the folder.
    """
    plate = known.get("plate")
    model, datum = program_of(target, data, support, None if plate is None else {plate: 1})
    if isinstance(model, NumPyroProgram) and plate is not None:
        model = model.all_rows()
    found = [(site.name, list(site.shape)) for site in model.sites]
    if found != wanted:
        raise InputError(
            f"the program that was fitted, with the latents {_latents(wanted)}", _latents(found),
            f"{known['program']} with its data", where=str(path),
        )  # fmt: skip
    if apart := known.get("noncentred"):
        model = _noncentred(model, datum, apart, known["program"], path)
    if edges := known.get("edges"):
        with reading(path / "model.json"):
            model = _within(model, datum, edges)
    return NamedValues.of(model, datum)


def _noncentred(
    model: AbstractProgram, datum: Datum, names: list[str], program: str, path: Path
) -> AbstractProgram:
    """The program with the latents that were standard numbers as such.

    Raises:
        InputError: their scales do not move with latents in this program.
    """
    other = model.noncentred(datum) if isinstance(model, NumPyroProgram) else None
    if other is None or sorted(other.reading.noncentred) != names:
        raise InputError(
            f"the program that was fitted, in which latents scale {', '.join(names)}", "another one",
            f"{program} with its data", where=str(path),
        )  # fmt: skip
    return other


def _draws(
    arrays: Mapping[str, np.ndarray], dim: int, precision: str
) -> tuple[np.ndarray, np.ndarray]:
    """z and weights of draws.safetensors.

    Raises:
        KeyError, ValueError: they are not draws of that form.
    """
    z, weights = arrays["z"], arrays["weights"]
    if z.shape != (len(z), dim) or weights.shape != (len(z),) or str(z.dtype) != precision:
        raise ValueError(f"{z.dtype} draws of shape {z.shape}, weights of shape {weights.shape}")
    if not (np.isfinite(z).all() and np.isfinite(weights).all()):
        raise ValueError("draws that are not finite")
    return z, weights


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

    def number(name: str) -> Any:
        found = line.get(name)
        return math.nan if found is None else found

    return Round(**{name: number(name) for name in Round._fields})
