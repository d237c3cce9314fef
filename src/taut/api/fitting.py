"""`taut.fit`: data in, fitted model and its honest numbers out."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.api.amortized import fit_amortized
from taut.api.exact import fit_exact
from taut.api.showing import Shown, shown
from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.callbacks.abstract import ended, telling_of_failures
from taut.core import InputError, as_key, host_seed, option
from taut.core.devices import Devices, over_devices
from taut.core.hosts import agree_on, num_hosts, over_hosts, writes
from taut.core.memory import within_memory
from taut.data import Data, DataOptions, load_data
from taut.fitted import Fit
from taut.gradients import AbstractEstimator
from taut.inference import AbstractExact, AbstractInference
from taut.program_cache import compilation_cache
from taut.recipe import Recipe, recipe_of
from taut.runs import RunFolder
from taut.training.resuming import asked_options

__all__ = ["fit"]

# Keywords of taut 0.1 that are called otherwise.
_RENAMED = {"num_particles": "evidence_particles", "warmup_steps": "learning_rate_warmup"}


@telling_of_failures
@compilation_cache()
def fit(
    data: Any,
    *,
    recipe: Recipe | None = None,
    model: AbstractArchitecture | type | str | None = None,
    bound: AbstractBound | type | str | None = None,
    gradient: AbstractEstimator | type | str | None = None,
    inference: AbstractInference | type | str | None = None,
    key: int | PRNGKeyArray = 0,
    out: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
    progress: Shown = None,
    callbacks: Sequence[Any] | None = None,
    devices: Devices = None,
    hosts: str | None = None,
    host_index: int | None = None,
    host_count: int | None = None,
    **options: Any,
) -> Fit:
    """Fit a model to the training rows and measure it on the test rows.

    Arguments:
        data: a `Data`, or whatever `load_data` takes: a source by name, an array, a data frame.
        recipe: all choices and options in one value; what follows up to `key` is then left out.
        model: architecture, its class, or the name of one; a VAE when None.
        bound: what is maximised, or its name; when None the one that the inference and the gradient go
            with, as a rule the ELBO with the architecture's number of draws.
        gradient: how it is differentiated, or its name; the architecture's own choice when None.
        inference: how the parameters are found, or its name; the architecture's own when None.
        key: whole number or random key; everything random follows from it. `seed` is another name of it.
        out: run folder to write while fitting; None writes nothing.
        force: replace a run that is there.
        resume: go on with the run in `out` from its last checkpoint, with the same data and options.
        progress: called about twice a second, after every iteration of EM; True for a line on standard
            error, which is the default where someone types, in a prompt or a notebook.
        callbacks: told of every step, every validation, and the end or what was raised instead, such as
            a `taut.callbacks.TensorBoard`; what they raise stops the fit, whose folder can be resumed.
        devices: how many share the rows of a batch, or "all"; None for one, or those of an enclosing
            `taut.over_devices`.
        hosts: HOST:PORT of host 0 where several hosts share the rows, each of which calls this with the
            same arguments; `auto` under SLURM, Kubernetes or MPI. Host 0 alone writes `out`.
        host_index: the number of this host, from 0.
        host_count: of all hosts.
        options: by the names that the command line has, with underscores: fields of `TrainingOptions`
            (`epochs`, `batch_size`, `learning_rate`, `precision`, ...), `evidence_particles`, options of
            choices that are given by name (`model="vq", code_dim=8`), and of `load_data` where the data
            are not loaded yet.

    Returns:
        a `Fit`, whose `estimates` hold the held-out ELBO, reconstruction, KL, log-evidence, the
        independent-columns baseline and, for probabilities of images, bits per dimension; of a model
        with exact evidence, that and the baseline.

    Raises:
        InputError: an option, the data, or a combination of parts cannot be used.
        RunError: the bound is not finite, for good, or the disk does not take a checkpoint.
        KeyboardInterrupt: Ctrl-C; a run folder holds a checkpoint of the last step.
    """
    choices = {"model": model, "bound": bound, "gradient": gradient, "inference": inference}
    if recipe is None:
        named = _present_names(options, bound)
        key = _told_once(key, named)
        seed = int(key) if isinstance(key, int | np.integer) else None
        recipe = replace(recipe_of({**choices, **named}), seed=seed)
    else:
        beside = [name for name, value in choices.items() if value is not None] + list(options)
        if beside:
            raise InputError(
                "a recipe that holds all choices", f"{beside[0]} beside it",
                "dataclasses.replace(recipe, ...)", where="recipe",
            )  # fmt: skip
        key = key if recipe.seed is None else recipe.seed
    listening: Sequence[Any] = callbacks or ()
    with (
        over_hosts(hosts, host_index=host_index, host_count=host_count),
        shown(progress if writes() or callable(progress) else False) as reported,
        over_devices(devices),
    ):
        recipe, loaded = _with_data(recipe, data)
        fit_one = fit_exact if isinstance(recipe.inference, AbstractExact) else fit_amortized
        draws = getattr(recipe.bound, "num_particles", getattr(recipe.bound, "num_draws", None))
        asked = {"num_particles": draws, "batch_size": recipe.training.batch_size}
        if num_hosts() > 1:
            _agree(recipe, loaded, key, resume=resume)
        if not writes():
            out, force, resume, listening = None, False, False, ()
        with within_memory(**asked), RunFolder.for_writing(out, force=force, resume=resume):
            fitted = fit_one(
                recipe, loaded, key=key, out=out, force=force, resume=resume, progress=reported,
                callbacks=listening,
            )  # fmt: skip
        ended(listening, fitted)
        return fitted


def _agree(recipe: Recipe, data: Data, key: int | PRNGKeyArray, *, resume: bool) -> None:
    """Refuse hosts with other data, options or keys than host 0, and what they cannot do together.

    Raises:
        InputError: see above; it names host and value.
    """
    told = {
        name.replace("_", " "): value for name, value in asked_options(recipe.to_dict()).items()
    }
    agree_on({"data (checksum)": data.checksum, "random key": f"{host_seed(as_key(key))}", **told})
    if resume and isinstance(recipe.inference, AbstractExact):
        raise InputError(
            "a fit by steps, to go on with on several hosts", "one by EM", "one host",
            where=option("hosts"),
        )  # fmt: skip


def _with_data(recipe: Recipe, data: Any) -> tuple[Recipe, Data]:
    """The data, and the recipe that says how they were loaded."""
    defaults = vars(DataOptions())
    given = {n: value for n, value in vars(recipe.data).items() if value != defaults[n]}
    if isinstance(data, Data):
        if given and recipe.data != data.options:
            raise InputError(
                "options of the data where they are loaded", f"{next(iter(given))} beside a Data",
                "taut.load_data(source, ...) with it", where="data",
            )  # fmt: skip
        return replace(recipe, data=data.options), data
    precise = recipe.training.precision == "float64" or isinstance(recipe.inference, AbstractExact)
    given.pop("source", None)
    if precise:
        given["dtype"] = "float64"
    if "split_seed" in given:
        given["seed"] = given.pop("split_seed")
    loaded = load_data(data, **given)
    return replace(recipe, data=loaded.options), loaded


def _told_once(key: int | PRNGKeyArray, named: Mapping[str, Any]) -> Any:
    """The key, which the command line and the recipe call `seed`, under whichever name it was given."""
    if "seed" not in named:
        return key
    seed = named["seed"]
    if not (isinstance(key, int) and key == 0):
        raise InputError("key or seed, which are one", "both", f"key={seed} alone", where="seed")
    return seed


def _present_names(options: Mapping[str, Any], bound: Any) -> dict[str, Any]:
    """Options under the names that they have now; a bound that is named has particles of its own."""
    found = dict(options)
    for old, new in _RENAMED.items():
        own = old == "num_particles" and isinstance(bound, str | type)
        if old in found and new not in found and not own:
            warnings.warn(f"{old} of taut.fit is called {new}", DeprecationWarning, stacklevel=3)
            found[new] = found.pop(old)
    if (phi := found.pop("wake_sleep", None)) is not None:
        warnings.warn(
            "wake_sleep of taut.fit is inference='wake-sleep', phi=...", DeprecationWarning,
            stacklevel=3,
        )  # fmt: skip
        found |= {"inference": "wake-sleep", "phi": phi}
    return found
