"""The evidence of a fit by as many methods as its precision takes: which ones, on which rows.

    importance, refined, refined-annealed with 20 and with 80 temperatures

and annealed from the guide where no Gaussian can be fitted to a row. The upper end of each is calibrated
on the same simulated rows.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import jax
from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, InputError, num_rows
from taut.core.kept_rows import part
from taut.core.memory import within_memory
from taut.evidence import (
    AbstractMethod,
    Annealed,
    Bracket,
    Escalation,
    Evidence,
    Importance,
    Simulated,
    simulated,
)
from taut.evidence.tempered import AbstractTempered
from taut.fitted.methods import measured_by
from taut.inference import Refined, RefinedAnnealed
from taut.inference.amortized.row_gaussians import check_refinable

__all__ = ["escalated", "ladder"]

_NUM_PARTICLES = 1000
_MORE_TEMPERATURES = 80
_SIMULATED_ROWS = 100
_SIMULATION = 2**32 - 1  # a number that no row has


def ladder(
    pair: AbstractPair, rows: Datum, num_particles: int | None
) -> tuple[AbstractMethod, ...]:
    """The methods, in the order of their cost.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        num_particles: draws per row of importance sampling; None for 1000.
    """
    try:
        check_refinable(*pair.bind(), rows)
        annealed: AbstractTempered = RefinedAnnealed()
    except InputError:
        annealed = Annealed()
    number = _NUM_PARTICLES if num_particles is None else num_particles
    longer = replace(annealed, temperatures=_MORE_TEMPERATURES)
    return Importance(number), Refined(number), annealed, longer


def escalated(
    pair: AbstractPair,
    rows: Datum,
    how_far: Escalation,
    *,
    serving: Callable[[Datum], AbstractPair],
    num_particles: int | None,
    key: PRNGKeyArray,
    begun: Callable[[str], None] | None = None,
) -> Bracket:
    """The bracket of the rows' mean log-evidence.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        how_far: width and seconds.
        serving: the pair whose guide serves other rows.
        num_particles: as of `ladder`.
        key: of each method's draws, as if it were alone.
        begun: told the name of each method that is begun.

    Raises:
        InputError: no method takes the model.
    """
    simulation_key, known_key = jax.random.split(jax.random.fold_in(key, _SIMULATION))

    @cache
    def made() -> tuple[Simulated, AbstractPair]:
        found = simulated(
            pair.bind()[0], rows, _SIMULATED_ROWS, key=simulation_key,
            instead="the lower end of its evidence alone",
        )  # fmt: skip
        return found, serving(found.rows)

    def measured(method: AbstractMethod, of: Datum) -> Evidence:
        with part(f"{method.label} of {num_rows(of)}"), within_memory(num_particles=num_particles):
            return measured_by(method, pair, of, key=key)

    def known(method: AbstractMethod) -> Evidence:
        with within_memory(num_particles=num_particles):
            found, serves = made()
            with part(f"{method.label} of simulated"):
                return method.both_ends(serves, found, key=known_key)

    return how_far(
        ladder(pair, rows, num_particles), rows,
        measured=measured, known=known, num_simulated=_SIMULATED_ROWS, begun=begun,
    )  # fmt: skip
