"""What is known of a fit or a posterior beside its estimates, as numbers and types.

`summary.json` holds them as JSON, told apart by `kind`; `taut.report.words` puts them into words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from taut.core import InputError, Measure, option
from taut.fitted.old_facts import migrated
from taut.fitted.typed_json import from_json, to_json

__all__ = [
    "ChosenGradient",
    "CodesInUse",
    "EMFacts",
    "FitFacts",
    "HeldApart",
    "PosteriorFacts",
    "Refined",
    "RowCounts",
    "SelectionPoint",
    "StartCount",
    "read_facts",
]


@dataclass(frozen=True)
class RowCounts:
    """How many rows parameters were fitted to, chosen by, and are reported on."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class ChosenGradient:
    """A gradient estimator that was chosen for the user, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class CodesInUse:
    """How the test rows use the codes of a codebook.

    Attributes:
        codes: entries of the codebook, N.
        used: those that some row goes to.
        perplexity: exp of the entropy of their shares, between 1 and N.
        rows: how many were looked at.
    """

    codes: int
    used: int
    perplexity: float
    rows: int


@dataclass(frozen=True)
class HeldApart:
    """A component whose spread the floor decides: without it the density would have no bound.

    Attributes:
        component: its number; None for the noise of a factor model, or a covariance that is shared.
        row: number in its data set of the row that is most its own.
        rows: how many training rows it holds, the sum of its responsibilities.
        directions: in how many the floor decides; 0 where it was not counted.
    """

    component: int | None
    row: int
    rows: float = 1.0
    directions: int = 0


@dataclass(frozen=True)
class SelectionPoint:
    """One number of components among several.

    Attributes:
        components: the number.
        validation: log-evidence of the validation rows, exact; nats per row.
        validation_error: its standard error over rows.
        training: log-evidence of the training rows, or of a sample; nats per row.
        bic: -2 log p(x) + parameters log N of the training rows.
        free_parameters: as `bic` counts them.
    """

    components: int
    validation: float
    validation_error: float
    training: float
    bic: float
    free_parameters: int


@dataclass(frozen=True)
class EMFacts:
    """What EM adds.

    Attributes:
        components: of the mixture, or factors.
        free_parameters: as the information criterion counts them.
        bic: of the training rows; of online EM extrapolated from a sample.
        converged: whether what remained to be gained was below the tolerance; None for a closed form
            and online.
        starts: the objective that each of several starts reached, nats per row; empty for one start.
        held_apart: components whose spread the floor decides.
        start_rows: rows of the sample that online EM starts from; None for EM over all rows.
        chosen_by: `evidence` or `bic`; None where one number of components was fitted.
        selection: the curve that it was chosen from.
    """

    components: int
    free_parameters: int
    bic: float
    converged: bool | None = None
    starts: tuple[float, ...] = ()
    held_apart: tuple[HeldApart, ...] = ()
    start_rows: int | None = None
    chosen_by: str | None = None
    selection: tuple[SelectionPoint, ...] = ()


@dataclass(frozen=True)
class FitFacts:
    """What is known of a fit.

    Attributes:
        kind: as summary.json says.
        rows: of the data.
        steps: of the ascent; M-steps of EM, or batches of online EM.
        best_step: whose parameters were kept.
        training_seconds: wall time.
        evaluation_seconds: wall time of the numbers at the end.
        device: in words.
        versions: of what the numbers depend on, in words; empty where it was not kept.
        particles: draws per row of the reported evidence; None where nothing was drawn.
        evidence_method: what estimated the log-evidence, by its name; empty where it is in closed form,
            and of older runs.
        reasons: why a choice was made for the user, by its name.
        gradient: chosen for the user; None where it was named, or where none is taken.
        objective_departure: how what was climbed differs from the reported bound; empty if not.
        gradient_departure: how its gradient differs from the bound's; empty if not.
        code_use: of a vector-quantized model.
        em: of a model that EM fitted.
        checksum: of the data's rows, by which they are known again; empty where it was not kept.
        untargeted_checksum: of these rows without their target; empty where they have none, and of older
            runs.
        ended: how training ended: `early`, `rising`, `level`, `not finite` or `unknown`, as
            `taut.training.ending` has them; empty of EM and of older runs.
        grey_checksum: of rows in memory before zeros and ones were drawn of them; empty of others, and
            of older runs.
        measure: of the model's log-probabilities; None where it is not known.
        notes: what a reader should know.
        totals: quantiles of the totals of training rows at even steps from 0 to 1, of a model of counts
            that is given them; empty of others, and of older runs.
        refitted_from: the run whose model got another prior; empty of a model that was fitted as a
            whole, or whose run has no name.
    """

    kind: ClassVar[str] = "fit"

    rows: RowCounts
    steps: int
    best_step: int
    training_seconds: float
    evaluation_seconds: float
    device: str
    versions: str = ""
    particles: int | None = None
    evidence_method: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    gradient: ChosenGradient | None = None
    objective_departure: str = ""
    gradient_departure: str = ""
    code_use: CodesInUse | None = None
    em: EMFacts | None = None
    checksum: str = ""
    untargeted_checksum: str = ""
    grey_checksum: str = ""
    measure: Measure | None = None
    ended: str = ""
    notes: tuple[str, ...] = ()
    totals: tuple[float, ...] = ()
    refitted_from: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of them."""
        return {"kind": self.kind, **to_json(self)}


