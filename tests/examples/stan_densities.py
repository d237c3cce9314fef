"""The log densities of the Stan programs of posteriordb, from their text, in SciPy.

    density(data, parameters) = the program's `target`, nats, up to a constant

A `sigma ~ normal(0, 5)` on `real<lower=0>` has no factor 2 here, as it has none in Stan.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["DENSITIES"]


def logearn_height(d: Any, p: Any) -> float:
    mean = p["beta"][0] + p["beta"][1] * d["height"]
    return stats.norm.logpdf(np.log(d["earn"]), mean, p["sigma"]).sum()


def eight_schools(d: Any, p: Any) -> float:
    theta = p["theta_trans"] * p["tau"] + p["mu"]
    return (
        stats.norm.logpdf(p["theta_trans"]).sum()
        + stats.norm.logpdf(d["y"], theta, d["sigma"]).sum()
        + stats.norm.logpdf(p["mu"], 0, 5)
        + stats.cauchy.logpdf(p["tau"], 0, 5)
    )


def garch(d: Any, p: Any) -> float:
    sigma = [d["sigma1"]]
    for last in d["y"][:-1]:
        square = p["alpha1"] * (last - p["mu"]) ** 2 + p["beta1"] * sigma[-1] ** 2
        sigma.append(np.sqrt(p["alpha0"] + square))
    return stats.norm.logpdf(d["y"], p["mu"], sigma).sum()


def gp_regr(d: Any, p: Any) -> float:
    squares = np.subtract.outer(d["x"], d["x"]) ** 2
    covariance = p["alpha"] ** 2 * np.exp(-squares / (2 * p["rho"] ** 2))
    covariance += p["sigma"] * np.eye(len(d["x"]))
    return (
        stats.gamma.logpdf(p["rho"], 25, scale=1 / 4)
        + stats.norm.logpdf(p["alpha"], 0, 2)
        + stats.norm.logpdf(p["sigma"], 0, 1)
        + stats.multivariate_normal.logpdf(d["y"], np.zeros(len(d["y"])), covariance)
    )


def kidscore_interaction(d: Any, p: Any) -> float:
    b = p["beta"]
    both = d["mom_hs"] * d["mom_iq"]
    mean = b[0] + b[1] * d["mom_hs"] + b[2] * d["mom_iq"] + b[3] * both
    rows = stats.norm.logpdf(d["kid_score"], mean, p["sigma"]).sum()
    return rows + stats.cauchy.logpdf(p["sigma"], 0, 2.5)


def kidscore_momiq(d: Any, p: Any) -> float:
    mean = p["beta"][0] + p["beta"][1] * d["mom_iq"]
    rows = stats.norm.logpdf(d["kid_score"], mean, p["sigma"]).sum()
    return rows + stats.cauchy.logpdf(p["sigma"], 0, 2.5)


def kilpisjarvi(d: Any, p: Any) -> float:
    return (
        stats.norm.logpdf(p["alpha"], d["pmualpha"], d["psalpha"])
        + stats.norm.logpdf(p["beta"], d["pmubeta"], d["psbeta"])
        + stats.norm.logpdf(d["y"], p["alpha"] + p["beta"] * d["x"], p["sigma"]).sum()
    )


def low_dim_gauss_mix(d: Any, p: Any) -> float:
    each = stats.norm.logpdf(d["y"][:, None], p["mu"], p["sigma"])
    rows = np.logaddexp(np.log(p["theta"]) + each[:, 0], np.log1p(-p["theta"]) + each[:, 1])
    return (
        rows.sum()
        + stats.norm.logpdf(p["sigma"], 0, 2).sum()
        + stats.norm.logpdf(p["mu"], 0, 2).sum()
        + stats.beta.logpdf(p["theta"], 5, 5)
    )


def logmesquite_logvash(d: Any, p: Any) -> float:
    b = p["beta"]
    mean = (
        b[0]
        + b[1] * np.log(d["diam1"] * d["diam2"] * d["canopy_height"])
        + b[2] * np.log(d["diam1"] * d["diam2"])
        + b[3] * np.log(d["diam1"] / d["diam2"])
        + b[4] * np.log(d["total_height"])
        + b[5] * d["group"]
    )
    return stats.norm.logpdf(np.log(d["weight"]), mean, p["sigma"]).sum()


def nes(d: Any, p: Any) -> float:
    b, age = p["beta"], d["age_discrete"]
    mean = b[0] + b[1] * d["real_ideo"] + b[2] * d["race_adj"]
    mean = mean + b[3] * (age == 2) + b[4] * (age == 3) + b[5] * (age == 4)
    mean = mean + b[6] * d["educ1"] + b[7] * d["gender"] + b[8] * d["income"]
    return stats.norm.logpdf(d["partyid7"], mean, p["sigma"]).sum()


def blr(d: Any, p: Any) -> float:
    return (
        stats.norm.logpdf(p["beta"], 0, 10).sum()
        + stats.norm.logpdf(p["sigma"], 0, 10)
        + stats.norm.logpdf(d["y"], d["X"] @ p["beta"], p["sigma"]).sum()
    )


DENSITIES: Mapping[str, Callable[[Any, Any], float]] = {
    "earnings-logearn_height": logearn_height,
    "eight_schools-eight_schools_noncentered": eight_schools,
    "garch-garch11": garch,
    "gp_pois_regr-gp_regr": gp_regr,
    "kidiq-kidscore_interaction": kidscore_interaction,
    "kidiq-kidscore_momiq": kidscore_momiq,
    "kilpisjarvi_mod-kilpisjarvi": kilpisjarvi,
    "low_dim_gauss_mix-low_dim_gauss_mix": low_dim_gauss_mix,
    "mesquite-logmesquite_logvash": logmesquite_logvash,
    "nes2000-nes": nes,
    "sblri-blr": blr,
}
