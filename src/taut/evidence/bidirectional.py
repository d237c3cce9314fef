"""Bidirectional Monte Carlo: a lower and an upper end for rows simulated from the model.

    lower   log mean_k w_k,             forward chains                  E <= log p(x)
    upper   -log mean_k (1 / w'_k),     backward chains that begin at the z which made x, a draw of
                                        p(z | x)                        E >= log p(x)

with the same frozen kernels (`chains`). Rows of a data set come without such a draw, and their upper end
is calibrated instead: the gap that the same method shows on simulated rows is added to what it found,

    upper = lower + 1.96 errors + upper 95 % limit of the mean gap

whose own error is that of the lower end and of the mean gap together. It is no bound: it holds as far as
the rows are no harder than those that the model makes. Where they are, by the variance of their
log-weights, their k-hats or the acceptance of their transitions (Kolmogorov-Smirnov tests, each
one-sided at 0.01), the end is withheld.

Sources: Grosse, Ghahramani and Adams, Sandwiching the marginal likelihood using bidirectional Monte
Carlo (2015); Grosse, Ancha and Roy, Measuring the reliability of MCMC inference with bidirectional Monte
Carlo (NeurIPS 2016), section 3, for simulated in place of real data.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy.special import stdtrit

from taut.core import CALIBRATED, AbstractPair, Datum, InputError
from taut.evidence.annealed import Annealed, refuse_start, sandwich
from taut.evidence.importance import Evidence
from taut.evidence.simulated import Simulated, simulated
from taut.evidence.tempered import AbstractTempered

__all__ = ["Bidirectional", "calibrated"]

_LEVEL = 0.01  # of each of three tests: an end is withheld by chance 3 times in 100 at most
_SIMULATED_ROWS = 100


@dataclass(frozen=True)
class Bidirectional(AbstractTempered):
    """Annealed importance sampling with an upper end calibrated on simulated rows.

    Attributes:
        num_simulated: rows that are simulated.
    """

    name: ClassVar[str] = "bidirectional"

    num_simulated: int = _SIMULATED_ROWS

    def __post_init__(self):
        super().__post_init__()
        if self.num_simulated < 10:
            raise InputError(
                "at least 10 rows, which a limit of their mean gap needs", f"{self.num_simulated}",
                f"{_SIMULATED_ROWS}", where="num_simulated",
            )  # fmt: skip

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        row_key, simulation_key, simulated_key = jax.random.split(key, 3)
        model, guide = pair.bind()
        refuse_start(model, guide, rows, self)
        made = simulated(
            model, rows, self.num_simulated, key=simulation_key,
            instead="the lower end of its evidence alone",
        )  # fmt: skip
        known = sandwich(pair, made, self, key=simulated_key)
        shared = {f.name: getattr(self, f.name) for f in fields(AbstractTempered)}
        return calibrated(Annealed(**shared)(pair, rows, key=row_key), known)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        return sandwich(pair, made, self, key=key)


def calibrated(real: Evidence, known: Evidence) -> Evidence:
    """The evidence of rows of a data set with an upper end from simulated ones, or why it has none.

    Arguments:
        real: of the rows.
        known: of the simulated ones, by the same method, with both ends.

    Raises:
        InputError: simulated rows without an upper end.
    """
    lower = real.log_evidence
    if known.upper is None or known.upper.values is None or known.log_evidence.values is None:
        raise InputError(
            "simulated rows with both ends", "a lower end alone", "`sandwich`", where="calibrated"
        )
    gaps = known.upper.values - known.log_evidence.values
    harder = _harder(real, known)
    if harder or not np.isfinite(gaps).all() or not math.isfinite(lower.mc_error):
        why = f"the rows are harder than simulated ones, by {' and '.join(harder)}"
        if not harder:
            why = "the error of the lower end, or the gap of simulated rows, is not known"
        notes = (*real.notes, f"no upper end: {why}")
        return replace(real, upper=None, notes=notes, harder=bool(harder))
    gap_error = float(np.std(gaps, ddof=1) / math.sqrt(len(gaps)))
    limit = float(np.mean(gaps)) + float(stdtrit(len(gaps) - 1, 0.95)) * gap_error
    widened = float(1.96 * lower.mc_error + max(limit, 0.0))
    upper = replace(
        lower,
        value=lower.value + widened,
        side="none",
        mc_error=math.hypot(lower.mc_error, gap_error),
        flags=(lower.flags - {"unreliable"}) | {CALIBRATED},
        values=None if lower.values is None else lower.values + widened,
    )
    return replace(real, upper=upper)


class _Compared(NamedTuple):
    words: str
    field: str
    harder: str  # what Kolmogorov-Smirnov calls the alternative that real rows are harder


_COMPARED = (
    # SciPy's `less`: the distribution function of the first lies below, its values above.
    _Compared("the variance of their log-weights", "log_w_variance", "less"),
    _Compared("their k-hats", "khat", "less"),
    _Compared("the acceptance of their transitions", "acceptance", "greater"),
)


def _harder(real: Evidence, known: Evidence) -> list[str]:
    """In what the rows are harder than the simulated ones, in words."""
    from scipy.stats import ks_2samp  # takes half as long to import as JAX

    found = []
    for compared in _COMPARED:
        if getattr(real, compared.field) is None:  # no transitions
            continue
        own, other = (
            np.nan_to_num(getattr(e, compared.field), nan=math.inf) for e in (real, known)
        )
        test: Any = ks_2samp(own, other, alternative=compared.harder)
        if test.pvalue < _LEVEL:
            found.append(compared.words)
    return found
