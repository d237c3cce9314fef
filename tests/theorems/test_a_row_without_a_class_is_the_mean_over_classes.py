"""Of a class y that labels tell (Kingma et al. 2014, eq. 6 and 7), with the same draws of z:

    U(x) = sum_y q(y | x) L(x, y) + H[q(y | x)],     L(x, y) the ELBO of a row whose class is y

so that a label which is hidden changes the objective by U(x) - L(x, y) alone.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.architectures import MixtureVAE
from taut.bounds import ELBO
from taut.core import Datum, particles
from taut.data import load_data

C, D, K = 3, 4, 2
RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, (60, D)).astype(float)
LABEL = np.array(["", "p", "q", "r"] * 15)


@pytest.fixture
def pair(float64):
    data = load_data((X, LABEL), target="y", dtype=np.float64)
    model = MixtureVAE(latent_dim=2, hidden=(5,), label_alpha=0.25)
    made = model.resolved(data.schema)[0].init(data.schema, jax.random.key(0))
    rows = data.train[:].datum(labelled=True)
    return model.start(made, rows, schema=data.schema), np.asarray(rows.label)


def _elbo(pair, x, label) -> float:
    datum = Datum(jnp.asarray(x), None, None if label is None else jnp.asarray(label))
    return float(_value(pair, datum))


@eqx.filter_jit
def _value(pair, datum):
    model, guide = pair.bind()
    return ELBO(kl="sampled")(particles(model, guide, guide, datum, jax.random.key(1), K))


def test_the_bound_without_a_class_is_the_mean_of_those_with_one_and_the_entropy(pair):
    pair, _ = pair
    for x in X[:5]:
        log_q = np.asarray(pair.bind()[1](Datum(jnp.asarray(x))).log_q_y)
        each = np.array([_elbo(pair, x, c) for c in range(C)])
        wanted = np.exp(log_q) @ (each - log_q)
        assert _elbo(pair, x, None) == pytest.approx(wanted, rel=1e-12)
        assert _elbo(pair, x, -1) == pytest.approx(wanted, rel=1e-12)


def test_the_bound_with_a_class_is_that_of_the_joint_by_hand(pair):
    """E_{q(z | x, y)} log p(y) + log p(z) + log p(x | y, z) - log q(z | x, y)."""
    pair, _ = pair
    noise = jax.random.normal(jax.random.key(1), (K, C, 2))

    @eqx.filter_jit
    def log_weight(pair, c, noise):
        model, guide = pair.bind()
        q = guide(Datum(jnp.asarray(X[0])))
        y, z = jnp.eye(C)[c], q.loc[c] + q.scale[c] * noise
        terms = model.terms(Datum(jnp.asarray(X[0])), (y, z))
        return sum(jnp.sum(t) for t in terms.values()) - q.within(y).log_prob(z)

    for c in range(C):
        total = sum(float(log_weight(pair, jnp.asarray(c), noise[k, c])) for k in range(K))
        assert _elbo(pair, X[0], c) == pytest.approx(total / K, rel=1e-12)


def test_labelled_rows_are_classified_with_the_weight_of_all_rows(pair):
    """alpha N / N_labelled times log q(y | x), and nothing for a row without a class."""
    pair, label = pair
    guide = pair.bind()[1]
    weight = 0.25 * len(label) / (label >= 0).sum()
    log_q = np.asarray(guide(Datum(jnp.asarray(X[0]))).log_q_y)
    for c in (0, 2):
        found = guide.classification(Datum(jnp.asarray(X[0]), None, jnp.asarray(c)))
        assert float(found) == pytest.approx(weight * log_q[c], rel=1e-12)
    assert guide.classification(Datum(jnp.asarray(X[0]), None, jnp.asarray(-1))) == 0
