"""The audit of a fit: where its ELBO loses nats, with sides and errors, and what to try.

    gaps       log p(x) - ELBO = amortization gap + approximation gap, of training and held-out rows
    surgery    ELBO = reconstruction - I_q[x, z] - KL(q_agg to p), q_agg of the training rows
    latents    active dimensions, overlap of posteriors, holes of the prior
    findings   the losses in their order

Everything is at beta = 1, whatever the training weighed the KL by.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.audit.constants import density_excess
from taut.audit.drawn_latents import check_has_density
from taut.audit.findings import Finding, Trial, findings
from taut.audit.gaps import Gaps, audited_evidence, gaps
from taut.audit.holes import Holes, holes
from taut.audit.latents import LatentUse, latent_use
from taut.audit.overlap import Overlap, overlap
from taut.audit.remedies import Choices, number_of_latents
from taut.audit.surgery import Surgery, surgery
from taut.core import AbstractPair, Datum, InputError, check_count, num_rows, option
from taut.core.json_numbers import number_or_word
from taut.errors import Door, worded
from taut.evidence import Evidence
from taut.evidence.bounded import bounded_or_not
from taut.fitted import Fit
from taut.fitted.row_totals import median_total
from taut.guides import ExactPosterior, QuantizedPair

__all__ = ["Audit", "audit_fit"]

_MOST_DENSITIES = 2**35  # of latent dimensions, draws and components: a minute of one core
_DRAWS = 8  # of each row, for the surgery
_UNCHECKED = (
    "whether log p(x | z) keeps its constants is not checked: no entropy is known of what rows are "
    "drawn from, or they are judged given their own totals"
)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        train: gaps of training rows.
        held_out: gaps of held-out rows.
        evidence: of the held-out rows, with the reliability of each.
        method: what estimated it.
        surgery: of training rows.
        use: of the latents.
        overlap: of the posteriors.
        holes: of the prior; None where `without_holes` says why.
        findings: what it comes to, the most important first.
        notes: what a reader should know, a sentence each.
        without_holes: why holes were not looked for; empty where they were.
        trials: what remedies gained, where they were tried.
    """

    train: Gaps
    held_out: Gaps
    evidence: Evidence
    method: str
    surgery: Surgery
    use: LatentUse
    overlap: Overlap
    holes: Holes | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    without_holes: str = ""
    trials: tuple[Trial, ...] = ()

    def to_dict(self, *, door: Door = "Python") -> dict[str, Any]:
        """What JSON holds of it, remedies in the words of a door."""
        split, use, shared = self.surgery, self.use, self.overlap
        return {
            "findings": [
                {
                    "name": f.name,
                    "says": f.says,
                    "try": worded(f.remedy, door),
                    "loss": f.loss and f.loss.to_dict(),
                }
                for f in self.findings
            ],
            "tried": [
                {
                    "finding": trial.name,
                    "what": trial.what,
                    "gains": {name: gain.to_dict() for name, gain in trial.gains.items()},
                    "why_not": trial.why,
                }
                for trial in self.trials
            ],
            "gaps": {"training": _gaps_dict(self.train), "held_out": _gaps_dict(self.held_out)},
            "surgery": {
                "elbo": split.elbo.to_dict(),
                "reconstruction": split.reconstruction.to_dict(),
                "mutual_information": split.mutual_information.to_dict(),
                "mutual_information_upper": split.mutual_information_upper.to_dict(),
                "marginal_kl": split.marginal_kl.to_dict(),
                "marginal_kl_lower": split.marginal_kl_lower.to_dict(),
                "log_n": split.ceiling,
                "set_by_rows": split.set_by_rows,
                "components": split.num_components,
                "total_correlation": split.total_correlation and split.total_correlation.to_dict(),
                "dimension_kls": split.dimension_kls and [k.to_dict() for k in split.dimension_kls],
            },
            "latents": {
                "dimensions": len(use.moved),
                "active": use.num_active,
                "active_by": "more than 1 % of the dimension's variance is that of its mean over rows",
                "with_kl": use.num_with_kl,
                "moved": use.moved.tolist(),
                "kl": use.kl.to_dict(),
                "kls": [k.to_dict() for k in use.kls],
                "collapsed": use.collapsed,
            },
            "overlap": {
                "effective_rows": shared.effective_rows.to_dict(),
                "larger_elsewhere": shared.larger_elsewhere.to_dict(),
                "nearest": [n._asdict() for n in shared.nearest()],
            },
            "holes": None if self.holes is None else {
                "share": self.holes.share.to_dict(),
                "threshold": self.holes.threshold,
                "two_sample": self.holes.two_sample._asdict(),
                "gain_of_aggregated_posterior": self.holes.gain.to_dict(),
            },
            "reliability": {
                "method": self.method,
                "khat_threshold": self.evidence.khat_threshold,
                "share_above": self.evidence.share_unreliable,
                "ess_median": (
                    None if self.evidence.ess is None
                    else number_or_word(float(np.median(self.evidence.ess)))
                ),
                "worst_rows": [
                    {"row": row, "khat": number_or_word(float(khat))}
                    for row, khat in self.evidence.worst_rows()
                ],
            },
            "notes": [*self.notes, *([self.without_holes] if self.without_holes else [])],
        }  # fmt: skip


