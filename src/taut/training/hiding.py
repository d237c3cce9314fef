"""Hiding cells at random: rows as a batch sees them, so that model and guide know every pattern.

    with probability h    a share s ~ Uniform(0, 1) of a row's cells is hidden, each with probability s
    else                  the row is seen as it is

What is hidden counts as missing: it leaves the bound, which stays a lower bound on the log-density of
what is seen, and nothing is filled in. The objective is then a mean over patterns of such bounds, of
which that of whole rows is one. With a label y among the cells a step sees p(x, y), p(x), p(y, part of
x), ... Source: Ma, Tschiatschek, Palla, Hernandez-Lobato, Nowozin and Zhang, EDDI: efficient dynamic
discovery of high-value information with partial VAE (2019).
"""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.core import Datum, InputError, option
from taut.data import Schema

__all__ = ["hidden_at_random", "hiding_notes", "share_hidden"]

_AT_RANDOM = "at-random"
_HIDE = 0.5  # share of rows of which cells are hidden where a target is a column


def share_hidden(asked: float | None, model: AbstractArchitecture, schema: Schema) -> float:
    """The share of rows of which cells are hidden.

    Raises:
        InputError: a wish that the model does not serve.
    """
    if asked and not model.takes_holes:
        raise InputError(
            f"a model that takes missing cells with {option('hide')}", option("model", model.name),
            f"leaving out {option('hide')}", where=option("hide"),
        )  # fmt: skip
    missingness = _missingness(model)
    if asked is None:
        return _HIDE if schema.place_of_target is not None and missingness == _AT_RANDOM else 0.0
    if asked and missingness != _AT_RANDOM:
        raise InputError(
            f"{option('missingness', _AT_RANDOM)}, where cells are hidden at random in training",
            option("missingness", missingness), option("hide", 0), where=option("missingness"),
        )  # fmt: skip
    return asked


def hiding_notes(
    asked: float | None, model: AbstractArchitecture, schema: Schema
) -> tuple[str, ...]:
    """That none are hidden where a target is a column, because `share_hidden` left them out."""
    if asked is not None or schema.place_of_target is None or _missingness(model) == _AT_RANDOM:
        return ()
    return (
        f"no cells are hidden in training, for with missingness {_missingness(model)} each would count "
        "as one that hid itself; rows without the target are new to the encoder",
    )


def _missingness(model: AbstractArchitecture) -> str:
    return getattr(model, "missingness", _AT_RANDOM)


def hidden_at_random(datum: Datum, key: PRNGKeyArray, *, share: float) -> Datum:
    """One row with some of its observed cells hidden; h is `share`."""
    row_key, share_key, cell_key = jax.random.split(key, 3)
    most = jnp.where(jax.random.bernoulli(row_key, share), jax.random.uniform(share_key), 0.0)
    kept = jax.random.uniform(cell_key, jnp.shape(datum.x)) >= most
    seen = kept if datum.mask is None else kept & datum.mask
    return Datum(datum.x, seen, datum.label, datum.index, datum.weight)
