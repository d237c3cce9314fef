"""How a vector-quantized model uses its codes.

    perplexity = exp(-sum_k f_k log f_k),        f_k = share of code k over all rows and positions

N when all codes are used alike, 1 when one is. Codes that no row goes to are dead: their entries cost
log N nats a position under the uniform prior and say nothing (van den Oord et al. 2017 report neither;
perplexity as in the authors' Sonnet implementation).
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import Datum, num_rows
from taut.core.compiling import kept_jit
from taut.fitted.facts import CodesInUse
from taut.guides import QuantizedPair

__all__ = ["CodeUse", "code_use"]

_BLOCK_ROWS = 512


class CodeUse(NamedTuple):
    """What rows do with the codes.

    Attributes:
        shares: f, (N,).
        rows: how many rows were looked at.
    """

    shares: Float[np.ndarray, " N"]
    rows: int

    @property
    def perplexity(self) -> float:
        """exp of the entropy of the shares, between 1 and N."""
        used = self.shares[self.shares > 0]
        return float(np.exp(-np.sum(used * np.log(used))))

    @property
    def dead(self) -> int:
        """How many codes no row goes to."""
        return int(np.sum(self.shares == 0))

    @property
    def facts(self) -> CodesInUse:
        """What a fit keeps of it."""
        codes = len(self.shares)
        return CodesInUse(codes, codes - self.dead, self.perplexity, self.rows)


def code_use(pair: QuantizedPair, rows: Datum) -> CodeUse:
    """The shares of the codes over the rows and all positions; exact.

    Arguments:
        pair: with the codebook.
        rows: a batched datum.
    """
    total = num_rows(rows)
    counts = np.zeros(pair.codebook.shape[0], np.int64)
    for first in range(0, total, _BLOCK_ROWS):
        block = jax.tree.map(lambda leaf, a=first: leaf[a : a + _BLOCK_ROWS], rows)
        counts += np.bincount(np.asarray(_codes(pair, block)).ravel(), minlength=len(counts))
    return CodeUse(counts / counts.sum(), total)


@kept_jit
def _codes(pair: QuantizedPair, rows: Datum) -> Int[Array, "R P"]:
    _, guide = pair.bind()
    return jax.vmap(lambda datum: guide(datum).codes)(rows)
