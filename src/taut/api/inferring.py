"""`taut.infer`: the posterior of any log-joint or NumPyro program, with a verdict on it."""

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import PRNGKeyArray

from taut.core import FREE_CONSTANT, Datum, Estimate, InputError, as_key, host_seed, option
from taut.core.devices import Devices, over_devices
from taut.core.hosts import agree_on, num_hosts, over_hosts, writes
from taut.core.memory import within_memory
from taut.data.checksum import checksum_of_arrays
from taut.fitted.facts import Refined
from taut.fitted.posterior import Posterior
from taut.fitted.posterior_files import write_posterior
from taut.inference.posterior import GUIDES, PosteriorOptions, fit_posterior, settled_options
from taut.inference.posterior.posterior_fit import PosteriorFit
from taut.inference.posterior.refinement import Refinement
from taut.inference.posterior.targets import program_of
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models.program import (
    AbstractProgram,
    NumPyroProgram,
    log_joints,
    refuse_another,
)
from taut.program_cache import compilation_cache
from taut.recipe import ProgramRecipe
from taut.runs import KeptStages, RunFolder, StagesByFirst
from taut.training.interrupts import deferred_interrupt
from taut.training.paying import filled_up
from taut.training.resuming import RESUMED, begun_run, discarded

__all__ = ["GUIDES", "LOST", "infer", "infer_recipe", "refuse_unshared", "source_of"]

LOST = "`taut resume RUN PROGRAM` with any number of hosts"  # what goes on where a host was lost


@compilation_cache()
def infer(
    target: Callable | AbstractProgram,
    *,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
    guide: str | None = None,
    precision_nats: float | int = 0.1,
    num_starts: int = 4,
    init: Literal["random", "pathfinder"] = "random",
    num_draws: int | None = None,
    refine: Literal["auto", "none", "smc"] = "auto",
    subsample: Mapping[str, int] | None = None,
    key: int | PRNGKeyArray = 0,
    precision: Literal["float32", "float64"] = "float64",
    out: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
    devices: Devices = None,
    hosts: str | None = None,
    host_index: int | None = None,
    host_count: int | None = None,
) -> Posterior:
    """Fit q(z) to p(z | x) by maximising the ELBO, weigh its draws, go on by tempered SMC where they do
    not suffice, and say whether to believe what was found.

    Arguments:
        target: a NumPyro program; with `support`, a log-joint of named parameters; or a program that
            was read already.
        data: its arrays and settings by name.
        support: for each parameter of a log-joint its support, and its shape.
        guide: one of `GUIDES`, a low-rank one with its rank where wished (`low-rank:4`), or layers of a
            flow (`spline-coupling:4`, `planar:8`); None for full-rank up to 150 latent coordinates,
            else low-rank. A flow starts from that default, and the better of the two is kept.
        precision_nats: optimization stops when the estimated remaining gain in the ELBO, with its
            standard error, is below.
        num_starts: starting points; the one with the highest ELBO is continued.
        init: where they lie: `random`, or `pathfinder` near the bulk (Zhang et al. 2022).
        num_draws: weighted draws for the evidence, k-hat and moments; None for 10 000, fewer where
            the data are many.
        refine: `smc` moves draws from around the guide to the posterior by tempered sequential Monte
            Carlo, and draws, evidence and verdict are then about these; `auto` where the guide's own
            are not to be believed; `none` never. Unless `none`, latents whose scale moves with others
            are tried first as location and scale times standard numbers (non-centred).
        subsample: rows in a minibatch by name of a plate. The guide is then structured by that plate,
            and fitted by stochastic gradients; all rows are used to weigh its draws.
        key: whole number or random key; everything random follows from it.
        precision: of all arithmetic; gradients of log-densities that add up over many rows lose in
            float32 what a bound to a tenth of a nat needs.
        out: run folder to write while fitting; None writes nothing.
        force: replace a run that is there.
        resume: go on with the run in `out` where it was stopped, with the same program, data and
            options.
        devices: how many share the rows of a minibatch (`subsample`), or "all"; None for one, or those
            of an enclosing `taut.over_devices`.
        hosts: HOST:PORT of host 0 where several hosts share the rows of a minibatch, each of which calls
            this with the same arguments; `auto` under SLURM, Kubernetes or MPI. Host 0 alone writes
            `out`.
        host_index: the number of this host, from 0.
        host_count: of all hosts.

    Returns:
        a `Posterior`.

    Raises:
        InputError: the program, its data or an option cannot be used.
        RunError: no start has a finite ELBO, the ELBO rises without end, the disk does not take what is
            to be kept, or a host was lost.
        KeyboardInterrupt: Ctrl-C; a run folder holds every climb that has ended.
    """
    nats = float(precision_nats) if type(precision_nats) is int else precision_nats
    options = PosteriorOptions(
        guide, nats, num_starts, init, num_draws, refine, subsample, precision
    )
    seed = int(key) if isinstance(key, int | np.integer) else None
    if hosts is not None:
        refuse_unshared(options)
    met = over_hosts(hosts, host_index=host_index, host_count=host_count, remedy=LOST)
    with met, over_devices(devices):
        return infer_recipe(
            target, ProgramRecipe(posterior=options, seed=seed),
            data=data, support=support, key=key, out=out, force=force, resume=resume,
        )  # fmt: skip


