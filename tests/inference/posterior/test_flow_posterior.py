"""`taut.infer` with a flow: a bent posterior that no Gaussian holds, and how stages of steps stop."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from targets import normal_log_prob

import taut
from taut.core import Estimate, InputError, particles
from taut.guides import FlowPosterior
from taut.inference.posterior import (
    Candidate,
    Gaussian,
    GaussianFamily,
    GuideChoice,
    GuideFit,
    LogDensity,
    PosteriorOptions,
    Round,
    Whitened,
    averaged_sgd,
    candidate,
    choose_guide,
    within_edges,
)
from taut.inference.posterior.weighted_draws import WeightedDraws
from taut.models.program import LogJoint


def banana(z):
    return normal_log_prob(z[0], 0.0, 1.0) + normal_log_prob(z[1], z[0] ** 2, 0.3)


@pytest.fixture(scope="module")
def posterior():
    return taut.infer(
        banana, support={"z": ("real", 2)}, guide="affine-coupling:2", num_starts=1, num_draws=4000
    )


def test_a_flow_holds_what_its_gaussian_start_does_not(posterior):
    """The density is normalized: its evidence is 0, z[0] is standard normal, z[1] its square + noise."""
    start, *_, end = posterior.trace
    assert start.bound < -0.5
    assert end.bound > -0.1
    assert posterior.verdict.verdict != "do not believe"
    evidence, elbo = posterior.estimates["log_evidence"], posterior.estimates["elbo"]
    assert abs(evidence.value) < 5 * evidence.mc_error
    assert -0.1 < elbo.value < 5 * elbo.mc_error
    found = posterior.resampled
    assert np.all(np.abs(found.mean - [0, 1]) < 5 * found.mean_error)
    assert np.all(np.abs(found.sd - [1, np.sqrt(2.09)]) < 5 * found.sd_error)


def test_which_of_both_is_kept_is_said(posterior):
    (note,) = posterior.notes
    assert note.startswith("affine-coupling:2 is kept, with ")
    assert "rather than full-rank, with " in note
    assert (posterior.family, posterior.layers) == ("flow", "affine-coupling:2")
    assert (posterior.facts.family, posterior.facts.layers) == ("flow", "affine-coupling:2")


def test_the_flow_is_a_guide_like_any_other(posterior, float64):
    model, guide = posterior.model, posterior.guide
    minted = particles(model, guide, guide, posterior.datum, jax.random.key(0), 2000)
    elbo = posterior.estimates["elbo"]
    error = np.hypot(np.std(minted.log_w) / np.sqrt(2000), elbo.mc_error)
    assert abs(np.mean(minted.log_w) - elbo.value) < 5 * error


@pytest.mark.parametrize(
    ("flow", "gaussian", "kept"),
    [
        ((900.0, 0.5), (500.0, 0.4), True),
        ((905.0, -0.1), (900.0, 0.4), False),  # no more than chance: the simpler one
        ((900.0, 0.8), (500.0, 0.4), False),
        ((500.0, 0.4), (900.0, 0.8), True),
        ((900.0, 0.9), (500.0, 0.8), True),
    ],
)
def test_the_guide_whose_draws_weigh_more_evenly_is_kept(flow, gaussian, kept, monkeypatch):
    unknown = Estimate(0.0, "none")
    weighed = {
        name: WeightedDraws(
            np.zeros((1, 1)), 1, np.ones(1), unknown, unknown, khat, khat, 0.7, 20.0, ess, 0.0
        )
        for name, (ess, khat) in (("flow", flow), ("gaussian", gaussian))
    }
    monkeypatch.setattr(within_edges, "weighted_draws", lambda _, guide, **__: weighed[guide])
    found: Any = [
        Candidate(choice, None, GuideFit(name, unknown, unknown, (), True), None)  # pyright: ignore
        for choice, name in (
            (GuideChoice("flow", layers="planar:8"), "flow"), (GuideChoice("full-rank"), "gaussian")
        )
    ]  # fmt: skip
    chosen, best, notes = within_edges._best_weighed(
        found[0]._replace(rival=found[1]), 1, np.random.default_rng(0)
    )
    assert chosen.fitted.guide == ("flow" if kept else "gaussian")
    assert best is weighed[chosen.fitted.guide]
    assert notes[0].startswith(
        f"{'planar:8' if kept else 'full-rank'} is kept, with {best.ess:.0f}"
    )


def fenced(z):
    return jnp.where(z[0] > 0.5, normal_log_prob(z[0], 0.0, 1.0), -jnp.inf)


def test_a_gaussian_that_is_kept_within_an_edge_is_no_laplace_approximation(monkeypatch):
    monkeypatch.setattr(within_edges, "more_even", lambda *_: False)
    posterior = taut.infer(
        fenced, support={"z": ("real", 1)}, guide="planar:1", num_starts=1, precision_nats=1.0,
        refine="none",
    )  # fmt: skip
    assert posterior.family == "full-rank"
    assert [note for note in posterior.notes if "stay within the edge" in note]
    assert not [note for note in posterior.notes if "Laplace" in note]


@pytest.mark.parametrize(("layers", "says"), [("iaf:1", True), ("affine-coupling:1", False)])
def test_a_density_of_many_passes_is_announced(layers, says, monkeypatch):
    model, datum = LogJoint.of(lambda a: -jnp.sum(a**2), {"a": ("real", 6)})
    unknown = Estimate(0.0, "none")
    gaussian = Gaussian(np.zeros(6), np.eye(6))
    rounds = (Round(1, 10, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0),)
    flow = FlowPosterior(6, layers, key=jax.random.key(0))
    begun: Any = Candidate(
        GuideChoice("full-rank"), GaussianFamily(LogDensity(model, datum), 6),
        GuideFit(gaussian, unknown, unknown, rounds, True), None,
    )  # fmt: skip
    later = GuideFit(flow, unknown, unknown, rounds, True)
    monkeypatch.setattr(candidate, "fit_guide", lambda *_: begun)
    monkeypatch.setattr(candidate, "flow_vi", lambda *_, **__: later)
    choice = GuideChoice("flow", layers=layers)
    found = candidate._flow(
        choice, model, datum, np.random.default_rng(0), PosteriorOptions(num_starts=1)
    )
    assert [r.num_steps for r in found.fitted.rounds] == [10, 20]
    assert found.rival is begun
    note = (
        ("iaf:1 takes 6 passes through its layers to evaluate the density of a given z",)
        if says
        else ()
    )
    assert found.notes == note


LOC = np.array([1.0, -2.0])
TRIL = np.array([[2.0, 0.0], [-1.5, 0.5]])


def test_a_mapped_flow_is_the_flow_of_mapped_draws(float64):
    tril = jnp.array([[0.5, 0.0], [0.3, 2.0]])
    for diagonal in (False, True):
        flow = FlowPosterior(
            2, "affine-coupling:2", loc=jnp.array([0.3, 0.1]), scale_tril=jnp.diag(jnp.diag(tril)),
            diagonal=diagonal, key=jax.random.key(1),
        )  # fmt: skip
        mapped, e = flow.mapped(jnp.asarray(LOC), jnp.asarray(TRIL)), jnp.array([0.7, -1.2])
        (u, log_q), (z, log_q_z) = flow.push(e), mapped.push(e)
        np.testing.assert_allclose(z, LOC + TRIL @ u, rtol=1e-12)
        assert log_q_z == pytest.approx(log_q - np.log(2.0 * 0.5))


def test_whitening_is_a_change_of_variables(float64):
    model, datum = LogJoint.of(banana, {"z": ("real", 2)})
    white = Whitened(model, jnp.asarray(LOC), jnp.asarray(TRIL))
    u = jnp.array([0.2, 0.9])
    exact = model.log_joint(datum, LOC + TRIL @ u) + np.log(2.0 * 0.5)
    assert white.log_joint(datum, u) == pytest.approx(float(exact))
    assert not white.subsampled


def in_stages(moves, values, **wishes):
    """A fit whose stages end at given numbers, with the step sizes that it took."""
    sizes = []

    def advance(number, size):
        sizes.append(size)
        return moves[number]

    fitted = averaged_sgd(
        advance, values, step_size=1.0, precision_nats=0.1, num_draws=1, clock=lambda: 0.0, **wishes
    )
    return fitted, sizes


def test_stages_stop_when_two_in_a_row_gain_little():
    noise = np.array([1.0, 2.0, 4.0])  # common to all stages: it is no part of a gain
    moves = [1.0, 1.5, 1.55, 1.56, 9.0]
    found, sizes = in_stages(moves, lambda q: q + noise, start=0.0)
    assert found.converged
    assert [r.gain for r in found.rounds] == pytest.approx([1.0, 0.5, 0.05, 0.01])
    assert sizes == [1.0, 1.0, 1.0, 0.5]
    assert found.guide == 1.56
    assert found.elbo.value == pytest.approx(1.56 + 7 / 3)
    assert [r.num_steps for r in found.rounds] == [500, 1000, 1500, 2000]


def test_stages_that_lose_are_not_kept_and_one_that_gains_again_goes_on():
    moves = [1.0, 0.5, 2.0, 1.9, 2.01, 9.0]
    found, sizes = in_stages(moves, lambda q: q + np.zeros(3))
    # Each against the best so far; a loss is little gain, but not twice in a row.
    assert [r.gain for r in found.rounds[1:]] == pytest.approx([-0.5, 1.0, -0.1, 0.01])
    assert found.guide == 2.01
    assert sizes == [1.0, 1.0, 0.5, 0.5, 0.25]
    lost, sizes = in_stages([np.nan] * 100, lambda q: np.full(3, -np.inf), start=0.0)
    assert not lost.converged
    assert min(sizes) < 1e-4


def test_a_gain_within_its_error_halves_the_step_and_does_not_stop():
    def value(q):
        return np.array([0.0, 1.0, -1.0]) * (q % 2) + 0.2 * q

    found, sizes = in_stages([1.0, 2.0, 3.0, *[4.0] * 9], value, start=0.0)
    assert sizes[:3] == [1.0, 0.5, 0.25]
    assert found.guide == 4.0


@pytest.mark.parametrize(
    ("wish", "dim", "found"),
    [
        ("flow", 2, ("flow", 0, "affine-coupling:4")),
        ("flow", 1, ("flow", 0, "spline-coupling")),
        ("planar:8", 5, ("flow", 0, "planar:8")),
        ("lu,spline-coupling:2", 5, ("flow", 0, "lu,spline-coupling:2")),
    ],
)
def test_layers_name_a_flow(wish, dim, found):
    assert choose_guide(wish, dim, subsampled=False) == found


@pytest.mark.parametrize(
    ("wish", "subsampled", "message"),
    [
        ("planar:x", False, r"^guide: expected planar:K with K layers, .* got 'planar:x'"),
        ("planar,plnar", False, r"^guide: expected layers among .* got 'plnar'\. Try 'planar'"),
        ("flow:3", False, r"^guide: expected a guide in .*, or layers of a flow such as .* 'flow:3'"),
        ("planar:8", True, r'^guide: expected guide="structured" .* got guide="flow" with one'),
    ],
)  # fmt: skip
def test_layers_that_make_no_flow_are_refused(wish, subsampled, message):
    with pytest.raises(InputError, match=message):
        choose_guide(wish, 5, subsampled=subsampled)
