"""A bracket by methods that get costlier: it holds the evidence where that is known, of every model."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.special
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    NormalGuide,
    TableModel,
)

import taut
from taut.architectures import ARCHITECTURES
from taut.core import AbstractModel, Datum, Pair
from taut.evidence import Annealed, Escalation, Importance
from taut.fitted.escalating import escalated, ladder
from taut.inference import Refined


class Scalar(AbstractModel):
    """The conjugate model, with latents that are vectors and rows that can be drawn."""

    inner: ConjugateGaussian

    def terms(self, datum, z):
        return self.inner.terms(datum, z[0])

    def prior(self):
        return dist.Normal(jnp.zeros(1), 1.0).to_event(1)

    def sample(self, z, key):
        mean = self.inner.loading * z[0] + self.inner.shift
        return mean + jnp.exp(self.inner.log_noise) * jax.random.normal(key)


class Table(AbstractModel):
    """The table, with draws."""

    inner: TableModel

    def terms(self, datum, z):
        return self.inner.terms(datum, z)

    def kl(self, datum, q, z):
        return self.inner.kl(datum, q, z)

    def prior(self):
        return dist.Categorical(logits=self.inner.prior_logits)

    def sample(self, z, key):
        return jax.random.categorical(key, self.inner.likelihood_logits[z])


CONJUGATE = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
TABLE = TableModel(jnp.array([0.2, -0.5]), jnp.array([[0.3, -0.1, 0.2], [-0.4, 0.5, 0.1]]))
X = np.random.default_rng(0).normal(-0.2, 1.2, size=30)


class Vector(eqx.Module):
    """A guide over vectors of one."""

    inner: NormalGuide

    def __call__(self, datum):
        return dist.Normal(self.inner(datum).mean[None], self.inner(datum).scale).to_event(1)


def bracket(pair: Any, x: Any, **options: Any) -> Any:
    return escalated(
        pair, Datum(jnp.asarray(x)), Escalation(**options),
        serving=lambda _: pair, num_particles=400, key=jax.random.key(0),
    )  # fmt: skip


def holds(found: Any, truth: np.ndarray) -> bool:
    low, high = found.ends
    return low <= truth.mean() <= high


@pytest.mark.parametrize(("scale", "method"), [(-0.2, "importance"), (-1.6, "refined")])
def test_it_holds_the_evidence_of_a_linear_gaussian_model(scale, method):
    """A guide that is far too narrow is flagged; a Gaussian fitted to each row is the posterior."""
    guide = Vector(NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(scale)))
    found = bracket(Pair(Scalar(CONJUGATE), guide), X)
    assert (found.method, found.stopped) == (method, "precision")
    assert found.width <= 0.1
    assert holds(found, np.array([CONJUGATE.log_evidence(x) for x in X]))
    assert found.evidence.upper is found.upper
    assert found.evidence.log_evidence is found.lower


def test_it_holds_the_evidence_of_an_enumerable_model():
    x = np.arange(30) % 3
    truth = scipy.special.logsumexp(TABLE.log_joint_table(), axis=0)[x]
    drawn = bracket(Pair(Table(TABLE), CategoricalGuide(jnp.array([0.1, 0.3]))), x)
    assert drawn.stopped == "precision"
    assert holds(drawn, truth)
    summed = bracket(Pair(Table(TABLE), EnumeratedGuide(jnp.array([0.1, 0.3]))), x)
    assert (summed.stopped, summed.width) == ("exact", 0)
    np.testing.assert_allclose(summed.lower.values, truth, rtol=1e-5)


def test_discrete_latents_end_with_what_applies_to_them():
    pair = Pair(Table(TABLE), CategoricalGuide(jnp.array([0.1, 0.3])))
    found = bracket(pair, np.arange(30) % 3, precision_nats=1e-9)
    assert (found.method, found.stopped) == ("importance", "methods")
    assert [bool(step.reason) for step in found.steps] == [False, True, True, True]
    assert "discrete" in found.steps[1].reason


@pytest.mark.parametrize(("share", "stopped"), [(1.01, "precision"), (0.99, "methods")])
def test_a_bracket_ends_where_its_whole_width_is_as_asked(share, stopped):
    pair = Pair(Table(TABLE), CategoricalGuide(jnp.array([0.1, 0.3])))
    x = np.arange(30) % 3
    width = bracket(pair, x, precision_nats=1e-9).width
    assert bracket(pair, x, precision_nats=share * width).stopped == stopped


def rows_for(name: str) -> np.ndarray:
    generator = np.random.default_rng(4)
    group = generator.random((40, 1)) < 0.5
    if name in ("lca", "discrete"):
        return (generator.random((40, 6)) < np.where(group, 0.9, 0.2)).astype(float)
    return generator.normal(size=(40, 6)) + 3.0 * group


# Of the architectures with networks, such as compile soon.
SMALL: dict[str, dict[str, Any]] = {
    "vae": {"hidden": (4,), "latent_dim": 2},
    "mixture-vae": {"hidden": (4,), "latent_dim": 2},
    "ladder": {"hidden": (4,), "latent_dims": (2,)},
    "flow": {"hidden": (4,), "layers": "affine-coupling:2"},
    "discrete": {"hidden": (4,)},
    "vq": {"hidden": (4,)},
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def fit(request) -> Any:
    few = SMALL[request.param] | {"epochs": 1} if request.param in SMALL else {}
    return taut.fit(rows_for(request.param), model=request.param, evidence_particles=4, **few)


def test_every_architecture_ends_with_one_number(fit, monkeypatch):
    """Annealing in one step, which is importance sampling, compiles in no time."""

    def short(*_: Any) -> Any:
        return Importance(20), Refined(20), Annealed(num_particles=20, temperatures=1)

    monkeypatch.setattr("taut.fitted.escalating.ladder", short)
    monkeypatch.setattr("taut.fitted.escalating._SIMULATED_ROWS", 10)
    found = fit.bracket(rows_for(fit.architecture.name)[:6])
    assert np.isfinite(found.lower.value)
    assert found.lower.count == 6
    assert found.stopped in ("exact", "precision", "methods")
    assert all(step.reason or step.evidence for step in found.steps)
    assert str(fit.evidence(rows_for(fit.architecture.name)[:6], method="auto")) == str(found.lower)
    plain = found.to_dict()
    assert [step["method"] for step in plain["steps"]] == [step.method for step in found.steps]


@pytest.mark.parametrize(
    "layers", ["dequantize,affine-coupling:2", "vae:2", "augment:1,affine-coupling:2"]
)
def test_a_chain_that_draws_ends_with_its_lower_number(layers, monkeypatch):
    """A simulated row comes with the last latent of its path, and weights are of whole paths."""
    monkeypatch.setattr("taut.fitted.escalating._SIMULATED_ROWS", 10)
    rows = np.random.default_rng(0).poisson(3, size=(40, 2)).astype(float)
    fit = taut.fit(rows, model="flow", layers=layers, hidden=(4,), epochs=1, evidence_particles=4)
    # No upper end is looked for where the errors of the lower one are not known.
    monkeypatch.setattr("taut.evidence.importance._TRUSTED_SHARE", 1.0)
    found = fit.bracket(rows[:6], num_particles=20)
    assert (found.method, found.upper, found.stopped) == ("importance", None, "methods")
    assert np.isfinite(found.lower.value)
    assert found.evidence.notes == (
        "no upper end: not for a chain of layers, of whose latents simulated rows know the last alone",
    )


def test_annealing_begins_at_fitted_gaussians_where_there_are_some():
    pair = Pair(
        Scalar(CONJUGATE), Vector(NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(0.0)))
    )
    labels = [method.label for method in ladder(pair, Datum(jnp.asarray(X)), None)]
    assert labels == ["importance", "refined", "refined-annealed", "refined-annealed, T = 80"]
    other = Pair(Table(TABLE), CategoricalGuide(jnp.zeros(2)))
    assert ladder(other, Datum(jnp.zeros(3, int)), 7)[2:] == (Annealed(), Annealed(temperatures=80))
    assert ladder(other, Datum(jnp.zeros(3, int)), 7)[0] == Importance(7)


def test_draws_that_are_asked_for_reach_every_method_that_weighs_them():
    pair = Pair(
        Scalar(CONJUGATE), Vector(NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(0.0)))
    )
    usual, asked = (ladder(pair, Datum(jnp.asarray(X)), number) for number in (None, 7))
    assert usual[:2] == (Importance(1000), Refined(1000))
    assert asked[:2] == (Importance(7), Refined(7))
    assert asked[2:] == usual[2:]  # chains cost more than draws, and have a number of their own
