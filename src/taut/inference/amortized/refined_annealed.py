"""Annealing from a Gaussian that is fitted to each row's posterior.

The path from a guide to the posterior is as long as the two are apart. From the encoder's answer it is
mostly the way to a Gaussian that a few steps of an ascent find; what is left for the chains to do is
what no Gaussian can: bends, tails, modes that lie close.
"""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import jax
from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, InputError, Pair
from taut.evidence import Annealed, Evidence, Simulated
from taut.evidence.tempered import AbstractTempered
from taut.inference.amortized.row_gaussians import RowGaussians, numbered, row_gaussians

__all__ = ["RefinedAnnealed"]


@dataclass(frozen=True)
class RefinedAnnealed(AbstractTempered):
    """Annealed importance sampling from a Gaussian fitted to each row; the options of the base."""

    name: ClassVar[str] = "refined-annealed"

    def __post_init__(self):
        super().__post_init__()
        if self.start != "guide":
            raise InputError(
                "a start at the guide, which is fitted to each row", repr(self.start), "annealed",
                where="start",
            )  # fmt: skip

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        rows = numbered(rows)
        refined, found, own = self._refined(pair, rows, key)
        return replace(self._annealed(refined, rows, key=own), converged=found.converged)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        refined, found, own = self._refined(pair, made.rows, key)
        evidence = self._annealed.both_ends(refined, made, key=own)
        return replace(evidence, converged=found.converged)

    @property
    def _annealed(self) -> Annealed:
        return Annealed(**{f.name: getattr(self, f.name) for f in fields(self)})

    def _refined(
        self, pair: AbstractPair, rows: Datum, key: PRNGKeyArray
    ) -> tuple[Pair, RowGaussians, PRNGKeyArray]:
        """The pair with the fitted guide, what was fitted, and a key for what follows."""
        fit_key, own = jax.random.split(key)
        model, guide = pair.bind()
        found = row_gaussians(model, guide, rows, key=fit_key, method=self.name)
        return Pair(model, found.guide), found, own
