#!/usr/bin/env bash
# NumPyro 0.22.0: log-probabilities of large counts in float32, the default, are off by many nats.
#
# Log Gammas of a count of ten million are numbers of nine digits whose difference is asked for. The
# probability of the mean under Poisson(1e7) is reported as exp(16), under Binomial(1e7, 1/2) as exp(-32),
# where -9.0 and -8.3 nats are right; the density of StudentT(1e7) at 0 as exp(0), where -0.92 is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 scipy==1.17.1 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import numpyro.distributions as dist
from scipy import stats

cases = {
    "Poisson": (dist.Poisson(1e7).log_prob(10_000_000), stats.poisson.logpmf(10**7, 1e7)),
    "Binomial": (
        dist.BinomialProbs(0.5, 10_000_000).log_prob(5_000_000),
        stats.binom.logpmf(5 * 10**6, 10**7, 0.5),
    ),
    "StudentT": (dist.StudentT(1e7).log_prob(0.0), stats.t.logpdf(0, 1e7)),
}
for name, (found, right) in cases.items():
    print(f"{name}: {float(found):.3f} nats, right {right:.3f}")
    assert abs(float(found) - right) > 0.9, name
PY
