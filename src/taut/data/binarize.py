"""Binarization: from grey values to draws of a Bernoulli, or to which half they lie in.

    static, dynamic   b ~ Bernoulli(x), one draw per cell; `static` draws every row once, `dynamic`
                      draws validation and test rows once and leaves training rows to the loop
    threshold         b = 1 if x >= 1/2, else 0

A redraw of b ~ Bernoulli(b) is b itself, so rows that were drawn once pass through a dynamic loop
unchanged.

Source: Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", ICML 2008
(static); Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016 (dynamic).
"""

import math

import numpy as np
from jaxtyping import Float

from taut.data.schema import Binarize
from taut.data.streams import WORDS, Stream, philox

__all__ = ["binarized"]

_CHUNK = 2**22  # cells whose uniforms are held at a time, 32 MiB


def binarized(
    x: Float[np.ndarray, "N ..."], how: Binarize, *, seed: int, part: int = 0, first_row: int = 0
) -> Float[np.ndarray, "N ..."]:
    """Rows of zeros and ones from grey rows in [0, 1]; `x` itself for `none`.

    Arguments:
        x: grey values; NaN, a missing cell, stays.
        how: see the module; `dynamic` is drawn once here, as for rows that are reported on.
        seed: of the draws; each seed and part has its own.
        part: position of the rows' file in a source of several.
        first_row: number of the first row in its file. Cell c of a file has the c-th uniform of its
            stream, so that rows drawn apart are as they are drawn together.
    """
    if how == "none":
        return x
    if how == "threshold":
        return _with_holes((x >= 0.5).astype(x.dtype), x)
    block, used = divmod(first_row * math.prod(x.shape[1:]), WORDS)
    bits = philox(seed, Stream.BINARIZE, part, block=block)
    bits.random_raw(used)
    flat, drawn = x.reshape(-1), np.empty(x.size, dtype=x.dtype)
    for start in range(0, x.size, _CHUNK):
        cells = slice(start, min(start + _CHUNK, x.size))
        # 53 random bits make a uniform in [0, 1), so that x = 0 is never drawn and x = 1 always.
        uniforms = (bits.random_raw(cells.stop - start) >> np.uint64(11)) * 2.0**-53
        drawn[cells] = uniforms < flat[cells]
    return _with_holes(drawn.reshape(x.shape), x)


def _with_holes(
    drawn: Float[np.ndarray, "N ..."], x: Float[np.ndarray, "N ..."]
) -> Float[np.ndarray, "N ..."]:
    holes = np.isnan(x)
    if holes.any():
        drawn[holes] = np.nan
    return drawn
