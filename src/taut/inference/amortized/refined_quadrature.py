"""Evidence by Gauss-Hermite quadrature in the coordinates of a Gaussian fitted to each row's posterior.

    p(x) ~ sum_k W_k p(x, m + L e_k) / N(m + L e_k; m, L L^T)        e_k in {e_1, ..., e_n}^d

W_k is a product of the weights of the n nodes of each of d dimensions. Where p(x, z) is the Gaussian
times a polynomial of degree below 2 n the sum is exact; elsewhere what n - 1 nodes give differs by about
the error of these, which is more than that of n. Nothing is drawn for it: what the rule misses of a row
it misses of those like it, and the error of a mean over rows is the mean of theirs. The number bounds
p(x) on no side: a part of the posterior that the Gaussian does not reach is not seen.

Source: Naylor and Smith, Applications of a method for the efficient computation of posterior
distributions (1982), for the adapted grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar

import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    InputError,
    as_proposal,
    num_rows,
    option,
    over_rows,
    particles_at,
)
from taut.core.compiling import steady_jit
from taut.core.kept_rows import kept_rows
from taut.evidence import AbstractMethod, Claims, Evidence
from taut.evidence.draws import RowDraws, fit_of, log_ratios
from taut.evidence.importance import assembled, averages
from taut.inference.amortized.row_gaussians import check_refinable, numbered, row_gaussians

__all__ = ["RefinedQuadrature"]

_BLOCK_ROWS = 16
_MOST_LATENTS = 8
_FEWEST, _MOST = 3, 64  # nodes of a dimension


@dataclass(frozen=True)
class RefinedQuadrature(AbstractMethod):
    """Gauss-Hermite quadrature around a Gaussian fitted to each row, of up to 8 latents.

    Attributes:
        num_particles: points of a row, at most; each dimension has the same number of nodes, 3 to 64.
    """

    name: ClassVar[str] = "refined-quadrature"
    claims: ClassVar[Claims] = Claims(side="none", unbiased=False, latents="continuous")

    num_particles: int = 8192

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        model, guide = pair.bind()
        known = numbered(rows)
        dim = check_refinable(model, guide, known, method=self.name)
        nodes = self._nodes(dim)
        found = row_gaussians(model, guide, known, key=key)
        fine, coarse = (_rule(n, dim) for n in (nodes, nodes - 1))

        def summed(block: Datum, numbers: Any, _: Any) -> Any:
            return tuple(_summed(model, found.guide, block, *rule) for rule in (fine, coarse))

        def blocks(begin: int) -> Iterator[dict[str, Any]]:
            for finer, coarser in over_rows(summed, known, width=_BLOCK_ROWS, begin=begin):
                columns = averages(finer)
                other = averages(coarser)["log_evidence"]
                yield {**columns, "log_evidence_error": np.abs(columns["log_evidence"] - other)}

        columns = kept_rows(blocks, num_rows(known))
        evidence = assembled(columns, known, num_particles=nodes**dim)
        number = evidence.log_evidence
        mean = Estimate.from_rows(
            number.values, side="none", index=evidence.index, flags=number.flags
        )
        mean = replace(mean, mc_error=float(np.mean(columns["log_evidence_error"])))
        return replace(evidence, log_evidence=mean, converged=found.converged)

    def _nodes(self, dim: int) -> int:
        """Nodes of each dimension."""
        nodes = min(int(self.num_particles ** (1 / dim) + 1e-9), _MOST)
        if dim > _MOST_LATENTS:
            raise InputError(
                f"at most {_MOST_LATENTS} latents, whose grid has few enough points", f"{dim}",
                "refined", where=self.name,
            )  # fmt: skip
        if nodes < _FEWEST:
            raise InputError(
                f"at least {_FEWEST} nodes for each of {dim} latents", f"{self.num_particles} points",
                f"{_FEWEST**dim}", where=option("num_particles"),
            )  # fmt: skip
        return nodes


def _rule(nodes: int, dim: int) -> tuple[Float[np.ndarray, "K d"], Float[np.ndarray, " K"]]:
    """Points of a standard normal, and the logarithms of their weights, which add up to one."""
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    points = np.array(list(product(places, repeat=dim)))
    log_weights = np.log(weights / weights.sum())
    return points, np.array(list(product(log_weights, repeat=dim))).sum(axis=1)


@steady_jit
def _summed(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    points: Float[Array, "K d"],
    log_weights: Float[Array, " K"],
) -> RowDraws:
    """Log-weights at the points of each row of a block, with their masses, (B, K)."""

    def one(datum: Datum) -> RowDraws:
        fitted = guide(datum)
        gaussian = as_proposal(dist.MultivariateNormal(fitted.loc, scale_tril=fitted.tril))
        z = fitted.loc + points.astype(fitted.loc.dtype) @ fitted.tril.T
        made = particles_at(model, lambda _: gaussian, datum, z)
        made.refuse_subsampled("the evidence")
        mass = log_weights.astype(made.log_w.dtype)
        return RowDraws(made.log_w, fit_of(made), mass, log_ratios(made))

    return jax.vmap(one)(block)
