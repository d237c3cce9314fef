"""A posterior on disk: arrays in safetensors, structure in JSON, nothing that runs.

    config.toml           what to type to repeat it
    metrics.jsonl         one line a round of the ascent
    model.json            program, sites and guide by name
    model.safetensors     arrays of the guide
    draws.safetensors     z, weights, and every parameter in natural units
    coordinates.csv       moments of every coordinate under the guide and resampled
    summary.json          every Estimate with its side and errors, and the verdict

The program itself is only named: reading a folder runs no code.
"""

from dataclasses import asdict
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from taut.core import write_atomically, write_csv
from taut.fitted.coordinates import coordinate_columns
from taut.fitted.posterior import Posterior
from taut.models.program import Bounded, Edged, NumPyroProgram, log_joints
from taut.runs import FORMAT, RunFolder, packed, write_sealed_json

__all__ = ["POSTERIOR", "known_draws", "write_posterior"]

POSTERIOR = "posterior"  # the architecture's name in model.json
_KNOWN = 4  # draws at which the log-joint of a program is kept


def known_draws(weights: Float[np.ndarray, " K"]) -> Int[np.ndarray, " k"]:
    """Numbers of the draws at which the log-joint is kept: those of the largest weights."""
    return np.argsort(-weights, kind="stable")[:_KNOWN]


def write_posterior(posterior: Posterior, run: RunFolder) -> None:
    """Write a posterior into a run folder that has its config.toml; the summary comes last."""
    run.keep_steps(0)
    for number, part in enumerate(posterior.trace):
        columns = {k: np.asarray([v]) for k, v in part._asdict().items()}
        finite = {k: v for k, v in columns.items() if np.isfinite(v).all()}
        run.append_steps(number, finite, None)
    flat, _ = jax.tree_util.tree_flatten_with_path(posterior.guide)
    arrays = {
        jax.tree_util.keystr(place): np.asarray(leaf)
        for place, leaf in flat
        if isinstance(leaf, jax.Array | np.ndarray)
    }
    write_atomically(run.path / "model.safetensors", lambda file: file.write(packed(arrays)))
    draws = {"z": posterior.z, "weights": posterior.weights, **_natural(posterior)}
    write_atomically(run.path / "draws.safetensors", lambda file: file.write(packed(draws)))
    write_sealed_json(run.path / "model.json", _structure(posterior))
    columns = coordinate_columns(posterior.coordinates, posterior.raw, posterior.resampled)
    write_csv(run.path / "coordinates.csv", columns)
    run.write_summary(posterior.estimates, posterior.facts.to_dict())


def _natural(posterior: Posterior) -> dict[str, np.ndarray]:
    with jax.enable_x64(posterior.z.dtype == np.float64):
        values = posterior.natural.values(posterior.z)
    return {f"parameters/{name}": value for name, value in values.items()}


def _structure(posterior: Posterior) -> dict[str, Any]:
    sites = [
        {"name": site.name, "shape": list(site.shape), "support": repr(site.support)}
        for site in posterior.model.sites
    ]
    return {
        "format": FORMAT,
        "architecture": {
            "name": POSTERIOR,
            "program": posterior.model.name,
            "guide": posterior.family,
            "layers": posterior.layers,
            "sites": sites,
            "derived": [
                {"name": name, "shape": list(shape)} for name, shape in posterior.natural.derived
            ],
            "plate": _plate(posterior),
            "noncentred": _noncentred(posterior),
            "edges": _edges(posterior),
            "log_joint": [repr(float(number)) for number in _log_joints(posterior)],
            "num_guide_draws": posterior.num_guide,
            "khat": str(posterior.khat),
            "guide_khat": str(posterior.guide_khat),
            "khat_threshold": str(posterior.khat_threshold),
            "ess": str(posterior.ess),
            "verdict": asdict(posterior.verdict),
        },
        "precision": str(posterior.z.dtype),
    }


def _log_joints(posterior: Posterior) -> np.ndarray:
    """By which the program is known again, at the draws that `known_draws` names."""
    z = posterior.z[known_draws(posterior.weights)]
    with jax.enable_x64(posterior.z.dtype == np.float64):
        return log_joints(posterior.model, posterior.datum, z)


def _plate(posterior: Posterior) -> str | None:
    """The plate by whose rows the latents stand in z."""
    model = posterior.model
    plate = model.reading.plate if isinstance(model, NumPyroProgram) else None
    return None if plate is None else plate.name


def _noncentred(posterior: Posterior) -> list[str]:
    """The latents whose place in z holds standard numbers."""
    model = posterior.model
    return sorted(model.reading.noncentred) if isinstance(model, NumPyroProgram) else []


def _edges(posterior: Posterior) -> dict[str, Any] | None:
    """Where the coordinates of z end; numbers as text, which keeps infinities and every digit."""
    model = posterior.model
    if isinstance(model, Edged):
        edges = [[edge.coordinate, edge.sign, *edge.cells] for edge in model.edges]
        return {"moving": edges, "scale": [repr(float(number)) for number in model.scale]}
    if not isinstance(model, Bounded):
        return None
    arrays = {"low": model.low, "high": model.high, "scale": model.scale}
    return {name: [repr(float(number)) for number in array] for name, array in arrays.items()}
