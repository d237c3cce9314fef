"""A posterior for ArviZ to plot and tabulate: a `DataTree`, before ArviZ 1 an `InferenceData`.

Draws are resampled: equal weights, one chain. Autocorrelation, R-hat and the ESS of chains say nothing
of them; what tells how far to trust them is k-hat and the effective sample size in `attrs`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import InputError, check_count, option
from taut.fitted.posterior import Posterior

__all__ = ["inference_data"]


def inference_data(
    posterior: Posterior, *, num_draws: int | None = None, key: int | PRNGKeyArray = 0
) -> Any:
    """The groups `posterior` (resampled) and `guide` (its own draws), in the type of ArviZ's version.

    Arguments:
        posterior: what `taut.infer` returned.
        num_draws: of each group; None for as many as were weighed.
        key: of the resampling.

    Raises:
        InputError: ArviZ is not installed.
    """
    try:
        import arviz  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        raise InputError(
            "ArviZ", "none installed", "`pip install 'taut[arviz]'`", where="inference data"
        ) from None
    count = posterior.facts.num_draws if num_draws is None else num_draws
    count = check_count(count, "at least one draw", "1000", where=option("num_draws"))
    resampled = posterior.draws(count, kind="resampled", key=key)
    raw = posterior.draws(count, kind="raw", key=key)
    attributes = {
        "inference_library": "taut",
        "guide": posterior.family,
        "verdict": str(posterior.verdict),
        "khat": posterior.khat,
        "khat_threshold": posterior.khat_threshold,
        "effective_draws": posterior.ess,
    }
    groups = {"posterior": _one_chain(resampled), "guide": _one_chain(raw)}
    if hasattr(arviz, "convert_to_datatree"):  # ArviZ 1
        made = arviz.from_dict(groups)
        made.attrs.update(attributes)
        return made
    made = arviz.from_dict(posterior=groups["posterior"], attrs=attributes)
    made.add_groups({"guide": arviz.convert_to_dataset(groups["guide"])})
    return made


def _one_chain(draws: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value)[None] for name, value in draws.items()}
