"""Draws in a buffer of fixed capacity, so that one compiled program serves any number of them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["DrawBuffer"]

_CHUNK = 128  # draws at once at most
_FIRST_CELLS = 2**16  # numbers in the buffer, unless the first draws need more
_GROWTH = 8  # of the buffer that has become too small


class DrawBuffer(NamedTuple):
    """Draws in a buffer.

    Attributes:
        chunks: (C, W, d); what is left of the last chunk in use repeats its last draw.
        num_draws: K.
    """

    chunks: Float[np.ndarray, "C W d"]
    num_draws: int

    @classmethod
    def of(cls, draws: Float[np.ndarray, "K d"], most: int) -> "DrawBuffer":
        """Draws in the smallest buffer that holds them, of capacities that grow by a fixed factor.

        Arguments:
            draws: e_k, (K, d).
            most: draws at once that memory allows.
        """
        num_draws, d = draws.shape
        # 16 d draws, what most fits use, are whole chunks.
        width = min(-(-16 * d // -(-16 * d // _CHUNK)), most)
        needed, capacity = -(-num_draws // width), max(_FIRST_CELLS // (width * d), 1)
        while capacity < needed:
            capacity *= _GROWTH
        buffer = np.zeros((capacity * width, d), draws.dtype)
        buffer[:num_draws] = draws
        buffer[num_draws : needed * width] = draws[-1]
        return cls(buffer.reshape(capacity, width, d), num_draws)
