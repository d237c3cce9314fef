"""What the estimators that differentiate the path alone need of a guide."""

from taut.core import AbstractProposal, InputError, option

__all__ = ["family", "require_path"]


def require_path(q: AbstractProposal, instead: str) -> None:
    """Refuse a guide that lacks draws with a path, or a density apart from it.

    Arguments:
        q: the proposal of one datum.
        instead: the estimator for draws that have no path.

    Raises:
        InputError: q is Dirac, enumerated or not reparameterized, naming what would do.
    """
    if q.dirac or q.exhaustive:
        raise InputError(
            "a guide that draws z at random from a density",
            f"{type(q).__name__}, which does not",
            f"{option('gradient', 'reparameterized')}, which is exact for it",
            where="gradient",
        )
    if not q.reparameterized:
        raise InputError(
            "a guide whose draws are differentiable in its parameters",
            f"{family(q)}, whose draws are not",
            f"{option('gradient', instead)}, or a Gaussian guide",
            where="gradient",
        )


def family(q: AbstractProposal) -> str:
    """The guide's family in words."""
    distribution = getattr(q, "distribution", q)
    base = getattr(distribution, "base_dist", distribution)
    return f"a {type(base).__name__} guide"