@dataclass(frozen=True)
class StartCount:
    """Starts of an ascent.

    Attributes:
        climbed: how many.
        winner: number of the one with the highest bound, from 0.
    """

    climbed: int
    winner: int


@dataclass(frozen=True)
class Refined:
    """Draws that tempered SMC moved from the guide to the posterior.

    Attributes:
        runs: independent ones, each with the same number of draws.
        chains: in a run.
        temperatures: from around the guide to the posterior.
        acceptance: mean of the transitions at the posterior.
        ancestors: share of the chains of the start that the last ones come from, smallest run.
    """

    runs: int
    chains: int
    temperatures: int
    acceptance: float
    ancestors: float


@dataclass(frozen=True)
class PosteriorFacts:
    """What is known of a posterior.

    Attributes:
        kind: as summary.json says.
        verdict: whether to believe it, in words.
        program: its name.
        family: of the guide.
        layers: of a flow; empty for other families.
        coordinates: scalar latents.
        khat: Pareto shape of the weights; NaN where none was fitted; of refined draws the largest of
            the steps of temperature.
        guide_khat: the same of the guide's own draws under its own density.
        khat_threshold: above it resampled draws are of no use.
        effective_draws: effective sample size of the weighted draws.
        num_draws: how many there are.
        steps: evaluations of the ascent; None where nothing was climbed.
        starts: None where there was one.
        seconds: wall time by stage.
        checksum: of the arrays of the data; empty where it was not kept.
        observed: how many probabilities and densities of which values the evidence is made of; empty
            where that is not known.
        notes: what a reader should know.
        refined: how draws were moved to the posterior; None where they are the guide's.
    """

    kind: ClassVar[str] = "posterior"

    verdict: str
    program: str
    family: str
    layers: str
    coordinates: int
    khat: float
    guide_khat: float
    khat_threshold: float
    effective_draws: float
    num_draws: int
    steps: int | None = None
    starts: StartCount | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    checksum: str = ""
    observed: str = ""
    notes: tuple[str, ...] = ()
    refined: Refined | None = None

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of them."""
        return {"kind": self.kind, **to_json(self)}


def read_facts(content: Mapping[str, Any], *, where: str) -> FitFacts | PosteriorFacts:
    """The inverse of `to_dict`, for `summary.json` of any age.

    Arguments:
        content: its object `facts`.
        where: the run folder, for the message.

    Raises:
        InputError: they are not what taut writes.
    """
    kinds = {c.kind: c for c in (FitFacts, PosteriorFacts)}
    try:
        known = dict(content) if "kind" in content else migrated(content)
        return from_json(kinds[known.pop("kind")], known)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            "the facts of a fit or a posterior in summary.json", f"{error}",
            f"a backup of the file, or fitting again with {option('force', True)}", where=where,
        ) from None  # fmt: skip
