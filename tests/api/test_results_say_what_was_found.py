"""Every field of a result holds what the run found under that name, and not its neighbour's number."""

import math
import sys
from collections.abc import Callable
from dataclasses import fields
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Estimate
from taut.core.measure import Measure
from taut.data.checksum import checksum_of_arrays
from taut.fitted.facts import ChosenGradient, FitFacts, PosteriorFacts, RowCounts
from taut.fitted.posterior import Posterior
from taut.training import TrainingState

# ---- taut.infer ------------------------------------------------------------------------------------


def _skewed(rate: Any, y: Any) -> Any:
    return jnp.sum(y * jnp.log(rate) - rate) - rate


@pytest.fixture(scope="module")
def inferred() -> tuple[Any, Posterior]:
    """What the fit of a guide found, and what `taut.infer` made of it."""
    door, found = sys.modules["taut.api.inferring"], []
    fit_posterior = door.fit_posterior

    def record(*arguments: Any, **given: Any) -> Any:
        found.append(fit_posterior(*arguments, **given))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "fit_posterior", record)
        posterior = taut.infer(
            _skewed, data={"y": np.array([2.0, 0.0])}, support={"rate": "positive"}, num_draws=400
        )
    return found[0], posterior


OF_A_POSTERIOR: dict[str, Callable[[Any], Any]] = {
    "natural": lambda fit: fit.values,
    "guide": lambda fit: type(fit.guide),
    "family": lambda fit: fit.candidate.choice.family,
    "layers": lambda fit: fit.candidate.choice.layers,
    "khat": lambda fit: fit.draws.khat,
    "guide_khat": lambda fit: fit.draws.guide_khat,
    "khat_threshold": lambda fit: fit.draws.threshold,
    "ess": lambda fit: fit.draws.ess,
    "raw": lambda fit: fit.raw,
    "resampled": lambda fit: fit.resampled,
    "verdict": lambda fit: fit.verdict,
    "trace": lambda fit: fit.candidate.fitted.rounds,
    "starts": lambda fit: fit.candidate.starts,
    "notes": lambda fit: fit.notes,
    "num_guide": lambda fit: fit.draws.num_guide,
    "refined": lambda fit: fit.refinement,
    "z": lambda fit: fit.draws.z,
    "weights": lambda fit: fit.draws.weights,
}
ESTIMATES: dict[str, Callable[[Any], Estimate]] = {
    "elbo": lambda fit: fit.draws.elbo,
    "log_evidence": lambda fit: fit.draws.log_evidence,
    "remaining_gain": lambda fit: fit.candidate.fitted.remaining,
}


@pytest.mark.parametrize("name", OF_A_POSTERIOR)
def test_a_posterior_holds_what_was_found(name, inferred):
    fit, posterior = inferred
    wanted, found = OF_A_POSTERIOR[name](fit), getattr(posterior, name)
    assert found is wanted or found == wanted or (name == "guide" and type(found) is wanted)


def test_its_estimates_and_seconds_are_those_of_the_fit(inferred):
    fit, posterior = inferred
    assert set(OF_A_POSTERIOR) | {"estimates", "seconds"} == {f.name for f in fields(Posterior)}
    assert set(posterior.estimates) == set(ESTIMATES)
    for name, read in ESTIMATES.items():
        found, wanted = posterior.estimates[name], read(fit)
        # The constant of a log-joint is free, and so is that of its evidence.
        free = {"free constant"} if name != "remaining_gain" else set()
        assert found == wanted or found.to_dict() == {
            **wanted.to_dict(),
            "flags": sorted(wanted.flags | free),
        }
    assert fit.seconds.items() <= posterior.seconds.items()
    numbers = ("khat", "guide_khat", "khat_threshold", "ess", "num_guide")
    for one, other in combinations(numbers, 2):  # else one in place of another would not be seen
        assert getattr(posterior, one) != getattr(posterior, other)


OF_POSTERIOR_FACTS: dict[str, Callable[[Posterior], Any]] = {
    "verdict": lambda p: str(p.verdict),
    "program": lambda p: p.model.name,
    "family": lambda p: p.family,
    "layers": lambda p: p.layers,
    "coordinates": lambda p: 1,
    "khat": lambda p: p.khat,
    "guide_khat": lambda p: p.guide_khat,
    "khat_threshold": lambda p: p.khat_threshold,
    "effective_draws": lambda p: p.ess,
    "num_draws": lambda p: 400,
    "steps": lambda p: p.trace[-1].num_steps,
    "starts": lambda p: p.starts and (len(p.starts.starts), p.starts.winner),
    "seconds": lambda p: p.seconds,
    "checksum": lambda p: checksum_of_arrays({"['y']": np.array([2.0, 0.0])}),
    "observed": lambda p: "",  # of a log-joint, whose data may be anything
    "notes": lambda p: p.notes,
    "refined": lambda p: p.refined,
}