class _Part(NamedTuple):
    """What was measured of the rows of one part.

    Attributes:
        evidence: their log-evidence.
        method: by which it was estimated.
        gaps: what the ELBO loses of it.
    """

    evidence: Evidence
    method: str
    gaps: Gaps


def audit_fit(
    fit: Fit,
    train: Datum,
    held_out: Datum,
    *,
    key: PRNGKeyArray,
    num_rows_each: int = 500,
    num_particles: int = 1000,
) -> Audit:
    """Audit a fit.

    Arguments:
        fit: with a guide that draws z at random.
        train: its training rows, batched.
        held_out: rows that it has not seen.
        key: random key.
        num_rows_each: rows of each kind that are looked at one by one, at random.
        num_particles: draws of each, for the log-evidence.

    Raises:
        InputError: a model that has no gap, or latents without a density; fewer than two rows of a kind,
            or fewer training rows than latents.
    """
    _check(fit, train, held_out, num_rows_each)
    keys = jax.random.split(key, 9)
    constant_key = jax.random.fold_in(key, 9)
    looked = {
        "train": _some(train, num_rows_each, keys[0]),
        "held_out": _some(held_out, num_rows_each, keys[1]),
    }
    serves = fit.recipe.inference.claims.serves_unseen
    pairs: dict[str, AbstractPair] = {"train": fit.pair, "held_out": fit.pair}
    if not serves:
        pairs["held_out"], _ = fit.serving(looked["held_out"], keys[2])
    check_has_density(*fit.pair.bind(), looked["train"])

    use = latent_use(fit.pair, looked["train"], key=keys[3])
    _check_dimensions(fit, num_rows(train), use.size)
    components = _fitting(num_rows(train), num_rows_each * _DRAWS * use.size)
    split = surgery(
        fit.pair, train, key=keys[4], num_drawn=num_rows_each, num_components=components,
        num_draws=_DRAWS,
    )  # fmt: skip
    train_part, held_out_part = (
        _measured(fit, pairs[part], rows, key=part_key, num_particles=num_particles)
        for (part, rows), part_key in zip(looked.items(), keys[5:7], strict=True)
    )
    prior, why = _holes(fit, train, looked["held_out"], components, keys[7:], serves=serves)
    excess = density_excess(fit.model, looked["train"], key=constant_key)
    return Audit(
        train=train_part.gaps, held_out=held_out_part.gaps,
        evidence=held_out_part.evidence, method=held_out_part.method,
        surgery=split, use=use, overlap=overlap(split), holes=prior, without_holes=why,
        findings=findings(
            train_part.gaps, held_out_part.gaps, use, prior,
            had=Choices.of(fit.architecture, fit.recipe), excess=excess,
        ),
        notes=(
            *_notes(split, train_part, held_out_part, num_rows(train)),
            *(() if excess is not None else (_UNCHECKED,)),
        ),
    )  # fmt: skip


def _gaps_dict(found: Gaps) -> dict[str, Any]:
    names = ("elbo", "log_evidence", "total", "amortization", "approximation")
    content = {n: e and e.to_dict() for n in names for e in [getattr(found, n)]}
    not_converged = 0 if found.converged is None else int((~found.converged).sum())
    return {**content, "not_converged": not_converged, "undivided": found.undivided}


