"""The missing cells of a fit's rows: exact where the model is, else by importance resampling."""

from typing import TYPE_CHECKING

from jaxtyping import Array, Bool, PRNGKeyArray

from taut.core import Datum, refuse_unheard
from taut.core.memory import within_memory
from taut.fitted.imputing import Imputed, impute
from taut.fitted.resampling import resampled
from taut.models import AbstractExactModel, LeftOut

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["filled"]

_NUM_PARTICLES = 1000


def filled(
    fit: "Fit",
    rows: Datum,
    *,
    draws: int,
    num_particles: int | None,
    key: PRNGKeyArray,
    left_out: Bool[Array, "*data"] | None = None,
) -> Imputed:
    """Mean, mode, standard deviation and draws of the missing cells given the observed ones.

    Arguments:
        fit: whose model they are of.
        rows: batched; their mask says what is missing.
        draws: of all missing cells of each row together.
        num_particles: draws of the latents of a row that is resampled; None for 1000.
        key: random key of the draws.
        left_out: True at missing cells of which nobody looked whether they are; see `LeftOut`.

    Raises:
        InputError: a model that is neither exact nor has a decoder; `num_particles` for an exact one.
    """
    number = _NUM_PARTICLES if num_particles is None else num_particles
    with within_memory(draws=draws, num_particles=number):
        if isinstance(fit.model, AbstractExactModel):
            refuse_unheard(
                {"num_particles": num_particles}, "a model whose latents are drawn",
                f"the model {fit.architecture.name}, which is exact",
            )  # fmt: skip
            return impute(fit.model, rows, key=key, num_draws=draws)
        pair, draw_key = fit.serving(rows, key)
        if left_out is not None:
            pair = LeftOut(pair, left_out)
        return resampled(
            pair, rows, fit.schema, num_draws=draws, num_particles=number, key=draw_key
        )