def infer_recipe(
    target: Callable | AbstractProgram,
    recipe: ProgramRecipe,
    *,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
    key: int | PRNGKeyArray = 0,
    out: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
) -> Posterior:
    """The posterior that a recipe asks for; arguments and errors as of `infer`.

    Arguments:
        recipe: what config.toml holds; the program and data that it names are not read.
    """
    options, several = recipe.posterior, num_hosts() > 1
    if several:
        refuse_unshared(options)
    if not writes():
        out, force, resume = None, False, False
    with (
        RunFolder.for_writing(out, force=force, resume=resume),
        jax.enable_x64(options.precision == "float64"),
    ):
        began = time.perf_counter()
        program, datum = program_of(target, data, support, options.subsample)
        reading = time.perf_counter() - began
        settings = recipe.to_dict()
        if several:
            _agree(_asked(settings, target, program, datum, key))
        if resume and out is not None:
            settings = _as_begun(recipe, RunFolder.to_resume(out), program, datum, key)
        run = begun_run(out, settings, force=force, resume=resume, moving=["program"])
        stages = UNKEPT
        if run is not None:
            stages = _stages(run, _asked(settings, target, program, datum, key))
        if several:
            stages = StagesByFirst(stages, deferred=deferred_interrupt)
        with discarded(None if resume else run):
            if run is not None or several:
                _refuse_another(program, datum, stages, run)
            with within_memory(num_draws=options.num_draws):
                found = fit_posterior(program, datum, options, key=as_key(key), stages=stages)
            resumed = (*stages.notes, RESUMED) if resume else ()
            posterior = _posterior(found, reading, (*resumed, *_shared(program)))
            if run is not None:
                write_posterior(posterior, run)
                run.drop_checkpoints()
    return posterior


def refuse_unshared(options: PosteriorOptions) -> None:
    """Refuse several hosts that have no rows to share.

    Raises:
        InputError: no plate is subsampled.
    """
    if not options.subsample:
        raise InputError(
            f"{option('subsample')} beside {option('hosts')}, as hosts share the rows of a minibatch",
            "none", f"{option('subsample', {'rows': 1000})}, or leaving out {option('hosts')}",
            where=option("hosts"),
        )  # fmt: skip


def _as_begun(
    recipe: ProgramRecipe,
    run: RunFolder,
    program: AbstractProgram,
    datum: Datum,
    key: int | PRNGKeyArray,
) -> dict[str, Any]:
    """What config.toml holds of the recipe, in the words of the run that goes on where both ask for the
    same: what that run keeps is of them, to the last digit that an earlier version wrote."""
    content = run.read_config()
    if "posterior" not in content:
        return recipe.to_dict()
    began = ProgramRecipe.from_dict(content, where=str(run.path / "config.toml"))
    if "seed" not in content:  # of a random key, which the stages know
        recipe = replace(recipe, seed=None)
    elif recipe.seed is None and _same_key(began.seed, key):
        recipe = replace(recipe, seed=began.seed)
    before, now = (settled_options(r.posterior, program, datum) for r in (began, recipe))
    settings = recipe.to_dict()
    return settings | {"posterior": content["posterior"]} if before == now else settings


def _same_key(seed: int | None, key: int | PRNGKeyArray) -> bool:
    return seed is not None and host_seed(as_key(seed)) == host_seed(as_key(key))