@pytest.mark.parametrize("name", OF_POSTERIOR_FACTS)
def test_the_facts_of_a_posterior_are_its_own(name, inferred):
    found, wanted = getattr(inferred[1].facts, name), OF_POSTERIOR_FACTS[name](inferred[1])
    assert wanted == ((found.climbed, found.winner) if name == "starts" else found)
    assert set(OF_POSTERIOR_FACTS) == {f.name for f in fields(PosteriorFacts)}


# ---- taut.fit --------------------------------------------------------------------------------------


PARTS = tuple(np.split(np.random.default_rng(0).normal(size=(30, 2)), (15, 25)))
BIASED = {"gradient differs from the bound's": "by a bias"}


@pytest.fixture(scope="module")
def fitted() -> tuple[TrainingState, taut.Fit]:
    """The state that training ended with, at step 77, and the fit; the clock tells 1, 10 and 100 s."""
    door, found = sys.modules["taut.api.amortized"], []
    train, completed, departures = door.train, door.completed, door.departures
    clock = iter((1.0, 10.0, 100.0))

    def record(*arguments: Any, **given: Any) -> Any:
        state = train(*arguments, **given)
        found.append(state._replace(step=np.asarray(77, np.int32)))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "train", record)
        patch.setattr(door, "completed", lambda r: completed(r)._replace(why="of a reason"))
        patch.setattr(door, "departures", lambda *given: departures(*given) | BIASED)
        patch.setattr(door, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
        fit = taut.fit(
            PARTS, latent_dim=1, hidden=(2,), bound="elbo", beta=0.5,
            kl_warmup_steps=50, epochs=1, evidence_particles=12,
        )  # fmt: skip
    return found[0], fit


OF_FIT_FACTS: dict[str, Callable[[TrainingState, taut.Fit], Any]] = {
    "rows": lambda state, fit: RowCounts(15, 10, 5),
    "steps": lambda state, fit: 77,
    "best_step": lambda state, fit: int(state.best_step),
    "training_seconds": lambda state, fit: 9.0,
    "evaluation_seconds": lambda state, fit: 90.0,
    "particles": lambda state, fit: 12,
    "evidence_method": lambda state, fit: "importance",
    "reasons": lambda state, fit: fit.recipe.model.resolved(fit.schema)[1],
    "gradient": lambda state, fit: ChosenGradient("reparameterized", "of a reason"),
    # Of the step whose parameters are kept, at which the KL was still warming up.
    "objective_departure": lambda state, fit: fit.recipe.bound.departure(int(state.best_step)),
    "gradient_departure": lambda state, fit: "by a bias",
    "code_use": lambda state, fit: None,
    "em": lambda state, fit: None,
    "checksum": lambda state, fit: taut.load_data(PARTS).checksum,
    "untargeted_checksum": lambda state, fit: "",
    "grey_checksum": lambda state, fit: "",
    "measure": lambda state, fit: Measure(("density",)),
    "ended": lambda state, fit: "level",
    "totals": lambda state, fit: (),
    "refitted_from": lambda state, fit: "",
    "notes": lambda state, fit: (),
}


@pytest.mark.parametrize("name", OF_FIT_FACTS)
def test_the_facts_of_a_fit_are_of_its_run(name, fitted):
    assert getattr(fitted[1].facts, name) == OF_FIT_FACTS[name](*fitted)
    assert {*OF_FIT_FACTS, "device", "versions"} == {f.name for f in fields(FitFacts)}


@pytest.mark.parametrize(("shape", "missing"), [((3, 2), 0), ((2, 3, 3), 7)])
def test_bits_per_dimension_are_those_of_a_cell(shape, missing):
    """Of a colour image, a cell is one channel of a pixel; of one with holes, one that was observed."""
    images = np.random.default_rng(0).integers(0, 256, size=(30, *shape)).astype(np.uint8)
    if missing:
        images = images.astype(np.float32)
        images[25:].reshape(-1)[:missing] = np.nan
    found = taut.fit(
        (images[:15], images[15:25], images[25:]), model="vae", latent_dim=1, hidden=(2,), epochs=1,
        evidence_particles=2,
    ).estimates  # fmt: skip
    cells = math.prod(shape) - missing / 5
    bits, nats = found["bits_per_dimension"], found["log_evidence"]
    assert bits.value == pytest.approx(-nats.value / (cells * math.log(2)), rel=1e-12)
    assert (bits.side, nats.side) == ("upper", "lower")
