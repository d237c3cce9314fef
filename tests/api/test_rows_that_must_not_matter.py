"""Which rows decide: training rows the parameters, validation rows what is kept, test rows nothing.

Rows that must not matter are changed, and no byte of what must not move may move. Models are exact, so
that a fit takes a fifth of a second and its numbers have no draws.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts_of_rows import PARTS, data_of, em_of, exact_data, rows_of

import taut
from taut.bounds import ELBO
from taut.core import Datum
from taut.data import Data
from taut.evidence import independent_columns
from taut.evidence.exact_columns import exact_columns

PER_EPOCH = 2
TRAINING: dict[str, Any] = {
    "model": taut.PPCA(components=2), "inference": "joint", "epochs": 30, "batch_size": 20,
    "validate_every": 2 * PER_EPOCH, "patience": 0, "learning_rate": 0.05,
}  # fmt: skip


def _bytes(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def _path(fit: taut.Fit) -> list[float]:
    return [record["bound"] for record in fit.history]


def _looks(fit: taut.Fit) -> dict[int, float]:
    """Validation values by the number of steps before them."""
    return {r["step"] + 1: r["validation"]["value"] for r in fit.history if "validation" in r}


@pytest.fixture(scope="module", params=[0.0, 0.9], ids=["plain", "averaged"])
def whole(request) -> taut.Fit:
    return taut.fit(data_of(), ema=request.param, **TRAINING)


def _again(whole: taut.Fit, data: Data, **changes: Any) -> taut.Fit:
    return taut.fit(data, ema=whole.recipe.training.ema, **{**TRAINING, **changes})


# ---- by gradient -----------------------------------------------------------------------------------


def test_test_rows_move_no_parameter_and_choose_nothing(whole):
    other = _again(whole, data_of("test"))
    assert _bytes(other.pair) == _bytes(whole.pair)
    assert other.history == whole.history
    assert other.facts.best_step == whole.facts.best_step
    for name, estimate in other.estimates.items():
        assert estimate.value != whole.estimates[name].value


def test_validation_rows_choose_among_the_steps_of_one_path(whole):
    other = _again(whole, data_of("validation"))
    assert _path(other) == _path(whole)
    assert other.facts.best_step != whole.facts.best_step  # these rows prefer another step
    assert other.schema == whole.schema


def test_training_rows_decide(whole):
    assert _path(_again(whole, data_of("train"))) != _path(whole)


def test_labels_never_reach_the_model(whole):
    data = data_of()

    def labelled(part: Any) -> Any:
        return replace(part, label=np.arange(len(part), dtype=np.int32))

    with_some = replace(data, **{part: labelled(getattr(data, part)) for part in PARTS})
    other = _again(whole, with_some)
    assert _bytes(other.pair) == _bytes(whole.pair)
    assert other.history == whole.history
    for name, estimate in other.estimates.items():
        assert estimate.value == whole.estimates[name].value


# ---- which parameters are reported -------------------------------------------------------------------


def test_the_best_step_is_reported_not_the_last(whole):
    looks = _looks(whole)
    best = max(looks, key=lambda step: looks[step])
    assert whole.facts.best_step == best < whole.facts.steps == 30 * PER_EPOCH
    # A run that ends there has these parameters, whatever it looks at.
    ended = _again(whole, data_of(), epochs=best // PER_EPOCH, validate_every=best)
    assert ended.facts.best_step == ended.facts.steps == best
    assert _bytes(ended.pair) == _bytes(whole.pair)
    last = _again(whole, data_of(), validate_every=30 * PER_EPOCH)
    assert _bytes(last.pair) != _bytes(whole.pair)


def test_numbers_at_the_end_are_of_the_parameters_that_are_reported(whole):
    data = data_of()
    assert whole.estimates["log_evidence"].value == whole.evidence(data.test).value
    assert whole.estimates["log_evidence"].count == len(data.test)
    judged = whole.bound(data.validation, ELBO(), num_repeats=400)
    looked = _looks(whole)[whole.facts.best_step]
    spread = judged.mc_error * np.sqrt(400 / 2)  # two repeats at each look
    assert abs(judged.value - looked) < 5 * np.hypot(judged.mc_error, spread)


STALE = [
    {},
    {"learning_rate_schedule": "plateau", "patience": 9},
    {"learning_rate_schedule": "cosine"},
    {"optimizer": "muon"},
]


@pytest.mark.parametrize("more", STALE, ids=["constant", "plateau, patience", "cosine", "muon"])
def test_a_run_that_was_stopped_reports_the_same_step(more, whole, tmp_path, monkeypatch):
    """Stopped behind its best step, while the values were worse."""
    whole = _again(whole, data_of(), **more) if more else whole

    class Stop(Exception):
        pass

    folder, saved = tmp_path / "run", []
    save = taut.api.amortized.save_checkpoint  # pyright: ignore[reportAttributeAccessIssue]

    def stopping(path: Any, state: Any, **given: Any) -> Any:
        save(path, state, **given)
        saved.append(int(state.step))
        if int(state.stale) >= 3:
            raise Stop

    monkeypatch.setattr("taut.api.amortized.save_checkpoint", stopping)
    options = {"checkpoint_every": 6, "out": folder, **more}
    with pytest.raises(Stop):
        _again(whole, data_of(), **options)
    monkeypatch.undo()
    assert saved[-1] < whole.facts.steps
    resumed = _again(whole, data_of(), **options, resume=True)
    assert f"resumed from step {saved[-1]}" in resumed.facts.notes
    assert resumed.facts.best_step == whole.facts.best_step
    assert _bytes(resumed.pair) == _bytes(whole.pair)
    assert resumed.history == whole.history
    assert {n: e.value for n, e in resumed.estimates.items()} == {
        n: e.value for n, e in whole.estimates.items()
    }


def test_the_last_parameters_in_place_of_the_best_are_caught(whole, monkeypatch):
    train = taut.api.amortized.train  # pyright: ignore[reportAttributeAccessIssue]

    def last(algorithm: Any, *given: Any, **more: Any) -> Any:
        state = train(algorithm, *given, **more)
        return state._replace(best=jax.tree.map(jnp.asarray, algorithm.pair(state.inference)))

    monkeypatch.setattr("taut.api.amortized.train", last)
    wrong = _again(whole, data_of())
    with pytest.raises(AssertionError):
        test_the_best_step_is_reported_not_the_last(wrong)


# ---- by EM -----------------------------------------------------------------------------------------

EM_KINDS: dict[str, dict[str, Any]] = {
    "em": {},
    "online": {"online": True, "batch_size": 10, "passes": 2},
    "mixture": {"model": taut.GMM(components=2), "restarts": 2},
}


@pytest.mark.parametrize("kind", EM_KINDS)
def test_rows_held_out_from_em_move_nothing(kind):
    whole = em_of(exact_data(), **EM_KINDS[kind])
    for part in ("validation", "test"):
        other = em_of(exact_data(part), **EM_KINDS[kind])
        assert _bytes(other.pair) == _bytes(whole.pair), part
        assert other.history == whole.history
        assert other.facts.em is not None
        assert whole.facts.em is not None
        assert other.facts.em.bic == whole.facts.em.bic
    assert _bytes(em_of(exact_data("train"), **EM_KINDS[kind]).pair) != _bytes(whole.pair)


@pytest.mark.parametrize("online", [False, True])
def test_rows_of_a_file_that_are_held_out_move_nothing(online, tmp_path):
    path, rows = tmp_path / "rows.npy", np.random.default_rng(2).normal(size=(60, 4))
    np.save(path, rows)
    options: dict[str, Any] = {"dtype": "float64", "stream": "yes" if online else "no"}
    data = taut.load_data(path, **options)
    whole = em_of(data, online=online, batch_size=10)
    held = np.concatenate([data.validation.index, data.test.index])
    assert len(held) == 12
    rows[held] += 1.0
    np.save(path, rows)
    other = em_of(taut.load_data(path, **options), online=online, batch_size=10)
    assert _bytes(other.pair) == _bytes(whole.pair)
    assert other.estimates["log_evidence"].value != whole.estimates["log_evidence"].value
    rows[np.setdiff1d(np.arange(60), held)[0]] += 1.0
    np.save(path, rows)
    moved = em_of(taut.load_data(path, **options), online=online, batch_size=10)
    assert _bytes(moved.pair) != _bytes(whole.pair)


def _curve(fit: taut.Fit) -> dict[int, Any]:
    assert fit.facts.em is not None
    return {point.components: point for point in fit.facts.em.selection}


def _chosen(fit: taut.Fit) -> int:
    assert fit.facts.em is not None
    assert fit.architecture.components == fit.facts.em.components  # pyright: ignore[reportAttributeAccessIssue]
    return fit.facts.em.components


SELECT = {"model": taut.PPCA(), "components": [1, 2, 3]}


def test_the_number_of_components_is_chosen_on_validation_rows_alone():
    whole = em_of(exact_data(), **SELECT)
    curve = _curve(whole)
    assert _chosen(whole) == max(curve, key=lambda k: curve[k].validation)
    tested = em_of(exact_data("test"), **SELECT)
    assert (_curve(tested), _chosen(tested)) == (curve, _chosen(whole))
    data = exact_data()
    # Validation rows that lie along the training rows' third direction want three components.
    direction = np.linalg.svd(data.train.x - data.train.x.mean(0))[2][2]  # pyright: ignore[reportAttributeAccessIssue]
    far = 4 * np.random.default_rng(0).normal(size=(20, 1)) * direction
    along = replace(data, validation=replace(data.validation, cells=far))
    assert _chosen(em_of(along, **SELECT)) == 3 != _chosen(whole)
    best = max(em_of(along, **SELECT).facts.em.selection, key=lambda p: p.validation)  # pyright: ignore[reportOptionalMemberAccess]
    assert best.components == 3


def test_by_bic_held_out_rows_choose_nothing():
    whole = em_of(exact_data(), **SELECT, select="bic")
    curve = _curve(whole)
    assert _chosen(whole) == min(curve, key=lambda k: curve[k].bic)
    for point in curve.values():
        size = point.free_parameters * np.log(40) - 2 * 40 * point.training
        assert point.bic == pytest.approx(size, rel=1e-12)
    for part in ("validation", "test"):
        other = em_of(exact_data(part), **SELECT, select="bic")
        assert _chosen(other) == _chosen(whole)
        assert {k: p.bic for k, p in _curve(other).items()} == {k: p.bic for k, p in curve.items()}


def test_selection_that_looks_at_test_rows_is_caught(monkeypatch):
    from taut.inference.exact import candidate

    judged = candidate._judged

    def peeking(task: Any, *rest: Any) -> Any:
        swapped = replace(task.given, validation=task.given.test)
        return judged(task._replace(given=swapped), *rest)

    monkeypatch.setattr(candidate, "_judged", peeking)
    with pytest.raises(AssertionError):
        test_the_number_of_components_is_chosen_on_validation_rows_alone()


# ---- the baseline ----------------------------------------------------------------------------------


def _gaussian_columns(train: np.ndarray, test: np.ndarray) -> float:
    mean, variance = train.mean(0), train.var(0)
    return float(
        np.mean(np.sum(-0.5 * (np.log(2 * np.pi * variance) + (test - mean) ** 2 / variance), 1))
    )


def test_the_baseline_is_fitted_to_training_rows_and_judged_on_test_rows():
    """Of a Gaussian likelihood it is the normal density with the training rows' moments."""
    schema = data_of().schema
    pair = taut.VAE(latent_dim=1, hidden=(3,), likelihood="gaussian").init(
        schema, jax.random.key(0)
    )
    train, test = (Datum(rows_of(p).astype(np.float32)) for p in ("train", "test"))
    model: Any = pair.bind()[0]
    found = independent_columns(model, train, test, levels=None)
    wanted = _gaussian_columns(np.asarray(train.x), np.asarray(test.x))
    # L-BFGS ends where float32 hides what is left: its rounding of a sum over 40 x 5 cells of order one.
    allowed = 200 * float(np.finfo(np.float32).eps) * abs(wanted)
    assert found.value == pytest.approx(wanted, abs=allowed)
    assert abs(_gaussian_columns(np.asarray(test.x), np.asarray(test.x)) - wanted) > 100 * allowed


@pytest.mark.parametrize("inference", ["joint", "em"])
def test_so_is_that_at_the_end_of_a_fit(inference):
    data = exact_data() if inference == "em" else data_of()
    options = TRAINING | {"epochs": 1} if inference == "joint" else {}
    fit = taut.fit(data, **{"model": taut.PPCA(components=2), **options, "inference": inference})
    found = fit.estimates["independent_columns"]
    model: Any = fit.model
    assert found.value == exact_columns(model, data.train[:].x, data.test.datum()).value
    assert found.value != exact_columns(model, data.test.x, data.test.datum()).value
