"""Of several starts the highest is kept, and what a fit says of EM is what the kept run found."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import RunError
from taut.inference.exact import EMResult, Held, candidate, restarts
from taut.models import GaussianMixture

pytestmark = pytest.mark.usefixtures("float64")

ROWS = np.random.default_rng(0).normal(size=(40, 2))
DATA = taut.load_data(ROWS, dtype="float64", seed=3)
ENDS = (-3.0, -2.0, -1.0, None)  # objective that a run ends at, nats per row; None where it breaks


@pytest.fixture
def planned(monkeypatch) -> Callable[..., None]:
    """Runs of EM that end as they are told to, one after the other."""

    def plan(*results: EMResult | None) -> None:
        following = iter(results)

        def run(*_: Any, **__: Any) -> EMResult:
            result = next(following)
            if result is None:
                raise RunError("a planned end", "none", "another plan", where="em")
            return result

        monkeypatch.setattr(restarts, "run_em", run)

    return plan


def _result(end: float | None, number: int, **changed: Any) -> EMResult | None:
    """A run whose model tells which it was; neither its start nor its evidence is in the ends' order."""
    if end is None:
        return None
    means = jnp.full((1, 2), float(number))
    model = GaussianMixture(jnp.zeros(1), means, jnp.ones((1, 2)), "diag", (2,))
    evidence, objective = np.array([-7.0, -end]), np.array([end - 5.0 + 3.0 * number, end])
    return EMResult(model, evidence, objective, True, ())._replace(**changed)


def _kept(fit: Any) -> int:
    return round(float(np.asarray(fit.model.means)[0, 0]))


@pytest.mark.parametrize("ends", [*permutations(ENDS)])
def test_the_highest_objective_is_kept_wherever_it_stands(ends, planned):
    planned(*(_result(end, number) for number, end in enumerate(ends)))
    fit: Any = taut.em(DATA, model=taut.GMM(1, "diag"), restarts=len(ends))
    assert _kept(fit) == ends.index(-1.0)
    np.testing.assert_array_equal(fit.facts.em.starts, [np.nan if e is None else e for e in ends])


# Field of a run's result -> values unlike each other, and the fact that each becomes.
SAID: dict[str, list[tuple[Any, Callable[[Any], Any], Any]]] = {
    "converged": [(said, lambda fit: fit.facts.em.converged, said) for said in (True, False)],
    "log_evidence": [
        (
            np.full(count + 1, -2.0),
            lambda fit: (fit.facts.steps, fit.facts.best_step),
            (count, count),
        )
        for count in (1, 4)
    ],
    "held": [
        (
            (Held(component, directions, rows, number),),
            lambda fit: [
                (one.component, one.directions, one.rows, one.row)
                for one in fit.facts.em.held_apart
            ],
            [(component, directions, rows, number)],
        )
        for component, directions, rows, number in ((0, 2, 1.0, 0), (None, 1, 32.0, 5))
    ],
    "model": [(number, _kept, number) for number in (1, 2)],
    "objective": [
        (np.array([-4.0, end]), lambda fit: fit.history[-1]["objective"], end)
        for end in (-2.0, -1.0)
    ],
}
CASES = [(name, case) for name, cases in SAID.items() for case in cases]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[name for name, _ in CASES])
def test_what_a_fit_says_of_em_is_what_the_run_found(name, case, planned):
    value, read, wanted = case
    result = _result(-1.0, value) if name == "model" else _result(-1.0, 0, **{name: value})
    assert result is not None
    length = len(result.log_evidence)
    planned(result._replace(objective=np.resize(result.objective[::-1], length)[::-1]))
    fit = taut.em(DATA, model=taut.GMM(1, "diag"), restarts=1)
    assert read(fit) == wanted


def test_every_field_of_a_result_is_looked_at():
    assert set(SAID) == set(EMResult._fields)


def test_online_em_keeps_the_model_after_its_last_batch(planned, monkeypatch):
    begun, last = _result(-1.0, 3), _result(-1.0, 7)
    assert begun is not None
    assert last is not None
    planned(begun)
    found = (last.model, np.array([-9.0, -8.0]))
    monkeypatch.setattr(candidate, "run_online_em", lambda *_, **__: found)
    fit = taut.em(DATA, model=taut.GMM(1, "diag"), restarts=1, online=True)
    assert _kept(fit) == 7
    assert fit.facts.steps == 2
    assert [record["bound"] for record in fit.history] == [-9.0, -8.0]


HOW: dict[str, dict[str, Any]] = {
    "em": {"restarts": 1, "max_iterations": 3},
    "online": {"online": True, "restarts": 1, "max_iterations": 1, "batch_size": 7, "passes": 2},
}


@pytest.mark.parametrize("how", HOW)
def test_the_bic_is_of_the_model_that_is_returned(how):
    """-2 log p(x) + parameters log N of the training rows, all of which are the sample of online EM."""
    fit: Any = taut.em(DATA, **{"model": taut.GMM(2, "diag"), **HOW[how]})
    rows = DATA.train.x
    found = -2 * len(rows) * fit.evidence(rows).value
    found += fit.facts.em.free_parameters * np.log(len(rows))
    assert fit.facts.em.bic == pytest.approx(found, rel=1e-9)
