"""What a report knows of a run: all that its folder holds, finished or not, and its rows where they are.

A part that cannot be had (the data have changed, a model needs parts that a user wrote) is told in a
sentence, and the rest of the page stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taut.core import Estimate, InputError
from taut.data import Data, Schema
from taut.errors import Door, counted
from taut.fitted import Fit, Posterior, coordinate_columns
from taut.fitted.coordinates import read_coordinates
from taut.fitted.facts import FitFacts, PosteriorFacts, read_facts
from taut.fitted.loading import load_fit
from taut.recipe import choices_of_use
from taut.runs import RunFolder, read_arrays, read_structure, reading, to_toml

__all__ = ["Reported", "reported", "reported_fit", "reported_posterior"]

# What commands on a run keep in its folder, by the word for it.
_KEPT = {
    "audit": "audit.json",
    "evaluation": "evaluation.json",
    "bracket": "bracket.json",
    "calibration": "calibration.json",
    "fidelity": "fidelity.json",
    "counterfactuals": "explain/counterfactuals.json",
}


@dataclass(frozen=True)
class Reported:
    """A run, as far as it is known.

    Attributes:
        name: what it is called.
        result: what it is compared by: the fit or posterior, or its folder.
        config: what config.toml holds of choices that were of use, as text; empty for none.
        history: records of the steps.
        estimates: by their names; none of a run that is not measured.
        facts: None of a run that is not finished.
        schema: of its rows; None of a posterior, or where it is not known.
        fit: the model; None where it cannot be loaded.
        data: its rows; None where they cannot be had.
        coordinates: columns of coordinates.csv.
        draws: of a posterior, values (K,) by coordinate, the guide's own first.
        weights: of the draws, (K,), adding up to 1; None of a fit.
        num_guide: how many are the guide's own.
        kept: files that commands left in the folder, by the word for what they hold.
        unfinished: how far it is; empty of a finished run.
        lacking: what the report lacks and why, a sentence each.
        folder: None for what is only in memory.
    """

    name: str
    result: Fit | Posterior | Path
    config: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    facts: FitFacts | PosteriorFacts | None = None
    schema: Schema | None = None
    fit: Fit | None = None
    data: Data | None = None
    coordinates: Mapping[str, list[Any]] | None = None
    draws: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: np.ndarray | None = None
    num_guide: int = 0
    kept: Mapping[str, Path] = field(default_factory=dict)
    unfinished: str = ""
    lacking: tuple[str, ...] = ()
    folder: Path | None = None


def reported(
    path: Path | str, *, rows_of: Callable[[Fit], Data] | None = None, door: Door = "Python"
) -> Reported:
    """A run folder.

    Arguments:
        path: of the folder.
        rows_of: from a fit to its data; what it refuses is told on the page.
        door: whose words remedies are in.

    Raises:
        InputError: it is no run folder, or its files are damaged.
    """
    run = RunFolder.open(path)
    known: dict[str, Any] = {
        "name": str(path), "result": run.path, "folder": run.path, "history": tuple(run.read_steps()),
        "config": to_toml(choices_of_use(run.read_config())), "kept": _kept(run.path),
    }  # fmt: skip
    if not (run.path / "summary.json").is_file():
        steps = len(known["history"])
        return Reported(
            **known, unfinished=f"This run is not finished: it has {counted(steps, 'step')} so far."
        )
    estimates, written = run.read_summary(measured=False)
    facts = read_facts(written, where=str(run.path / "summary.json"))
    known |= {"estimates": estimates, "facts": facts}
    if isinstance(facts, PosteriorFacts):
        columns = read_coordinates(run.path, facts.coordinates)
        arrays = read_arrays(run.path / "draws.safetensors")
        with reading(run.path / "model.json"):
            number = int(read_structure(run.path)["architecture"]["num_guide_draws"])
        with reading(run.path / "draws.safetensors"):
            weights = arrays["weights"]
        return Reported(
            **known, coordinates=columns, draws=_by_coordinate(arrays), weights=weights,
            num_guide=number,
        )  # fmt: skip
    if not estimates:
        known["unfinished"] = "This run is trained and was not measured yet."
    content = read_structure(run.path)
    with reading(run.path / "model.json"):
        known["schema"] = Schema.from_dict(content["schema"])
    try:
        known["fit"] = fit = load_fit(run)
        known["data"] = None if rows_of is None else rows_of(fit)
    except (InputError, OSError) as error:
        said = error.worded(door) if isinstance(error, InputError) else str(error)
        known["lacking"] = (f"There are no pictures of rows: {said}",)
    return Reported(**known)


def reported_fit(fit: Fit, data: Data | None, *, name: str = "", why: str = "") -> Reported:
    """A fit in memory.

    Arguments:
        fit: the fit.
        data: its rows; None for none.
        name: what it is called.
        why: there are no data; empty where they were not given.
    """
    why = why or "the data were not given, and have no name to load them by."
    lacking = () if data is not None else (f"There are no pictures of rows: {why}",)
    return Reported(
        name=name or f"{fit.architecture.name} of {fit.schema.name}", result=fit,
        config=to_toml(choices_of_use(fit.recipe.to_dict())), history=fit.history,
        estimates=fit.estimates, facts=fit.facts, schema=fit.schema, fit=fit, data=data, lacking=lacking,
    )  # fmt: skip


def reported_posterior(posterior: Posterior) -> Reported:
    """A posterior in memory."""
    columns = coordinate_columns(posterior.coordinates, posterior.raw, posterior.resampled)
    values = dict(zip(posterior.coordinates, posterior.coordinate_draws().T, strict=True))
    return Reported(
        name=f"posterior of {posterior.model.name}", result=posterior,
        history=tuple(part._asdict() for part in posterior.trace),
        estimates=posterior.estimates, facts=posterior.facts, coordinates=columns,
        draws=values, weights=posterior.weights, num_guide=posterior.num_guide,
    )  # fmt: skip


def _by_coordinate(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The draws of draws.safetensors, one (K,) for each scalar, under the name of its coordinate."""
    found = {}
    for place, values in arrays.items():
        name = place.removeprefix("parameters/")
        if name == place:
            continue
        for index in np.ndindex(values.shape[1:]):
            inside = f"[{','.join(map(str, index))}]" if index else ""
            found[name + inside] = values[(slice(None), *index)]
    return found


def _kept(folder: Path) -> dict[str, Path]:
    return {name: folder / place for name, place in _KEPT.items() if (folder / place).is_file()}
