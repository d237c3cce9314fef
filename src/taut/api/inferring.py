"""`taut.infer`: the posterior of any log-joint or NumPyro program, with a verdict on it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import jax
from jaxtyping import PRNGKeyArray

from taut.core import FREE_CONSTANT, Estimate, as_key
from taut.fitted.posterior import Posterior
from taut.inference.posterior import GUIDES, PosteriorOptions, fit_posterior
from taut.inference.posterior.targets import program_of
from taut.models.program import AbstractProgram, NamedValues

__all__ = ["GUIDES", "infer"]


def infer(
    target: Callable | AbstractProgram,
    *,
    data: Mapping[str, Any] | None = None,
    support: Mapping[str, Any] | None = None,
    guide: str | None = None,
    precision_nats: float = 0.1,
    num_starts: int = 4,
    init: Literal["random", "pathfinder"] = "random",
    num_draws: int | None = None,
    subsample: Mapping[str, int] | None = None,
    key: int | PRNGKeyArray = 0,
    precision: Literal["float32", "float64"] = "float64",
) -> Posterior:
    """Fit q(z) to p(z | x) by maximising the ELBO, weigh its draws, and say whether to believe them.

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
        subsample: rows in a minibatch by name of a plate. The guide is then structured by that plate,
            and fitted by stochastic gradients; all rows are used to weigh its draws.
        key: whole number or random key; everything random follows from it.
        precision: of all arithmetic; gradients of log-densities that add up over many rows lose in
            float32 what a bound to a tenth of a nat needs.

    Returns:
        a `Posterior`.

    Raises:
        InputError: the program, its data or an option cannot be used.
        RunError: no start has a finite ELBO, or the ELBO rises without end.
    """
    options = PosteriorOptions(
        guide, precision_nats, num_starts, init, num_draws, subsample, precision
    )
    with jax.enable_x64(options.precision == "float64"):
        began = time.perf_counter()
        program, datum = program_of(target, data, support, options.subsample)
        reading = time.perf_counter() - began
        fit = fit_posterior(program, datum, options, key=as_key(key))
        draws, fitted = fit.draws, fit.candidate.fitted
        return Posterior(
            natural=fit.values, guide=fit.guide,
            family=fit.candidate.choice.family, layers=fit.candidate.choice.layers,
            estimates={
                "elbo": _known(draws.elbo, fit.values),
                "log_evidence": _known(draws.log_evidence, fit.values),
                "remaining_gain": fitted.remaining,
            },
            khat=draws.khat, guide_khat=draws.guide_khat, khat_threshold=draws.threshold,
            ess=draws.ess, raw=fit.raw, resampled=fit.resampled, verdict=fit.verdict,
            trace=fitted.rounds, starts=fit.candidate.starts, notes=fit.notes,
            seconds={"reading": reading, **fit.seconds},
            z=draws.z, num_guide=draws.num_guide, weights=draws.weights,
        )  # fmt: skip


def _known(estimate: Estimate, values: NamedValues) -> Estimate:
    """With a flag where another scale of some density of the program would shift the evidence."""
    if not values.model.has_free_constant(values.datum):
        return estimate
    return replace(estimate, flags=estimate.flags | {FREE_CONSTANT})
