"""`fit.annotate`: what a fit says of the observations of an AnnData, written back into it.

    obsm["X_taut"]               mean of q(z | x), (N, d); of a mixture the responsibilities
    obs["taut_log_evidence"]     log p(x) of each observation, nats
    obs["taut_cluster"]          of a mixture, the most probable component: categories "0", "1", ...
    uns["taut"]                  model, side of the evidence, flags

as scanpy keeps such things: `sc.pp.neighbors(cells, use_rep="X_taut")` goes on from there.
"""

from typing import Any

import numpy as np

from taut.data.sources.annotated import is_annotated
from taut.errors import InputError
from taut.fitted import Fit
from taut.fitted.given_rows import as_dataset
from taut.models.exact import AbstractMixture
from taut.program_cache import compilation_cache

__all__ = ["annotate"]


@compilation_cache()
def annotate(
    fit: Fit, cells: Any, *, name: str = "taut", num_particles: int | None = None, key: Any = 0
) -> None:
    """Write latents, log-evidence and clusters of observations into their AnnData, in place.

    Arguments:
        fit: of observations with the same variables, which are found by name.
        cells: an AnnData in memory, of N observations.
        name: what the entries are called after.
        num_particles: draws of the evidence per observation, as of `Fit.evidence`.
        key: whole number or random key of these draws.

    Raises:
        InputError: no AnnData; one that lacks a variable or holds what the fit cannot take. Nothing has
            been written then.
    """
    if not is_annotated(cells):
        raise InputError(
            "an AnnData, with X, obs, var and obsm", f"a {type(cells).__name__}", "fit.encode(rows)",
            where="annotate",
        )  # fmt: skip
    rows = as_dataset(cells, fit)
    latents = np.asarray(fit.encode(rows))
    evidence = fit.evidence(rows, num_particles=num_particles, key=key)
    cells.obsm[f"X_{name}"] = latents
    cells.obs[f"{name}_log_evidence"] = np.asarray(evidence.values)
    if isinstance(fit.model, AbstractMixture):
        import pandas as pd

        codes = latents.argmax(axis=1)
        known = [str(k) for k in range(fit.model.num_components)]
        cells.obs[f"{name}_cluster"] = pd.Categorical.from_codes(codes, known)
    cells.uns[name] = {
        "model": fit.architecture.name,
        "log_evidence_side": evidence.side,
        "log_evidence_flags": ", ".join(sorted(evidence.flags)),
    }
