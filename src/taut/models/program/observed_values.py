"""What a program observes: the values that its log-joint is a probability of, or a density at.

Two programs' evidences are of one thing where these agree, whatever arguments the programs take: y under
a LogNormal is not log y under a Normal, nor 14 of 20 under a Binomial the 20 answers themselves.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpyro import distributions as dist

from taut.models.program.distribution_support import support_of

__all__ = ["ObservedValues", "observed_values"]

_AROUND = (dist.ExpandedDistribution, dist.Independent, dist.MaskedDistribution)


class ObservedValues(NamedTuple):
    """Values in increasing order, as sites may hold them in any.

    Attributes:
        masses: those whose probability counts.
        densities: those at which a density counts.
    """

    masses: np.ndarray
    densities: np.ndarray


def observed_values(sites: Mapping[str, dict[str, Any]]) -> ObservedValues | None:
    """Those of one run; None where a factor may hold data, too.

    Arguments:
        sites: as NumPyro describes them.
    """
    masses, densities = [np.zeros(0)], [np.zeros(0)]
    for site in sites.values():
        if site["type"] != "sample" or not site["is_observed"]:
            continue
        if site["infer"].get("is_auxiliary"):
            return None
        mask, fn = True, site["fn"]
        while isinstance(fn, _AROUND):
            if isinstance(fn, dist.MaskedDistribution):
                hidden = np.asarray(fn._mask)
                mask = mask & hidden.reshape(hidden.shape + (1,) * fn.event_dim)
            fn = fn.base_dist
        if isinstance(fn, dist.Delta):  # a latent that is given, or a constraint
            continue
        value = np.asarray(site["value"], float)
        value = np.broadcast_to(value, np.broadcast_shapes(value.shape, site["fn"].shape()))
        support = support_of(fn)
        kind = masses if support is not None and support.is_discrete else densities
        kind.append(value[np.broadcast_to(mask, value.shape)])
    return ObservedValues(*(np.sort(np.concatenate(kind)) for kind in (masses, densities)))
