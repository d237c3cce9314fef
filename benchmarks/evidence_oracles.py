"""Evidence methods on models whose evidence is known: coverage, error of a set, share flagged.

    linear-Gaussian     PPCA with a mean-field guide beside its posterior, 2, 10 and 50 latents
    exponential-normal  a positive latent, with a closed evidence
    mixture             a prior of two Gaussians far apart, and a guide that covers both badly
    missed mode         the same with a guide on one of the two
    funnel              nine latents whose scale is the exponential of a tenth
    spike               90 % of the mass in a spike inside of a slab: tempering has a phase transition

    python benchmarks/evidence_oracles.py [--rows 100] [--full] [--only NAME]

An interval is log-evidence +- 1.96 errors; among rows that their method does not flag (k-hat at most its
threshold) the number that hold the truth is tested against 95 % (exact binomial test, two-sided). Errors
of a set are those of its mean over rows. Truths are closed, or quadrature in one dimension.
"""

import argparse
import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.stats
from record import save_result

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, InputError, Pair
from taut.evidence import SMC, Annealed, Importance, QuasiMonteCarlo, sandwich, simulated
from taut.guides import ExponentialGuide
from taut.models import ExponentialNormal, ProbabilisticPCA


class Beside(eqx.Module):
    """The posterior's mean, moved, and a multiple of its scales, without its correlations."""

    model: Any
    widen: float = eqx.field(static=True)
    shift: float = eqx.field(static=True)

    def __call__(self, datum):
        exact = self.model.posterior(datum)
        scale = jnp.sqrt(exact.variance)
        return dist.Normal(exact.mean + self.shift * scale, self.widen * scale).to_event(1)


class Independent(AbstractModel):
    """p(z) = prod_d p(z_d) and no data: x is the offset of log p(x), which is known."""

    log_prior: Any = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def terms(self, datum, z):
        # The prior of the path is broad; the density of the oracle is prior times likelihood.
        broad = self.prior().log_prob(z)
        return {LOG_LIKELIHOOD: datum.x + self.log_prior(z) - broad, LOG_PRIOR: broad}

    def prior(self):
        return dist.Normal(jnp.zeros(self.size), 2 * jnp.ones(self.size)).to_event(1)


class Wide(eqx.Module):
    """N(loc, scale^2 I), whatever the datum."""

    size: int = eqx.field(static=True)
    loc: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __call__(self, datum):
        return dist.Normal(jnp.full(self.size, self.loc), jnp.full(self.size, self.scale)).to_event(
            1
        )


def linear_gaussian(size: int, rows: int):
    generator = np.random.default_rng(size)
    loadings = generator.normal(size=(2 * size, size)) / math.sqrt(size)
    model = ProbabilisticPCA(
        center=jnp.zeros(2 * size), loadings=jnp.asarray(loadings, float),
        log_variance=jnp.asarray(-1.0),
    )  # fmt: skip
    covariance = loadings @ loadings.T + math.exp(-1.0) * np.eye(2 * size)
    x = generator.multivariate_normal(np.zeros(2 * size), covariance, size=rows)
    known = scipy.stats.multivariate_normal(np.zeros(2 * size), covariance).logpdf(x)
    return Pair(model, Beside(model, 1.1, 0.2)), Datum(jnp.asarray(x, float)), known


def exponential(rows: int):
    model = ExponentialNormal.at(0.7)
    x = np.random.default_rng(0).exponential(1 / 0.7, rows)
    x = x + np.random.default_rng(1).normal(size=rows)
    data = Datum(jnp.asarray(x, float))
    known = np.asarray(jax.vmap(model.log_evidence)(data), np.float64)
    return Pair(model, ExponentialGuide.at(0.6)), data, known


def _offset(log_density, size: int, guide: Any, rows: int):
    x = np.linspace(-3.0, 3.0, rows)
    return Pair(Independent(log_density, size), guide), Datum(jnp.asarray(x, float)), x


def _mixture(z):
    ends = [jnp.sum(dist.Normal(m, 1.0).log_prob(z)) for m in (-2.0, 2.0)]
    return jnp.logaddexp(*ends) - math.log(2.0)


def _funnel(z):
    scale = jnp.exp(z[0])
    return dist.Normal(0.0, 1.0).log_prob(z[0]) + jnp.sum(dist.Normal(0.0, scale).log_prob(z[1:]))


