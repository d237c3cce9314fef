"""`taut fit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from taut.cli.architecture import architecture
from taut.cli.gradient import bound_served, gradient
from taut.cli.options import FitOptions, merged, read_config
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.architectures import AbstractArchitecture
    from taut.bounds import AbstractBound
    from taut.data import Data

__all__ = ["fit", "run_fit"]


def fit(
    data: str | None = None,
    /,
    *,
    out: Path | None = None,
    config: Path | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    options: FitOptions | None = None,
) -> None:
    """Fit a model to data, measure it on held-out rows, and write a run folder.

    Parameters
    ----------
    data
        `digits` (bundled), `mnist:FOLDER`, a file (.npy, .npz, .mat, .csv, .tsv, .parquet), a folder
        of images, or `train,valid,test` files.
    out
        Run folder. [default: runs/DATA-MODEL-N]
    config
        TOML file of options, such as the config.toml of a run; options given here win.
    force
        Replace the run that is in --out.
    json
        Print the results as JSON on standard output.
    """
    from_file = read_config(config) if config else {}
    source = data or from_file.get("data")
    if source is None:
        raise InputError("DATA", "none", "`taut fit digits`", where="fit")
    given = merged(options, from_file)

    if out is not None:
        from taut.runs.run_folder import RunFolder

        RunFolder.check_free(out, force=force)

    run_fit(source, given, out, force=force, json=json)


def run_fit(
    source: str,
    given: FitOptions,
    out: Path | None,
    *,
    force: bool = False,
    resume: bool = False,
    json: bool = False,
) -> None:
    """Fit or go on fitting, draw the figures, print the results.

    Arguments:
        source: where the rows are.
        given: options.
        out: run folder; None for the next free one.
        force: replace a run that is there.
        resume: go on with it.
        json: print JSON.
    """
    import taut
    from taut.cli.output import finish_fit, training_display
    from taut.cli.passes import announce
    from taut.cli.rows import load_source
    from taut.runs.run_folder import next_run

    loaded = load_source(source, given)
    model, estimator = architecture(given), gradient(given)
    bound = _bound(given, model, len(loaded.train))
    announce(model, loaded.schema, estimator)
    folder = out or next_run("runs", f"{loaded.schema.name}-{model.name}")
    with training_display(quiet=json) as progress:
        fitted = taut.fit(
            loaded,
            model=model,
            bound=bound,
            gradient=estimator,
            validation_bound=_validation_bound(given.validation_particles),
            **_present(
                {
                    "wake_sleep": given.wake_sleep,
                    "learning_rate": given.learning_rate,
                    "learning_rate_schedule": given.learning_rate_schedule,
                    "warmup_steps": given.warmup_steps,
                    "ema": given.ema,
                    "clip_norm": given.clip_norm,
                    "epochs": given.epochs,
                    "batch_size": given.batch_size,
                    "validate_every": given.validate_every,
                    "patience": given.patience,
                    "num_particles": given.evidence_particles,
                    "precision": given.precision,
                    "key": given.seed,
                    "checkpoint_every": given.checkpoint_every,
                }
            ),
            out=folder,
            force=force,
            resume=resume,
            settings={
                "data": source,
                **given.given(),
                **_bound_chosen(given),
                **_streaming(loaded, given),
            },
            progress=progress,
        )
    finish_fit(fitted, loaded, folder, json=json)


def _streaming(loaded: "Data", given: FitOptions) -> dict[str, str]:
    """What became of --stream, so that the run's rows are found again on any machine."""
    if loaded.streamed:
        return {"stream": "yes"}
    return {} if given.stream is None else {"stream": "no"}


def _bound_chosen(given: FitOptions) -> dict[str, str]:
    """The bound that --gradient brings along, which the run is measured on later."""
    name = bound_served(given)
    return {} if given.bound is not None or name == "elbo" else {"bound": name}


def _bound(given: FitOptions, model: "AbstractArchitecture", num_rows: int) -> "AbstractBound":
    from taut.bounds import BOUNDS

    name = bound_served(given)
    batch = min(given.batch_size or 128, num_rows)
    warmup = None if given.kl_warmup is None else given.kl_warmup * (num_rows // batch)
    own = {
        "elbo": {
            "num_draws": model.default_draws
            if given.num_particles is None
            else given.num_particles,
            "kl": given.kl,
            "beta": given.beta,
            "warmup_steps": warmup,
            "free_bits": given.free_bits,
        },
        "iwae": {"num_particles": given.num_particles, "warmup_steps": warmup},
        "renyi": {"num_particles": given.num_particles, "alpha": given.alpha},
    }
    served = {
        "kl": ("elbo",),
        "beta": ("elbo",),
        "kl_warmup": ("elbo", "iwae"),
        "free_bits": ("elbo",),
        "alpha": ("renyi",),
    }
    for option, owners in served.items():
        if getattr(given, option) is not None and name not in owners:
            flag = option.replace("_", "-")
            raise InputError(
                f"--{flag} with --bound {' or '.join(owners)}",
                f"--bound {name}",
                f"leaving out --{flag}",
                where=flag,
            )
    return BOUNDS[name](**_present(own[name]))


def _validation_bound(num_particles: int | None) -> "AbstractBound | None":
    from taut.bounds import IWAE

    return None if num_particles is None else IWAE(num_particles=num_particles)


def _present(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