def _check(fit: Fit, train: Datum, held_out: Datum, num_rows_each: int) -> None:
    if isinstance(fit.guide, ExactPosterior):
        raise InputError(
            "a model whose posterior is approximated",
            f"{fit.architecture.name}, whose posterior is exact: its ELBO is the log-evidence, and "
            "nothing is lost", "its log-evidence by `taut evaluate`", where="audit",
        )  # fmt: skip
    if isinstance(fit.pair, QuantizedPair):
        raise InputError(
            "a guide that draws z at random, as an ELBO has parts only then",
            "a vector-quantized model, which gives each row one sequence of codes",
            "its ELBO and the codes in use by `taut show`", where="audit",
        )  # fmt: skip
    wish = "at least two rows, between which z can tell"
    check_count(num_rows_each, wish, "500", where=option("rows"), least=2)
    for rows, name in ((train, "training"), (held_out, "held-out")):
        if num_rows(rows) < 2:
            raise InputError(
                f"at least two {name} rows", f"{num_rows(rows)}",
                "a split with some of each, or the rows themselves", where="audit",
            )  # fmt: skip


def _check_dimensions(fit: Fit, num_train: int, size: int) -> None:
    if num_train < size:
        raise InputError(
            "at least as many training rows as latent dimensions, for an average of posteriors",
            f"{num_train} rows and {size} dimensions",
            f"more rows, or fewer latents, {number_of_latents(fit.architecture)}", where="audit",
        )  # fmt: skip


def _measured(
    fit: Fit, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray, num_particles: int
) -> _Part:
    """The evidence of rows and what the bound loses of it."""
    evidence_key, gap_key = jax.random.split(key)
    evidence, method = audited_evidence(pair, rows, key=evidence_key, num_particles=num_particles)
    evidence = bounded_or_not(evidence, fit.model, fit.schema)
    return _Part(evidence, method, gaps(pair, rows, evidence, key=gap_key))


def _fitting(total: int, each: int) -> int | None:
    """Components that can all be evaluated; None where they are all of them."""
    most = max(2, _MOST_DENSITIES // each)
    return None if total <= most else most


def _holes(
    fit: Fit, train: Datum, rows: Datum, components: int | None, keys: Any, *, serves: bool
) -> tuple[Holes | None, str]:
    if not serves:
        return None, "each row has parameters of its own, so that new rows have no common guide"
    if components is not None:
        train = _some(train, components, keys[0])
    try:
        return holes(fit.pair, train, rows, key=keys[1], total=median_total(fit)), ""
    except InputError as error:
        _, got, _ = error.parts
        return None, f"the prior is that of {got}, which cannot be drawn from"


def _notes(split: Surgery, train: _Part, held_out: _Part, total: int) -> list[str]:
    notes, evidence = [], held_out.evidence
    if split.set_by_rows:
        notes.append(
            f"mutual information is within half a nat of log N = {split.ceiling:.2f}, its most: how the "
            "KL splits is set by the number of rows, and the marginal KL is no loss of the prior"
        )
    if split.mutual_information.side == "lower":
        notes.append(
            f"{split.num_components} of {total} training rows stand for the aggregated posterior: each "
            "part is given by a lower and an upper end"
        )
    if "unreliable" in evidence.log_evidence.flags:
        notes.append(
            f"{100 * evidence.share_unreliable:.0f} % of held-out rows have a k-hat above "
            f"{evidence.khat_threshold:.2f}: their log-evidence, and with it the approximation gap, may "
            "be larger"
        )
    for name, gap in (("training", train.gaps), ("held-out", held_out.gaps)):
        if gap.converged is not None and not gap.converged.all():
            notes.append(
                f"the search for the best posterior did not converge for {int((~gap.converged).sum())} "
                f"of {gap.converged.size} {name} rows: their amortization gap may be larger"
            )
    return notes


def _some(rows: Datum, number: int, key: PRNGKeyArray) -> Datum:
    """A random part of the rows, in their order."""
    chosen = np.sort(np.asarray(jax.random.permutation(key, num_rows(rows)))[:number])
    index = np.arange(num_rows(rows)) if rows.index is None else rows.index
    known = Datum(rows.x, rows.mask, None, index, rows.weight)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], known)
