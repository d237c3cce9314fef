"""Rows drawn given some of their cells: x_m ~ p(x_m | x_o).

Of an exact model each draw is one of the conditional. Of any other, z is resampled by its weights among
K draws, half of the guide and half of the prior, and each row is drawn anew from its z:

    r(z) = (q(z | x_o) + p(z)) / 2,    w_k proportional to p(x_o, z_k) / r(z_k),    x_m ~ p(x_m | z_k)

The guide finds the posterior that many cells leave, the prior what the guide leaves out when few cells
are given: no weight exceeds 2 p(x_o | z) (balance heuristic, Veach and Guibas 1995, section 3). Rows are
those of p(x_m | x_o) as K grows, and nearly so while the effective sample size (sum w)^2 / sum w^2 is
large. Cells that are not given are left out, not missing: what a model says of which cells are missing
has no part in the weights (`taut.models.LeftOut`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    AbstractPair,
    Datum,
    InputError,
    as_key,
    as_proposal,
    check_count,
    option,
    over_rows,
    particles,
    particles_at,
    refuse_unheard,
)
from taut.core.compiling import kept_jit
from taut.core.memory import within_memory
from taut.data.one_row import row_of
from taut.guides import PriorGuide
from taut.models import AbstractExactModel, ChainModel, LatentVariableModel, LeftOut

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["DrawnGiven", "drawn_given", "sample_given"]

_BLOCK_CELLS = 2**22  # numbers that a block of rows may need: 32 MiB in float64
_NUM_PARTICLES = 10_000
_LEAST_EFFECTIVE = 10.0  # draws of z: fewer are the same few rows again and again


class DrawnGiven(NamedTuple):
    """Rows that share their given cells.

    Attributes:
        x: (n, *shape).
        effective: effective sample size of the draws of z; None where the conditional is exact.
        num_particles: K; None likewise.
    """

    x: Float[np.ndarray, "n ..."]
    effective: float | None = None
    num_particles: int | None = None


def sample_given(
    fit: "Fit",
    given: Mapping[str, Any],
    *,
    num_samples: int,
    num_particles: int | None,
    key: Any,
    mean: bool = False,
) -> DrawnGiven:
    """Rows of a fit's table, some of whose columns are given.

    Arguments:
        fit: whose conditionals they are.
        given: values by the names of their columns, as the table has them.
        num_samples: n.
        num_particles: as of `drawn_given`.
        key: whole number or random key.
        mean: refused: the mean of what is drawn is that of `fit.impute`.

    Raises:
        InputError: a model that takes no holes; cells that a row cannot have; as `drawn_given`.
    """
    if mean:
        raise InputError(
            f"draws, where cells are {option('given')}", option("mean", True),
            f"leaving out {option('mean')}, or imputing a row with holes", where="given",
        )  # fmt: skip
    if not fit.architecture.takes_holes:
        raise InputError(
            "a model that can leave cells out", f"the model {fit.architecture.name}",
            option("model", "vae"), where="given",
        )  # fmt: skip
    cells = row_of(given, fit.schema, where="given")
    mask = ~np.isnan(cells)
    if mask.all():
        raise InputError("a column that is left to draw", "all of them", "fewer", where="given")
    asked = {"num_samples": num_samples, "num_particles": num_particles}
    with jax.enable_x64(fit.precision == "float64"), within_memory(**asked):
        rows = Datum(cells[None], mask[None], index=np.zeros(1, np.int32))
        pair, draw_key = fit.serving(rows, as_key(key))
        return drawn_given(
            pair, jax.tree.map(lambda leaf: leaf[0], rows), num_samples=num_samples,
            num_particles=num_particles, key=draw_key,
        )  # fmt: skip


def drawn_given(
    pair: AbstractPair,
    row: Datum,
    *,
    num_samples: int,
    num_particles: int | None,
    key: PRNGKeyArray,
) -> DrawnGiven:
    """Draws of the cells of a row that its mask leaves out.

    Arguments:
        pair: a model that takes holes, and its guide.
        row: one row, not batched.
        num_samples: n.
        num_particles: K, of a model without exact conditionals; None for 10,000.
        key: random key.

    Raises:
        InputError: given cells that are impossible together, or that too few draws of z explain; K for
            a model with exact conditionals.
    """
    num_samples = check_count(num_samples, "at least one sample", "64", where=option("num_samples"))
    model = pair.bind()[0]
    if isinstance(model, AbstractExactModel):
        refuse_unheard(
            {"num_particles": num_particles}, "a model whose latents are drawn", "an exact one"
        )
        return DrawnGiven(_exact(model, row, num_samples, key))
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of latents", "a chain of layers", option("model", "vae"), where="given"
        )
    if num_particles is None:
        num_particles = _NUM_PARTICLES
    where, remedy = option("num_particles"), option("num_particles", 10000)
    num_particles = check_count(
        num_particles, "at least two particles", remedy, where=where, least=2
    )
    x, effective = _resampled(pair, row, key, num_samples, num_particles)
    if not effective >= _LEAST_EFFECTIVE:
        raise InputError(
            f"at least {_LEAST_EFFECTIVE:g} effective draws of the latents, given these cells",
            f"{float(effective):.1f} of {num_particles:,}",
            f"{option('num_particles', 10 * num_particles)}, or fewer cells, for rows like this one are "
            "rare in the model", where="given",
        )  # fmt: skip
    return DrawnGiven(np.asarray(x), float(effective), num_particles)


def _exact(
    model: AbstractExactModel, row: Datum, num_samples: int, key: PRNGKeyArray
) -> np.ndarray:
    if not np.isfinite(_log_evidence(model, row)):
        raise InputError(
            "cells that the model can have together", "ones of probability 0", "fewer of them",
            where="given",
        )  # fmt: skip
    size = row.x.size
    # A draw is keyed by its number, so that a longer sample begins like a shorter one.
    numbered = Datum(np.zeros((num_samples, 1)))
    width = max(1, min(_BLOCK_CELLS // (model.width_with_holes(size) + size**2), num_samples))
    blocks = over_rows(
        lambda _, numbers, __: _completed(model, row, numbers, key), numbered, width=width
    )
    return np.concatenate(list(blocks))


@kept_jit
def _log_evidence(model: Any, row: Datum) -> Array:
    return model.log_evidence(row)


@kept_jit
def _completed(model: Any, row: Datum, numbers: Any, key: PRNGKeyArray) -> Array:
    return jax.vmap(lambda n: model.completed(row, jax.random.fold_in(key, n)))(numbers)


@kept_jit
def _resampled(
    pair: AbstractPair, row: Datum, key: PRNGKeyArray, num_samples: int, num_particles: int
) -> tuple[Array, Array]:
    """Rows, and the effective sample size of their latents."""
    model, guide = LeftOut(pair, jnp.ones(row.x.shape, bool)).bind()
    q_key, p_key, choice_key, x_key = jax.random.split(key, 4)
    q = as_proposal(guide(row))
    if q.dirac or q.exhaustive or q.strata > 1:  # all its draws have masses of their own
        made = particles(model, guide, guide, row, q_key, num_particles)
        z, log_w = made.z, made.log_mass + made.log_w
    else:
        prior = PriorGuide(model)
        halves = (q.draw(q_key, num_particles // 2).z, _prior_draws(model, p_key, num_particles))
        z = jax.tree.map(lambda *parts: jnp.concatenate(parts), *halves)
        by_guide, by_prior = (particles_at(model, own, row, z).log_w for own in (guide, prior))
        # 1 / w is the mean of 1 / w under the guide and 1 / w under the prior.
        by_guide = jnp.where(
            jnp.isnan(by_guide), jnp.inf, by_guide
        )  # far from what it was fitted to
        log_w = jnp.where(by_prior > -jnp.inf, -jnp.logaddexp(-by_guide, -by_prior), -jnp.inf)
    weight = jax.nn.softmax(log_w)
    chosen = jax.random.choice(choice_key, len(weight), (num_samples,), p=weight)
    z = jax.tree.map(lambda leaf: leaf[chosen], z)
    keys = jax.random.split(x_key, num_samples)
    if isinstance(model, LatentVariableModel):
        x = jax.vmap(lambda at, own: model.hidden_sample(row, at, own))(z, keys)
    else:
        x = jax.vmap(model.sample)(z, keys)
    effective = jnp.where(jnp.any(log_w > -jnp.inf), 1 / jnp.sum(weight**2), 0.0)
    return jnp.where(jnp.isnan(row.x), x, row.x), effective


def _prior_draws(model: Any, key: PRNGKeyArray, num_particles: int) -> Any:
    count = num_particles - num_particles // 2
    return as_proposal(model.prior()).draw(key, count).z
