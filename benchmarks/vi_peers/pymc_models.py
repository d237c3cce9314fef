"""The eleven posteriors as PyMC models, with the supports and transforms of the NumPyro programs.

`Flat` and `HalfFlat` are the improper priors. A `Potential` adds what no distribution holds.
"""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

__all__ = ["MODELS"]


def _normal_regression(columns, y, beta, sigma):
    pm.Normal("rows", pt.dot(columns, beta), sigma, observed=y)


def _design(*columns):
    return np.stack(np.broadcast_arrays(1.0, *columns), axis=1)


def logearn_height(d):
    beta, sigma = pm.Flat("beta", shape=2), pm.HalfFlat("sigma")
    _normal_regression(_design(d["height"]), np.log(d["earn"]), beta, sigma)


def eight_schools(d):
    mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
    theta = mu + tau * pm.Normal("theta_trans", 0, 1, shape=len(d["y"]))
    pm.Normal("rows", theta, d["sigma"], observed=d["y"])


def garch(d):
    mu, alpha0 = pm.Flat("mu"), pm.HalfFlat("alpha0")
    alpha1 = pm.Uniform("alpha1", 0, 1)
    beta1 = pm.Uniform("beta1", 0, 1 - alpha1)
    pm.Potential("flat", pt.log1p(-alpha1))

    def following(last, variance, mu, alpha0, alpha1, beta1):
        return alpha0 + alpha1 * (last - mu) ** 2 + beta1 * variance

    first = pt.as_tensor_variable(np.asarray(d["sigma1"] ** 2, float))
    later = pytensor.scan(
        following,
        sequences=[pt.as_tensor_variable(d["y"][:-1])],
        outputs_info=[first],
        non_sequences=[mu, alpha0, alpha1, beta1],
        return_updates=False,
    )
    sigma = pt.sqrt(pt.concatenate([first[None], later]))
    pm.Normal("rows", mu, sigma, observed=d["y"])


def gp_regr(d):
    rho = pm.Gamma("rho", 25, 4)
    alpha, sigma = pm.HalfNormal("alpha", 2), pm.HalfNormal("sigma", 1)
    squares = np.subtract.outer(d["x"], d["x"]) ** 2
    covariance = alpha**2 * pt.exp(-0.5 * squares / rho**2) + sigma * np.eye(len(d["x"]))
    pm.MvNormal("rows", np.zeros(len(d["x"])), cov=covariance, observed=d["y"])


def kidscore_interaction(d):
    beta, sigma = pm.Flat("beta", shape=4), pm.HalfCauchy("sigma", 2.5)
    both = d["mom_hs"] * d["mom_iq"]
    _normal_regression(_design(d["mom_hs"], d["mom_iq"], both), d["kid_score"], beta, sigma)


def kidscore_momiq(d):
    beta, sigma = pm.Flat("beta", shape=2), pm.HalfCauchy("sigma", 2.5)
    _normal_regression(_design(d["mom_iq"]), d["kid_score"], beta, sigma)


def kilpisjarvi(d):
    alpha = pm.Normal("alpha", d["pmualpha"], d["psalpha"])
    beta = pm.Normal("beta", d["pmubeta"], d["psbeta"])
    pm.Normal("rows", alpha + beta * d["x"], pm.HalfFlat("sigma"), observed=d["y"])


def low_dim_gauss_mix(d):
    ordered = pm.distributions.transforms.ordered
    start = np.array([-1.0, 1.0])
    mu = pm.Flat("mu", shape=2, transform=ordered, initval=start)
    pm.Potential("mu_prior", pm.logp(pm.Normal.dist(0, 2), mu).sum())
    sigma, theta = pm.HalfNormal("sigma", 2, shape=2), pm.Beta("theta", 5, 5)
    each = pm.Normal.dist(mu, sigma)
    pm.Mixture("rows", pt.stack([theta, 1 - theta]), each, observed=d["y"])


def logmesquite_logvash(d):
    beta, sigma = pm.Flat("beta", shape=6), pm.HalfFlat("sigma")
    area = d["diam1"] * d["diam2"]
    parts = (area * d["canopy_height"], area, d["diam1"] / d["diam2"], d["total_height"])
    columns = _design(*map(np.log, parts), d["group"])
    _normal_regression(columns, np.log(d["weight"]), beta, sigma)


def nes(d):
    beta, sigma = pm.Flat("beta", shape=9), pm.HalfFlat("sigma")
    ages = [1.0 * (d["age_discrete"] == group) for group in (2, 3, 4)]
    columns = _design(
        d["real_ideo"], d["race_adj"], *ages, d["educ1"], d["gender"], d["income"]
    )  # fmt: skip
    _normal_regression(columns, d["partyid7"], beta, sigma)


def blr(d):
    beta, sigma = pm.Normal("beta", 0, 10, shape=5), pm.HalfNormal("sigma", 10)
    _normal_regression(d["X"], d["y"], beta, sigma)


MODELS = {
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