def _asked(
    settings: Mapping[str, Any],
    target: Callable | AbstractProgram,
    program: AbstractProgram,
    datum: Datum,
    key: int | PRNGKeyArray,
) -> dict[str, Any]:
    """What a posterior follows from, by name."""
    arrays = {keystr(place): leaf for place, leaf in tree_flatten_with_path(datum)[0]}
    return {
        "posterior": settings["posterior"], "key": host_seed(as_key(key)),
        "sites": [repr(site) for site in program.sites], "source": source_of(target),
        "data": checksum_of_arrays(arrays, exact=True),
    }  # fmt: skip


def _agree(asked: Mapping[str, Any]) -> None:
    """Refuse hosts with another program, other data, options or keys than host 0.

    Raises:
        InputError: see above; it names host and value.
    """
    told = {name.replace("_", " "): f"{value}" for name, value in asked["posterior"].items()}
    program = _digest([asked["sites"], asked["source"]])
    told |= {"program (checksum)": program, "data (checksum)": asked["data"]}
    agree_on(told | {"random key": f"{asked['key']}"})


def _stages(run: RunFolder, asked: Mapping[str, Any]) -> KeptStages:
    """What a run folder keeps: every climb that has ended, so that an interrupt may come at any time."""
    return KeptStages(run.checkpoints, fingerprint=_digest(asked), stop=lambda: False)


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _refuse_another(
    program: AbstractProgram, datum: Datum, stages: AbstractStages, run: RunFolder | None
) -> None:
    """Go on with the program that the run, or host 0, began with; its log-joints are the first stage.

    Raises:
        InputError: a program of the same lines that reads something else.
    """
    whole = program.all_rows() if isinstance(program, NumPyroProgram) else program
    found = log_joints(
        whole, datum, np.asarray(jax.random.normal(jax.random.key(0), (4, whole.dim)))
    )
    kept = stages.once(found, lambda: found)
    wish, where = "the program and data of host 0", "hosts"
    if run is not None:
        wish, where = "the program and data that the run began with", str(run.path)
    refuse_another(found, kept, wish=wish, where=where)


def source_of(target: Callable | AbstractProgram) -> str:
    """The lines of a function, which someone may change before going on; empty where there are none."""
    try:
        return inspect.getsource(target)  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError):
        return ""


def _posterior(found: PosteriorFit, reading: float, notes: tuple[str, ...]) -> Posterior:
    """What is reported of a fit."""
    draws, fitted = found.draws, found.candidate.fitted
    constant_known = not found.values.model.has_free_constant(found.values.datum)
    return Posterior(
        natural=found.values, guide=found.guide,
        family=found.candidate.choice.family, layers=found.candidate.choice.layers,
        estimates={
            "elbo": _flagged(draws.elbo, constant_known),
            "log_evidence": _flagged(draws.log_evidence, constant_known),
            "remaining_gain": fitted.remaining,
        },
        khat=draws.khat, guide_khat=draws.guide_khat, khat_threshold=draws.threshold,
        ess=draws.ess, raw=found.raw, resampled=found.resampled, verdict=found.verdict,
        trace=fitted.rounds, starts=found.candidate.starts, notes=(*notes, *found.notes),
        seconds={"reading": reading, **found.seconds},
        z=draws.z, num_guide=draws.num_guide, weights=draws.weights, refined=_how(found.refinement),
    )  # fmt: skip


def _shared(program: AbstractProgram) -> tuple[str, ...]:
    """Notes on the devices and hosts that share the rows of a minibatch."""
    if not (isinstance(program, NumPyroProgram) and program.subsampled):
        return ()
    assert program.reading.plate is not None  # which is subsampled
    notes = filled_up(program.reading.plate.batch_size)
    if num_hosts() > 1 and program.num_locals:
        notes += (
            "each row has latents of its own, of which hosts send each other sums several times a step: "
            "more than one host does not pay here",
        )
    return notes


def _how(refinement: Refinement | None) -> Refined | None:
    """How draws were refined."""
    if refinement is None:
        return None
    draws = refinement.draws
    return Refined(
        runs=len(draws.log_evidence), chains=refinement.chains, temperatures=draws.temperatures,
        acceptance=draws.acceptance, ancestors=draws.ancestors,
    )  # fmt: skip


def _flagged(estimate: Estimate, constant_known: bool) -> Estimate:
    """With a flag where another scale of some density of the program would shift the evidence."""
    if constant_known:
        return estimate
    return replace(estimate, flags=estimate.flags | {FREE_CONSTANT})
