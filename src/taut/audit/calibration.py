"""Simulation-based calibration: whether q(z | x) is the posterior, on rows simulated from the model.

    z_n ~ p(z),  x_n ~ p(x | z_n),  z_n1 ... z_nL ~ q(z | x_n)
    u_n = (#{l: t(z_nl) < t(z_n)} + V (#{l: t(z_nl) = t(z_n)} + 1)) / (L + 1),     V ~ Uniform(0, 1)

If q(z | x) = p(z | x), z_n is one more draw from q, and u is uniform exactly, whatever the quantity t,
for any L, and for latents with ties. Quantities are every coordinate of z and two that look at x,
log p(x | z) and log p(x, z): the prior taken as guide has uniform ranks of every coordinate, and fails
in these. Of a guide that enumerates, the limit of many draws is taken: q(t < t_n) + V q(t = t_n).

It judges the guide where the model says that data lie. A model that is wrong makes other rows than those
it was fitted to, and of these nothing is said here.

Source: Talts et al., Validating Bayesian inference algorithms with simulation-based calibration (2018);
Modrak et al., Simulation-based calibration checking for Bayesian computation: the choice of test
quantities shapes sensitivity (2023), section 3, for quantities that depend on data.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import Array, Float, PRNGKeyArray

from taut.audit.uniformity import uniform_p_value
from taut.core import (
    LOG_PRIOR,
    AbstractModel,
    Datum,
    InputError,
    as_proposal,
    check_count,
    option,
    over_rows,
    total,
)
from taut.core.compiling import even_jit
from taut.core.independent_draws import independent_draws
from taut.core.kept_rows import kept_rows
from taut.evidence.importance import proposal_of
from taut.evidence.simulated import Simulated
from taut.models import ChainModel

__all__ = [
    "FEWEST_ROWS",
    "LEVEL",
    "Calibration",
    "Quantity",
    "calibration",
    "check_can_be_judged",
    "of_ranks",
]

LEVEL = 0.05  # of a false alarm, over all quantities together
FEWEST_ROWS = 50  # of which a spread of half or twice the right one is told four times in five
_RESOLVED = 3.0  # standard errors by which a mean or a spread is off before it is called so
_BLOCK_ROWS = 64
_ROUNDING = 64.0  # of the unit in the last place, within which two log-densities are one


class Quantity(NamedTuple):
    """The ranks of one quantity.

    Attributes:
        name: of the coordinate of z, or the log-density.
        ranks: u of every row, between 0 and 1, (N,); uniform where the guide is the posterior.
        p_value: of uniformity, times the number of quantities, at most 1.
    """

    name: str
    ranks: Float[np.ndarray, " N"]
    p_value: float

    @property
    def passes(self) -> bool:
        """Whether uniform ranks are this far from uniform by chance."""
        return self.p_value > LEVEL

    def coverage(self, probability: float) -> tuple[float, float]:
        """Share of rows whose truth is in the guide's central interval, and its binomial error."""
        inside = float(np.mean(np.abs(self.ranks - 0.5) <= probability / 2))
        return inside, math.sqrt(probability * (1 - probability) / len(self.ranks))

    @property
    def words(self) -> str:
        """What is wrong with the guide's draws of this quantity; `calibrated` where nothing is known."""
        if self.passes:
            return "calibrated"
        off = self.ranks - 0.5
        root = math.sqrt(len(off))
        shift = root * off.mean() * math.sqrt(12)  # the standard errors of uniform numbers
        spread = root * (np.mean(off**2) - 1 / 12) * math.sqrt(180)
        found = []
        if abs(spread) > _RESOLVED:
            found.append((abs(spread), "too narrow" if spread > 0 else "too wide"))
        if abs(shift) > _RESOLVED:
            found.append((abs(shift), "too low" if shift > 0 else "too high"))
        return " and ".join(name for _, name in sorted(found, reverse=True)) or "off in shape"


class Calibration(NamedTuple):
    """The ranks of all quantities.

    Attributes:
        quantities: coordinates of z in their order, then log p(x given z) and log p(x, z).
        num_rows: N, rows that were simulated; of a program, data sets that it was fitted to anew.
        num_draws: L, draws of the guide for each; None where the guide enumerates.
        notes: what a reader should know.
        judged: what was simulated.
    """

    quantities: tuple[Quantity, ...]
    num_rows: int
    num_draws: int | None
    notes: tuple[str, ...] = ()
    judged: str = "rows"

    @property
    def passes(self) -> bool:
        """Whether no quantity is off; of a guide that is the posterior, false once in twenty times."""
        return all(quantity.passes for quantity in self.quantities)

    @property
    def failing(self) -> tuple[Quantity, ...]:
        """The quantities that are off, the worst first."""
        found = [quantity for quantity in self.quantities if not quantity.passes]
        return tuple(sorted(found, key=lambda quantity: quantity.p_value))

    @property
    def verdict(self) -> str:
        """One sentence."""
        told = f"{self.num_rows} simulated {self.judged}"
        if self.passes:
            return f"calibrated: no difference from the posterior is seen in {told}"
        kinds: dict[str, list[str]] = {}
        for quantity in self.quantities:
            if not quantity.passes:
                kinds.setdefault(quantity.words, []).append(quantity.name)
        listed = "; ".join(f"{words} in {_listed(names)}" for words, names in kinds.items())
        return f"not calibrated, by {told}: the guide's draws are {listed}"

    def __repr__(self) -> str:
        return f"Calibration({self.verdict})"


