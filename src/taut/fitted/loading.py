"""`taut.load`: a fit or a posterior from its run folder. Runs no code from the files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, overload

from taut.architectures import AbstractArchitecture
from taut.core import InputError
from taut.fitted.facts import FitFacts, read_facts
from taut.fitted.fit import Fit
from taut.fitted.posterior import Posterior
from taut.fitted.posterior_files import POSTERIOR
from taut.fitted.posterior_loading import load_posterior
from taut.fitted.predictor import load_predictor
from taut.models.program import AbstractProgram
from taut.program_cache import compilation_cache
from taut.recipe import recipe_from
from taut.runs import RunFolder, load_pair, read_structure, reading

__all__ = ["load", "load_fit"]


@overload
def load(path: Path | str, *, like: AbstractArchitecture | None = None) -> Fit: ...


@overload
def load(
    path: Path | str,
    *,
    like: Callable | AbstractProgram,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
) -> Posterior: ...


@compilation_cache()
def load(
    path: Path | str,
    *,
    like: AbstractArchitecture | Callable | AbstractProgram | None = None,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
) -> Fit | Posterior:
    """What a run folder holds.

    Arguments:
        path: run folder.
        like: of a fit, an architecture that holds the parts a user wrote; of a posterior, the program
            or log-joint that was fitted, which the folder only names.
        data: of a posterior, the program's data.
        support: of a posterior, the log-joint's supports.

    Returns:
        a `Fit`, without estimates where the run was stopped before it was measured, or the
        `Posterior` with its draws, weights and guide, whose `starts` is None.

    Raises:
        InputError: the folder is not a finished run, is damaged or newer, needs `like`, or holds
            something else than `like` is, such as the posterior of a program or data that were edited.
    """
    run = RunFolder.open(path)
    name = read_structure(run.path)["architecture"]["name"]
    if name == POSTERIOR:
        if like is None or isinstance(like, AbstractArchitecture):
            raise InputError(
                "a model of rows", "the posterior of a program",
                f"`taut show {run.path}`, or taut.load({str(path)!r}, like=PROGRAM, data=DATA)",
                where=str(run.path),
            )  # fmt: skip
        return load_posterior(run.path, like, data=data, support=support)
    if not (like is None or isinstance(like, AbstractArchitecture)) or data or support:
        raise InputError(
            "the posterior of a program, which takes `like=PROGRAM`, data and support",
            f"a fitted model, {name}", f"taut.load({str(path)!r})", where=str(run.path),
        )  # fmt: skip
    return load_fit(run, like=like)


def load_fit(
    run: RunFolder, *, like: AbstractArchitecture | None = None, whole: bool = True
) -> Fit:
    """The fit in a run folder.

    Arguments:
        run: the folder.
        like: as of `load`.
        whole: with the history and the per-row values, whose files only a look at these needs.

    Raises:
        InputError: as `load`.
    """
    pair, architecture, schema = load_pair(run.path, like=like)
    estimates, content = run.read_summary(measured=False, with_rows=whole)
    facts = read_facts(content, where=str(run.path / "summary.json"))
    config = run.path / "config.toml"
    with reading(config):
        recipe = recipe_from(run.read_config(), where=str(config), like=architecture, lenient=True)
    if not isinstance(facts, FitFacts):
        raise InputError(
            "the facts of a fit in summary.json", "those of a posterior", "a backup of the file",
            where=str(run.path),
        )  # fmt: skip
    return Fit(
        pair=pair,
        architecture=architecture,
        schema=schema,
        facts=facts,
        recipe=recipe,
        history=tuple(run.read_steps("bound")) if whole else (),
        estimates=estimates,
        precision=read_structure(run.path)["precision"],
        predictor=load_predictor(run.path),
    )
