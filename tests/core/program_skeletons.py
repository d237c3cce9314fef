"""Skeletons of programs, whole and subsampled over a plate."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.handlers import seed, substitute, trace
from scipy.stats import multivariate_normal, norm
from skeleton import Skeleton

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractModel,
    Datum,
    Pair,
)

PLATE_SIZE = 4


def program(loading, rows):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", PLATE_SIZE, subsample_size=rows.shape[0]):
        numpyro.sample("x", dist.Normal(loading * z, 1.0), obs=rows)


class ProgramModel(AbstractModel):
    loading: Any
    num_rows: int = eqx.field(static=True)

    @property
    def subsampled(self):
        return self.num_rows < PLATE_SIZE

    def terms(self, datum, z):
        # The key is never used: every random choice of the program is substituted or observed.
        chosen: dict[str, Any] = {"z": z, "rows": datum.index}
        bound = substitute(seed(program, 0), chosen)
        sites = trace(bound).get_trace(self.loading, datum.x)
        terms = {LOG_LIKELIHOOD: jnp.zeros(()), LOG_PRIOR: jnp.zeros(())}
        for site in sites.values():
            if site["type"] == "sample":
                name = LOG_LIKELIHOOD if site["is_observed"] else LOG_PRIOR
                scale = 1.0 if site["scale"] is None else site["scale"]
                terms[name] += scale * site["fn"].log_prob(site["value"]).sum()
        return terms


class GlobalGuide(eqx.Module):
    loc: Any
    log_scale: Any

    def __call__(self, datum):
        return dist.Normal(self.loc, jnp.exp(self.log_scale))


def whole_program(num_rows: int = PLATE_SIZE) -> Skeleton:
    def log_p(pair, datum, z):
        rows = norm.logpdf(datum.x, pair.model.loading * z, 1.0)
        return norm.logpdf(z) + PLATE_SIZE / num_rows * rows.sum()

    def log_evidence(pair, datum):
        covariance: Any = np.eye(PLATE_SIZE) + float(pair.model.loading) ** 2
        return float(multivariate_normal(np.zeros(PLATE_SIZE), covariance).logpdf(datum.x))

    rows = jnp.array([[0.5, -0.2, 1.1, 0.3], [-0.4, 0.2, 0.1, -1.0], [0.9, 0.4, -0.1, 0.6]])
    index = jnp.tile(jnp.arange(num_rows), (3, 1))
    return Skeleton(
        pair=Pair(
            ProgramModel(jnp.array(0.6), num_rows),
            GlobalGuide(loc=jnp.array(0.1), log_scale=jnp.array(-0.2)),
        ),
        data=Datum(x=rows[:, :num_rows], index=index),
        log_p=log_p,
        log_q=lambda pair, datum, z: norm.logpdf(z, pair.guide.loc, np.exp(pair.guide.log_scale)),
        log_evidence=log_evidence if num_rows == PLATE_SIZE else None,
        enters={
            ".model.loading": {"model"},
            ".guide.loc": {"path", "density"},
            ".guide.log_scale": {"path", "density"},
        },
    )


def subsampled_program() -> Skeleton:
    return whole_program(num_rows=2)
