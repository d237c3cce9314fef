"""The numbers at the end of a fit."""

import math

from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, Estimate
from taut.data import Data
from taut.evidence import importance_sampling, independent_columns
from taut.models import ChainModel, LatentVariableModel

__all__ = ["measure"]


def measure(
    pair: AbstractPair,
    data: Data,
    train_rows: Datum,
    test_rows: Datum,
    key: PRNGKeyArray,
    num_particles: int,
) -> dict[str, Estimate]:
    """The numbers at the end of a fit, by name; all on the test rows."""
    evidence = importance_sampling(pair, test_rows, key=key, num_particles=num_particles)
    model, _ = pair.bind()
    bits = evidence.log_evidence.scaled(
        -1 / (data.schema.size * math.log(2)), unit="bits per dimension"
    )
    if isinstance(model, ChainModel):
        estimates = {} if evidence.log_evidence.side == "exact" else {"elbo": evidence.elbo}
        estimates["log_evidence"] = evidence.log_evidence
        if data.schema.kind == "image" and data.schema.support in ("binary", "grey"):
            estimates["bits_per_dimension"] = bits
        return estimates
    estimates = {
        "elbo": evidence.elbo,
        "reconstruction": evidence.reconstruction,
        "kl": evidence.kl,
        "log_evidence": evidence.log_evidence,
    }
    if isinstance(model, LatentVariableModel):
        estimates["independent_columns"] = independent_columns(
            model, train_rows, test_rows, levels=_grid(data)
        )
        if data.schema.kind == "image" and model.likelihood.discrete:
            estimates["bits_per_dimension"] = bits
    return estimates


def _grid(data: Data) -> int | None:
    return 2 if data.schema.support == "binary" else data.schema.levels
