"""`posterior.bracket`: the log-evidence of a program's data between two ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from taut.api.calibrating import options_of
from taut.core import as_key
from taut.fitted import Posterior
from taut.inference.posterior import PosteriorOptions
from taut.inference.posterior.verdict import DOUBT
from taut.program_cache import compilation_cache

if TYPE_CHECKING:
    from taut.audit import RefitBracket

__all__ = ["bracket_posterior"]


@compilation_cache()
def bracket_posterior(
    posterior: Posterior,
    *,
    refits: int = 20,
    seconds: float = 300.0,
    key: Any = 0,
    options: PosteriorOptions | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> "RefitBracket":
    """The log-evidence between the posterior's own lower end and one that is calibrated.

    Data sets are made by the program and it is fitted to each. As what made them is known, their
    log-evidence has an end from above too, a bound in expectation; how far both are apart is what is
    added to the user's number. If the user's data were made by the program as well, 19 of 20 such ends
    would hold; for other data it is no bound, and it is withheld where they are harder than those.

    Arguments:
        refits: data sets, of the shapes of the user's; at least 19.
        seconds: what all fits may take; judged after the second, before the others start.
        key: whole number or random key.
        options: of every fit; None for the guide of this posterior and what `taut.infer` does unasked.
        tell: gets one sentence before the third fit: what all of them take.

    Returns:
        a `RefitBracket`, with `lower`, `upper` and both ends of every simulated data set; nats.

    Raises:
        InputError: a log-joint, minibatches, an improper prior, a factor or scale; too few refits, or
            more of them than there are seconds for.
    """
    from taut.audit.refit_bracket import bracket_by_refits

    asked = options or options_of(posterior)
    with jax.enable_x64(asked.precision == "float64"):
        return bracket_by_refits(
            posterior.model, posterior.datum, asked,
            lower=posterior.estimates["log_evidence"], doubted=posterior.verdict.verdict == DOUBT,
            guide_khat=posterior.guide_khat,
            key=as_key(key), refits=refits, seconds=seconds, tell=tell,
        )  # fmt: skip