def _spike(z):
    slab = math.log(0.1) + jnp.sum(dist.Normal(0.0, 1.0).log_prob(z))
    spike = math.log(0.9) + jnp.sum(dist.Normal(1.0, 0.05).log_prob(z))
    return jnp.logaddexp(slab, spike)


def oracles(rows: int, full: bool) -> dict[str, Any]:
    made = {f"linear-gaussian {d}": linear_gaussian(d, rows) for d in (2, 10, 50)}
    made["exponential-normal"] = exponential(rows)
    few = rows if full else min(rows, 50)  # all rows of these are alike
    made["mixture"] = _offset(_mixture, 4, Wide(4, 0.0, 2.5), few)
    made["missed mode"] = _offset(_mixture, 4, Wide(4, 2.0, 1.1), few)
    made["funnel"] = _offset(_funnel, 10, Wide(10, 0.0, 1.2), few)
    made["spike"] = _offset(_spike, 10, Wide(10, 0.0, 1.0), few)
    return made


def methods(full: bool) -> dict[str, Any]:
    chains = (200, 20) if full else (100, 12)
    tempered = {"num_particles": chains[0], "temperatures": chains[1]}
    return {
        "importance": Importance(num_particles=5000),
        "quasi-monte-carlo": QuasiMonteCarlo(num_particles=4096),
        "annealed": Annealed(**tempered),
        "smc": SMC(**tempered),
        "annealed from the prior": Annealed(**tempered, start="prior"),
    }


def measured(method: Any, pair: Any, data: Datum, known: np.ndarray) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        found = method(pair, data, key=jax.random.key(0))
    except InputError as refused:
        return {"refused": str(refused)}
    off, trusted = np.asarray(found.log_evidence.values) - known, ~found.unreliable
    within = np.abs(off) <= 1.959964 * found.errors
    held, count = int(within[trusted].sum()), int(trusted.sum())
    return {
        "seconds": time.perf_counter() - began,
        "rows": len(off),
        "share_flagged": found.share_unreliable,
        "trusted_rows": count,
        "trusted_hold_the_truth": held,
        "coverage_p_value": float(scipy.stats.binomtest(held, count, 0.95).pvalue)
        if count
        else None,
        "set_is_off_by": float(off.mean()),
        "error_of_the_set": float(np.sqrt(np.sum(found.errors**2)) / len(off)),
        "root_mean_square_of_a_row": float(np.sqrt(np.mean(off**2))),
        "flagged_as_a_set": "unreliable" in found.log_evidence.flags,
    }


def bracketed(pair: Any, data: Datum, truth: Any, rows: int, options: Any) -> dict[str, Any]:
    """Both ends on rows that the model makes, against its own evidence."""
    made = simulated(pair.bind()[0], data, rows, key=jax.random.key(1))
    ends = sandwich(pair, made, options, key=jax.random.key(2))
    known = np.asarray(jax.vmap(truth)(made.rows), np.float64)
    low, high = (np.asarray(e.values) - known for e in (ends.log_evidence, ends.upper))
    return {
        "rows": rows,
        "lower_off": [float(low.mean()), float(low.std(ddof=1) / math.sqrt(rows))],
        "upper_off": [float(high.mean()), float(high.std(ddof=1) / math.sqrt(rows))],
        "width": float((high - low).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    content: dict[str, Any] = {"rows": asked.rows, "full": asked.full, "methods": {}, "oracles": {}}
    chosen = methods(asked.full)
    content["methods"] = {name: method.to_dict() for name, method in chosen.items()}
    for name, (pair, data, known) in oracles(asked.rows, asked.full).items():
        if asked.only not in name:
            continue
        found = {m: measured(method, pair, data, known) for m, method in chosen.items()}
        if name.startswith("linear-gaussian"):
            model = pair.bind()[0]
            options = chosen["annealed"]
            found["sandwich"] = bracketed(pair, data, model.log_evidence, asked.rows, options)
        content["oracles"][name] = found
        print(name)
        for method, numbers in found.items():
            print("   ", method, {k: _short(v) for k, v in numbers.items()}, flush=True)
    if not asked.only:
        print(save_result("evidence_oracles", content))


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
