"""What the estimators that take an IWAE bound's log-weights as they are say of a KL that warms up."""

from taut.bounds import IWAE
from taut.core import InputError, option

__all__ = ["refuse_warmup"]


def refuse_warmup(bound: IWAE, estimator: str) -> None:
    """Refuse an objective whose log-weights are not the bound's.

    Raises:
        InputError: the KL warms up, naming the estimators that differentiate the objective itself.
    """
    if bound.warmup_steps > 0:
        raise InputError(
            "an IWAE bound whose KL has its full weight from the first step",
            f"a warm-up of {bound.warmup_steps} steps",
            f"{option('gradient', 'reparameterized')}, {option('gradient', 'score-function')}, "
            f"or leaving out {option('kl_warmup_steps')}",
            where=estimator,
        )
