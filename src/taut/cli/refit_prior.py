"""`taut refit-prior`."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.cli.whole import Whole

__all__ = ["refit_prior"]


def refit_prior(
    run: Path,
    /,
    *,
    prior: str = "mixture:10",
    out: Path | None = None,
    steps: Whole = 3000,
    learning_rate: float = 2e-3,
    num_particles: Whole = 500,
    seed: Whole = 0,
    force: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fit another prior to a finished VAE, and say what it gains on held-out rows.

    Encoder and decoder stay as they are: the prior is fitted to posteriors of the training rows, until
    validation rows gain no more. A prior of the kind and size that the run has is fitted on from
    where it is. Where validation rows gain nothing over the prior that was there, that one stays. The
    new run loads, samples and is evaluated like any other.

    Parameters
    ----------
    run
        Run folder of a VAE; it stays as it is.
    prior
        vamp:500, mixture:100, flow:affine-coupling:4, ...
    out
        Run folder. [default: RUN-PRIOR-N beside RUN]
    steps
        Steps of the ascent, at most.
    learning_rate
        Of Adam, at the start.
    num_particles
        Draws of z per row, for the gain in log-evidence.
    seed
        Random seed.
    force
        Replace the run that is in --out.
    json
        Print the results as JSON on standard output.
    """
    from taut.api.refitting import refit_prior as refitted
    from taut.cli.output import finish_fit, print_json, results, training_display
    from taut.cli.rows import open_run, own_data
    from taut.models import check_prior
    from taut.runs import RunFolder, claimed_next

    check_prior(prior)
    with ExitStack() as held:
        held.enter_context(RunFolder.for_writing(out, force=force))
        fitted = open_run(run)
        data = own_data(fitted)
        name = f"{run.resolve().name}-{prior.partition(':')[0]}"
        folder = out or held.enter_context(claimed_next(run.resolve().parent, name))
        with training_display(quiet=json) as progress:
            found = refitted(
                fitted, data, prior=prior, steps=steps, learning_rate=learning_rate,
                num_particles=num_particles, key=seed, out=folder, force=force, origin=str(run),
                progress=progress,
            )  # fmt: skip
        if json:
            gains = {name: e.to_dict() for name, e in found.gains.items()}
            facts = found.fit.facts.to_dict()
            content = {"run": str(folder), "from": str(run), "kept": found.kept, "gains": gains}
            print_json({**content, **results(found.fit.estimates), "facts": facts})
            return
        finish_fit(found.fit, data, folder, json=False)
        from rich.console import Console

        from taut.report import tables

        which = "" if found.kept else f" by {prior}, which is not kept"
        names = {"elbo": f"ELBO gained{which}", "log_evidence": f"log-evidence gained{which}"}
        tables.summary_table(Console(), {names[n]: e for n, e in found.gains.items()}, facts={})
