"""Bidirectional Monte Carlo: a lower and an upper end for rows simulated from the model.

    lower   log mean_k w_k,             forward chains                  E <= log p(x)
    upper   -log mean_k (1 / w'_k),     backward chains that begin at the z which made x, a draw of
                                        p(z | x)                        E >= log p(x)

with the same frozen kernels (`chains`). Rows of a data set come without such a draw, and their upper end
is calibrated instead: the gap that the same method shows on simulated rows is added to what it found,

    upper = lower + 1.96 errors + upper 95 % limit of the mean gap

which is no bound: it holds as far as the rows are no harder than those that the model makes. Where they
are, by the variance of their log-weights, their k-hats or the acceptance of their transitions
(Kolmogorov-Smirnov tests, each one-sided at 0.01), the end is withheld.

Sources: Grosse, Ghahramani and Adams, Sandwiching the marginal likelihood using bidirectional Monte
Carlo (2015); Grosse, Ancha and Roy, Measuring the reliability of MCMC inference with bidirectional Monte
Carlo (NeurIPS 2016), section 3, for simulated in place of real data.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
import scipy.stats
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    CALIBRATED,
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    InputError,
)
from taut.core.compiling import steady_jit
from taut.evidence.annealed import (
    Annealed,
    anneal_row,
    annealed_columns,
    refuse_start,
    rows_at_once,
)
from taut.evidence.chains import return_to_start
from taut.evidence.draws import RowDraws
from taut.evidence.importance import COLUMNS, Evidence, assembled
from taut.evidence.simulated import Simulated, simulated
from taut.evidence.sweep import Sweep, run, sweep
from taut.evidence.tempered import AbstractTempered
from taut.evidence.weights import log_normal_error, summarize

__all__ = ["Bidirectional", "calibrated", "sandwich", "sandwich_sweep"]

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
        made = simulated(model, rows, self.num_simulated, key=simulation_key)
        known = sandwich(pair, made, self, key=simulated_key)
        shared = {f.name: getattr(self, f.name) for f in fields(AbstractTempered)}
        return calibrated(Annealed(**shared)(pair, rows, key=row_key), known)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        return sandwich(pair, made, self, key=key)


def sandwich(
    pair: AbstractPair, made: Simulated, options: AbstractTempered, *, key: PRNGKeyArray
) -> Evidence:
    """Both ends for rows whose latents are known: `log_evidence` is the lower, `upper` the upper one.

    The chains of a row have one exact draw in common, from which transitions part them: the error of
    its upper end is that given the draw, and the error over rows has all of it.

    Arguments:
        pair: model and guide.
        made: rows and the latents that made them.
        options: those of the method.
        key: random key.

    Raises:
        InputError: as of `Annealed`.
    """
    return run(sandwich_sweep(pair, made, options, key=key))


def sandwich_sweep(
    pair: AbstractPair, made: Simulated, options: AbstractTempered, *, key: PRNGKeyArray
) -> Sweep:
    """The same block by block, for what saves its progress."""
    model, guide = pair.bind()
    refuse_start(model, guide, made.rows, options)

    def program(block: Datum, numbers: Any) -> dict[str, Any]:
        exact = jax.tree.map(lambda leaf: leaf[numbers], made.z)
        draws, acceptance, back = _both_ways(model, guide, block, exact, numbers, key, options)
        inverse = -np.asarray(back, np.float64)
        found = summarize(inverse)
        return {
            **annealed_columns(draws, acceptance),
            "upper": -found.log_evidence,
            "upper_error": np.maximum(found.error, log_normal_error(inverse)),
        }

    def finish(columns: dict[str, np.ndarray]) -> Evidence:
        lower = assembled(columns, made.rows, num_particles=options.num_particles)
        upper = Estimate.from_rows(
            columns["upper"], side="upper", mc_errors=columns["upper_error"], index=lower.index
        )
        return replace(lower, upper=upper)

    columns = (*COLUMNS, "acceptance", "upper", "upper_error")
    return sweep(program, made.rows, width=rows_at_once(options), columns=columns, finish=finish)


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
        return replace(real, upper=None, notes=(f"no upper end: {why}",))
    limit = float(np.mean(gaps)) + scipy.stats.t.ppf(0.95, len(gaps) - 1) * float(
        np.std(gaps, ddof=1) / math.sqrt(len(gaps))
    )
    widened = 1.96 * lower.mc_error + max(limit, 0.0)
    upper = replace(
        lower,
        value=lower.value + widened,
        side="none",
        mc_error=0.0,
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
    found = []
    for compared in _COMPARED:
        if getattr(real, compared.field) is None:  # no transitions
            continue
        own, other = (
            np.nan_to_num(getattr(e, compared.field), nan=math.inf) for e in (real, known)
        )
        test: Any = scipy.stats.ks_2samp(own, other, alternative=compared.harder)
        if test.pvalue < _LEVEL:
            found.append(compared.words)
    return found


@steady_jit
def _both_ways(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    exact: Any,
    numbers: Any,
    key: PRNGKeyArray,
    options: AbstractTempered,
) -> tuple[RowDraws, Float[Array, " B"], Float[Array, "B K"]]:
    """Forward draws with their acceptance, and the log-weights of backward chains."""

    def one(datum: Datum, z: Any, number: Any) -> tuple[RowDraws, Array, Array]:
        row = anneal_row(model, guide, datum, jax.random.fold_in(key, number), options)
        path, plan = row.kernels
        back = return_to_start(
            path, plan, path.coordinates.to_u(z), row.key,
            count=options.num_particles, leapfrog=options.leapfrog,
        )  # fmt: skip
        return row.draws, row.acceptance, back

    return jax.vmap(one)(block, exact, numbers)
