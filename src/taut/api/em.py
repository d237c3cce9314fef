"""`taut.em`: exact EM on data, with the number of components chosen where a range is given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.api.exact import EMProgress, fit_exact
from taut.api.showing import Shown, shown
from taut.architectures import ARCHITECTURES, AbstractClosedForm
from taut.callbacks.abstract import ended, telling_of_failures
from taut.core import InputError, nearest, option
from taut.core.devices import Devices, over_devices
from taut.core.memory import within_memory
from taut.data import Data, can_stream, load_data
from taut.fitted import Fit
from taut.inference import EM, OnlineEM
from taut.inference.exact.selection import Select, component_numbers
from taut.models import AbstractExactModel
from taut.program_cache import compilation_cache
from taut.recipe import Recipe
from taut.runs import RunFolder

__all__ = ["EMProgress", "em"]


@telling_of_failures
@compilation_cache()
def em(
    data: Any,
    *,
    model: AbstractClosedForm | type | str | None = None,
    components: int | Sequence[int] | None = None,
    select: Select = "evidence",
    restarts: int | None = None,
    floor: float | None = None,
    reg_covar: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    closed_form: bool = False,
    start: AbstractExactModel | None = None,
    online: bool = False,
    passes: float | int = 1,
    batch_size: int = 10_000,
    key: int | PRNGKeyArray = 0,
    out: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
    progress: Shown = None,
    callbacks: Sequence[Any] | None = None,
    devices: Devices = None,
) -> Fit:
    """Fit a model with exact posterior by EM and measure it on the test rows, in float64.

    The same as `taut.fit` with `inference=taut.inference.EM(...)` or `OnlineEM(...)`.

    Arguments:
        data: a `Data`, or whatever `load_data` takes; with `online`, a `.npy` or Parquet file stays on
            disk.
        model: architecture, its class, or its name; a Gaussian mixture when None.
        components: number of components or factors, or several to choose from; the architecture's own
            when None.
        select: what decides among several: mean log-evidence of the validation rows, or the Bayesian
            information criterion on the training rows, -2 log p(x) + parameters log N.
        restarts: random starts for each number of components.
        floor: the least variance of a component in each column, as a share of the column's own; of
            latent classes, pseudo-rows of every value; of mixed columns, pseudo-rows that every
            component sees, spread as the columns are. 0 for maximum likelihood; None for the variance
            that the resolution of the column's values leaves unknown, and 1 with the last two.
        reg_covar: added to the diagonals of a Gaussian mixture's covariances instead, in data units
            squared, as scikit-learn does; the evidence may then fall now and then.
        tolerance: EM stops when fewer nats per row remain to be gained.
        max_iterations: of each run.
        closed_form: probabilistic PCA by its closed form instead of EM.
        start: model to start from instead of random ones.
        online: one M-step per batch instead of one per pass.
        passes: of online EM over the data.
        batch_size: rows a batch of online EM; the last one of a pass has what is left.
        key: whole number or random key; everything random follows from it.
        out: run folder to write while fitting; None writes nothing.
        force: replace a run that is there.
        resume: go on with the run in `out` where it was stopped, with the same data and options.
        progress: called after every iteration; else as of `taut.fit`.
        callbacks: as of `taut.fit`.
        devices: how many share the rows of a pass, or "all"; None for one, or those of an enclosing
            `taut.over_devices`.

    Returns:
        a `Fit`, whose `estimates` hold the log-evidence of the test rows and of independent columns,
        both exact unless a density has no bound, and whose facts hold the selection curve where there
        is one.

    Raises:
        InputError: an option, the data, or a combination of parts cannot be used.
        RunError: the objective fell, a covariance became singular, or the disk does not take a
            checkpoint.
        KeyboardInterrupt: Ctrl-C; a run folder holds all that was computed.
    """
    if online and closed_form:
        raise InputError(
            f"iterations with {option('online', True)}", "a closed form",
            f"leaving out {option('closed_form')}",
            where=option("closed_form"),
        )  # fmt: skip
    architecture: Any = _architecture(model)
    numbers = list(component_numbers(components, architecture.components))
    options: dict[str, Any] = {
        "restarts": restarts, "tolerance": tolerance, "max_iterations": max_iterations,
        "floor": floor, "reg_covar": reg_covar, "select": select,
        "candidates": tuple(numbers) if len(numbers) > 1 else None,
    }  # fmt: skip
    by_batch = OnlineEM(**options, passes=float(passes), em_batch_size=batch_size)
    inference = by_batch if online else EM(**options, closed_form=closed_form)
    if not isinstance(data, Data):
        stream = "yes" if online and can_stream(data) else "auto"
        data = load_data(data, dtype=np.float64, stream=stream)
    recipe = Recipe(
        data=data.options,
        model=replace(architecture, components=numbers[0]),
        inference=inference,
        seed=int(key) if isinstance(key, int | np.integer) else None,
    )
    listening: Sequence[Any] = callbacks or ()
    with (
        shown(progress) as reported,
        over_devices(devices),
        within_memory(),
        RunFolder.for_writing(out, force=force, resume=resume),
    ):
        fitted = fit_exact(
            recipe, data, key=key, out=out, force=force, resume=resume, progress=reported,
            start=start, callbacks=listening,
        )  # fmt: skip
    ended(listening, fitted)
    return fitted


def _architecture(model: Any) -> Any:
    """The model itself, or the one of that name."""
    exact = {n: cls for n, cls in ARCHITECTURES.items() if issubclass(cls, AbstractClosedForm)}
    if isinstance(model, type) and model in exact.values():
        return model()
    if model is None or isinstance(model, str):
        name = "gmm" if model is None else model
        if name not in exact:
            raise InputError(
                f"one of {', '.join(exact)}", repr(name), nearest(name, exact), where="model"
            )
        return exact[name]()
    if not isinstance(model, tuple(exact.values())):
        raise InputError(
            f"a model with exact evidence, {', '.join(exact)}", f"{type(model).__name__}",
            "`taut.fit` with it", where="model",
        )  # fmt: skip
    return model
