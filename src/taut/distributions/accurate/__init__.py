"""NumPyro's distributions with log-densities that hold in their tails and for large counts."""

from taut.distributions.accurate.of import accurate

__all__ = ["accurate"]