def check_can_be_judged(
    model: AbstractModel, guide: Any, rows: Datum, *, num_rows: int, num_draws: int
) -> None:
    """Refuse what simulated rows say nothing about.

    Raises:
        InputError: a guide without draws to rank, a chain of layers, minibatches; too few rows or draws.
    """
    wish = f"at least {FEWEST_ROWS} simulated rows, as fewer show no fault"
    check_count(num_rows, wish, option("rows", 1000), where="rows", least=FEWEST_ROWS)
    check_count(num_draws, "at least one draw a row", "100", where="draws")
    if proposal_of(guide, rows).dirac:
        raise InputError(
            "a guide that draws z at random, whose draws can be ranked",
            "a model that maps each row to one z: its inference is exact, and there is nothing to judge",
            "a run whose guide draws", where="calibrate",
        )  # fmt: skip
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent", "a chain of layers, of which only the last latent has a prior",
            "its log-evidence by `taut evaluate`", where="calibrate",
        )  # fmt: skip
    if model.subsampled:
        raise InputError(
            "log-densities of whole rows", "sums over minibatches", "all rows", where="calibrate"
        )


def calibration(
    model: AbstractModel,
    guide: Any,
    made: Simulated,
    *,
    key: PRNGKeyArray,
    num_draws: int,
    notes: tuple[str, ...] = (),
) -> Calibration:
    """Rank the latents that made rows among the guide's draws.

    Arguments:
        model: p(x, z), which made the rows.
        guide: q(z | x), with draws.
        made: rows and their latents, of at least 50 rows.
        key: row i draws from `fold_in(key, i)`.
        num_draws: L.
        notes: for the reader.

    Raises:
        InputError: see `check_can_be_judged`.
    """
    num_rows = len(jax.tree.leaves(made.z)[0])
    check_can_be_judged(model, guide, made.rows, num_rows=num_rows, num_draws=num_draws)
    exhaustive = proposal_of(guide, made.rows).exhaustive

    def ranked(block: Datum, numbers: Any, _: Any) -> Any:
        truth = jax.tree.map(lambda leaf: leaf[numbers], made.z)
        return _ranked(model, guide, block, truth, numbers, key, num_draws)

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        for ranks in over_rows(ranked, made.rows, width=_BLOCK_ROWS, begin=begin):
            yield {"ranks": ranks}

    ranks = kept_rows(blocks, num_rows)["ranks"]
    names = [*_names(jax.tree.map(lambda leaf: leaf[0], made.z)), "log p(x given z)", "log p(x, z)"]
    return of_ranks(names, ranks, num_draws=None if exhaustive else num_draws, notes=notes)


def of_ranks(
    names: list[str],
    ranks: Float[np.ndarray, "N Q"],
    *,
    num_draws: int | None,
    notes: tuple[str, ...] = (),
) -> Calibration:
    """The calibration that ranks show, column by column."""
    columns = np.asarray(ranks, np.float64).T
    quantities = tuple(
        Quantity(name, column, min(1.0, len(names) * uniform_p_value(column)))
        for name, column in zip(names, columns, strict=True)
    )
    return Calibration(quantities, len(ranks), num_draws, notes)


@even_jit
def _ranked(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    truth: Any,
    numbers: Any,
    key: PRNGKeyArray,
    num: int,
) -> Float[Array, "B Q"]:
    def one(datum: Datum, z: Any, number: Any) -> Array:
        draw_key, tie_key = jax.random.split(jax.random.fold_in(key, number))
        q = as_proposal(guide(datum))
        drawn, mass = independent_draws(q, draw_key, num)
        together = jax.tree.map(lambda one, many: jnp.concatenate([one[None], many]), z, drawn)
        values = jax.vmap(lambda at: _values(model, datum, at))(together)
        mine, others = values[0], values[1:]
        near = _ROUNDING * jnp.finfo(values.dtype).eps * jnp.abs(mine)
        ties = mass @ (jnp.abs(others - mine) <= near)
        below = mass @ ~(others >= mine - near)
        broken = jax.random.uniform(tie_key, mine.shape)
        if q.exhaustive:
            return jnp.clip(below + broken * ties, 0.0, 1.0)
        return (num * below + broken * (num * ties + 1)) / (num + 1)

    return jax.vmap(one)(block, truth, numbers)


def _values(model: AbstractModel, datum: Datum, z: Any) -> Float[Array, " Q"]:
    """Every quantity at one z."""
    terms = model.terms(datum, z)
    joint = total(terms)
    prior = total({LOG_PRIOR: terms[LOG_PRIOR]}) if LOG_PRIOR in terms else jnp.zeros(())
    cells = [jnp.asarray(leaf).reshape(-1).astype(joint.dtype) for leaf in jax.tree.leaves(z)]
    return jnp.concatenate([*cells, (joint - prior)[None], joint[None]])


def _names(z: Any) -> list[str]:
    """Names of the scalars of a latent, in their order."""
    names = []
    for place, leaf in tree_flatten_with_path(z)[0]:
        stem = "z" + keystr(place)
        cells = np.ndindex(np.shape(leaf))
        names += [f"{stem}[{', '.join(map(str, cell))}]" if cell else stem for cell in cells]
    return names


def _listed(names: list[str]) -> str:
    """The first few names, and how many there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
