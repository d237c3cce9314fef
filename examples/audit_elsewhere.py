"""How tight the bound of a model is that was trained elsewhere, here a factor analysis of scikit-learn.

    python examples/audit_elsewhere.py

Its posteriors are known. An encoder that names only their means and variances drops their correlations,
and the audit says what these cost: the approximation gap. A VAE in PyTorch: `examples/audit_torch.py`.
"""

import numpy as np
import numpyro.distributions as dist
from sklearn.datasets import load_wine
from sklearn.decomposition import FactorAnalysis

import taut


def main() -> None:
    rows = load_wine().data
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)
    train, held_out = rows[::2], rows[1::2]
    fitted = FactorAnalysis(3, tol=1e-6, max_iter=10_000, rotation="varimax").fit(train)
    loadings, noise = fitted.components_.T, np.sqrt(fitted.noise_variance_)
    precision = np.eye(3) + loadings.T @ (loadings / noise[:, None] ** 2)
    weight = np.linalg.solve(precision, loadings.T / noise**2)
    scale = np.diagonal(precision) ** -0.5

    model = taut.wrap_model(
        train,
        encode=lambda x: (weight @ (x - fitted.mean_), scale),
        decode=lambda z: dist.Normal(fitted.mean_ + loadings @ z, noise),
        precision="float64",
    )
    audit = model.audit(train, held_out=held_out)
    cost = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    print("log-evidence, held out   ", model.bracket(held_out).lower)
    print("scikit-learn's           ", fitted.score(held_out))
    print("correlations that go     ", audit.held_out.approximation)
    print("in closed form           ", cost)


if __name__ == "__main__":
    main()
