"""What an audit comes to: where the nats go, largest loss first, and what to try against each.

A loss is told where it is above two of its errors and above a tenth of a nat. What is wrong whatever it
costs comes before the losses: an ELBO above the log-evidence, an objective that was no ELBO, latents
that say nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from taut.audit.gaps import Gaps
from taut.audit.holes import Holes
from taut.audit.latents import LatentUse
from taut.audit.remedies import (
    Choices,
    another_prior,
    fewer_latents,
    richer_guide,
    smaller_gap,
    used_latents,
    within_encoder,
)
from taut.core import Estimate, option

__all__ = ["Finding", "Trial", "findings"]

_LEAST = 0.1  # nats
_ERRORS = 2.0
_IMPOSSIBLE = 5.0  # errors


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found.

    Attributes:
        name: `constants`, `densities`, `objective`, `collapse`, `amortization`, `approximation`,
            `generalization`, `prior`, `undivided` or `idle latents`.
        says: what, in words.
        remedy: what to try; options in it are data, see `taut.errors.worded`.
        loss: the number behind it, nats per row; None where it is no loss in nats.
    """

    name: str
    says: str
    remedy: str
    loss: Estimate | None = None


@dataclass(frozen=True)
class Trial:
    """What a remedy gained where it was tried.

    Attributes:
        name: of the finding that suggests it.
        what: what was tried, in words.
        gains: new minus old on the same held-out rows, paired by row, nats: `log_evidence`, and `elbo`
            where the remedy is one for it; empty where `why` says why it could not be tried.
        why: as above; empty where it was tried.
        seconds: that it took.
    """

    name: str
    what: str
    gains: Mapping[str, Estimate]
    why: str
    seconds: float


def findings(
    train: Gaps,
    held_out: Gaps,
    use: LatentUse,
    prior: Holes | None,
    *,
    had: Choices,
    excess: Estimate | None = None,
) -> tuple[Finding, ...]:
    """Everything worth telling, the most important first.

    Arguments:
        train: gaps of training rows.
        held_out: of held-out rows.
        use: of the latents by training rows.
        prior: how it differs from the posteriors of held-out rows; None where it was not looked at.
        had: what the fit was asked for, by which remedies are worded.
        excess: of the density over that which rows are drawn from (`constants`); None where unknown.
    """
    losses = [f for f in _losses(train, held_out, prior, had) if _counts(f.loss)]
    losses.sort(key=lambda f: -f.loss.value if f.loss else 0.0)
    return (*_unsound(excess), *_wrong(held_out, use, had), *losses, *_idle(use, had))


def _unsound(excess: Estimate | None) -> Iterator[Finding]:
    if excess is not None and not abs(excess.value) <= _IMPOSSIBLE * excess.mc_error + _LEAST:
        yield Finding(
            "constants",
            "log p(x | z) of rows that the model draws is, on average, not the negative entropy of what "
            f"they are drawn from but {excess.value:+.3g} nats from it: a constant of the density is "
            "missing, or it is another one, and log-evidence and ELBO are as far off",
            "the log-density of the distribution that rows are drawn from, every constant kept",
            excess,
        )


def _wrong(held_out: Gaps, use: LatentUse, had: Choices) -> Iterator[Finding]:
    error = held_out.total.mc_error
    if held_out.total.value < -_IMPOSSIBLE * error - _LEAST and math.isfinite(error):
        yield Finding(
            "densities",
            f"the ELBO is {-held_out.total.value:.3g} nats above the log-evidence, which cannot be: "
            "log q is missing, or is not the density that the draws come from",
            "a guide whose density and draws are of one distribution",
            held_out.total,
        )
    if had.beta != 1:
        yield Finding(
            "objective",
            f"training weighed the KL by {had.beta:g}, so that it raised no ELBO; the audit is at 1",
            option("beta", 1),
        )
    if use.collapsed:
        yield Finding(
            "collapse",
            f"the latents say next to nothing of x: {use.num_active} of {len(use.moved)} dimensions "
            f"are active, with a KL of {use.kl.value:.2g} nats; small gaps then mean little",
            used_latents(had),
        )


def _losses(train: Gaps, held_out: Gaps, prior: Holes | None, had: Choices) -> Iterator[Finding]:
    if held_out.amortization is None or held_out.approximation is None:
        yield Finding(
            "undivided",
            "log-evidence less ELBO, of guide and encoder together",
            smaller_gap(had),
            held_out.total,
        )
    else:
        yield Finding(
            "amortization",
            "the encoder names worse posteriors than its family has",
            within_encoder(had),
            held_out.amortization,
        )
        yield Finding(
            "approximation",
            "the best posterior of the guide's family is not the true one",
            richer_guide(had),
            held_out.approximation,
        )
    yield Finding(
        "generalization",
        "the ELBO of held-out rows is further below their log-evidence than that of training rows",
        f"fewer {option('epochs')}, a smaller encoder, or more rows",
        _difference(held_out.total, train.total),
    )
    if prior is not None:
        yield Finding(
            "prior",
            "the prior is not where the posteriors are: their average, as the prior, gains on held-out "
            "rows",
            another_prior(had),
            prior.gain,
        )


def _idle(use: LatentUse, had: Choices) -> Iterator[Finding]:
    idle = len(use.moved) - use.num_active
    if idle and not use.collapsed:
        yield Finding(
            "idle latents",
            f"{idle} of {len(use.moved)} latent dimensions are the same for all rows",
            fewer_latents(had, use),
        )


def _counts(loss: Estimate | None) -> bool:
    if loss is None or not math.isfinite(loss.value):
        return False
    errors = (loss.mc_error, loss.data_error)
    error = math.hypot(*(e for e in errors if math.isfinite(e)), 0.0)
    return loss.value > max(_LEAST, _ERRORS * error)


def _difference(first: Estimate, second: Estimate) -> Estimate:
    """Of means over different rows, whose errors are independent."""
    return Estimate(
        first.value - second.value,
        "none",
        mc_error=math.hypot(first.mc_error, second.mc_error),
        data_error=math.hypot(first.data_error, second.data_error),
        count=min(first.count, second.count),
        flags=(first.flags | second.flags) & {"unreliable"},
    )
