"""Which rows decide: training rows the parameters, validation rows what is kept, test rows nothing.

Rows that must not matter are changed, and no byte of what must not move may move. Models are exact, so
that a fit takes a fifth of a second and its numbers have no draws.
"""

import sys
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.bounds import ELBO
from taut.core import Datum, Estimate
from taut.data import Data
from taut.evidence import expected_bound, importance_sampling, independent_columns
from taut.evidence.closed_form import closed_form
from taut.evidence.exact_columns import exact_columns
from taut.inference.exact import log_evidences
from taut.inference.exact.row_blocks import RowBlocks

PARTS = ("train", "validation", "test")
SIZES = {"train": 40, "validation": 20, "test": 20}
PER_EPOCH = 2
TRAINING: dict[str, Any] = {
    "model": taut.PPCA(components=2), "inference": "joint", "epochs": 30, "batch_size": 20,
    "validate_every": 2 * PER_EPOCH, "patience": 0, "learning_rate": 0.05,
}  # fmt: skip


def _rows(part: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, PARTS.index(part)]).normal(size=(SIZES[part], 5))


def _data(changed: str | None = None, **options: Any) -> Data:
    parts = tuple(_rows(part, seed=int(part == changed)) for part in PARTS)
    return taut.load_data(parts, **options)


def _bytes(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def _path(fit: taut.Fit) -> list[float]:
    return [record["bound"] for record in fit.history]


def _looks(fit: taut.Fit) -> dict[int, float]:
    """Validation values by the number of steps before them."""
    return {r["step"] + 1: r["validation"]["value"] for r in fit.history if "validation" in r}


@pytest.fixture(scope="module", params=[0.0, 0.9], ids=["plain", "averaged"])
def whole(request) -> taut.Fit:
    return taut.fit(_data(), ema=request.param, **TRAINING)


def _again(whole: taut.Fit, data: Data, **changes: Any) -> taut.Fit:
    return taut.fit(data, ema=whole.recipe.training.ema, **{**TRAINING, **changes})


# ---- by gradient -----------------------------------------------------------------------------------


def test_test_rows_move_no_parameter_and_choose_nothing(whole):
    other = _again(whole, _data("test"))
    assert _bytes(other.pair) == _bytes(whole.pair)
    assert other.history == whole.history
    assert other.facts.best_step == whole.facts.best_step
    for name, estimate in other.estimates.items():
        assert estimate.value != whole.estimates[name].value


def test_validation_rows_choose_among_the_steps_of_one_path(whole):
    other = _again(whole, _data("validation"))
    assert _path(other) == _path(whole)
    assert other.facts.best_step != whole.facts.best_step  # these rows prefer another step
    assert other.schema == whole.schema


def test_training_rows_decide(whole):
    assert _path(_again(whole, _data("train"))) != _path(whole)


def test_labels_never_reach_the_model(whole):
    data = _data()

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
    ended = _again(whole, _data(), epochs=best // PER_EPOCH, validate_every=best)
    assert ended.facts.best_step == ended.facts.steps == best
    assert _bytes(ended.pair) == _bytes(whole.pair)
    last = _again(whole, _data(), validate_every=30 * PER_EPOCH)
    assert _bytes(last.pair) != _bytes(whole.pair)


def test_numbers_at_the_end_are_of_the_parameters_that_are_reported(whole):
    data = _data()
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
]


@pytest.mark.parametrize("more", STALE, ids=["constant", "plateau, patience", "cosine"])
def test_a_run_that_was_stopped_reports_the_same_step(more, whole, tmp_path, monkeypatch):
    """Stopped behind its best step, while the values were worse."""
    whole = _again(whole, _data(), **more) if more else whole

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
        _again(whole, _data(), **options)
    monkeypatch.undo()
    assert saved[-1] < whole.facts.steps
    resumed = _again(whole, _data(), **options, resume=True)
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
    wrong = _again(whole, _data())
    with pytest.raises(AssertionError):
        test_the_best_step_is_reported_not_the_last(wrong)


# ---- by EM -----------------------------------------------------------------------------------------

EM_KINDS: dict[str, dict[str, Any]] = {
    "em": {},
    "online": {"online": True, "batch_size": 10, "passes": 2},
    "mixture": {"model": taut.GMM(components=2), "restarts": 2},
}


def _em(data: Data, **options: Any) -> taut.Fit:
    return taut.em(data, **{"model": taut.PPCA(components=2), **options})


def _exact(changed: str | None = None) -> Data:
    return _data(changed, dtype="float64")


@pytest.mark.parametrize("kind", EM_KINDS)
def test_rows_held_out_from_em_move_nothing(kind):
    whole = _em(_exact(), **EM_KINDS[kind])
    for part in ("validation", "test"):
        other = _em(_exact(part), **EM_KINDS[kind])
        assert _bytes(other.pair) == _bytes(whole.pair), part
        assert other.history == whole.history
        assert other.facts.em is not None
        assert whole.facts.em is not None
        assert other.facts.em.bic == whole.facts.em.bic
    assert _bytes(_em(_exact("train"), **EM_KINDS[kind]).pair) != _bytes(whole.pair)


@pytest.mark.parametrize("online", [False, True])
def test_rows_of_a_file_that_are_held_out_move_nothing(online, tmp_path):
    path, rows = tmp_path / "rows.npy", np.random.default_rng(2).normal(size=(60, 4))
    np.save(path, rows)
    options: dict[str, Any] = {"dtype": "float64", "stream": "yes" if online else "no"}
    data = taut.load_data(path, **options)
    whole = _em(data, online=online, batch_size=10)
    held = np.concatenate([data.validation.index, data.test.index])
    assert len(held) == 12
    rows[held] += 1.0
    np.save(path, rows)
    other = _em(taut.load_data(path, **options), online=online, batch_size=10)
    assert _bytes(other.pair) == _bytes(whole.pair)
    assert other.estimates["log_evidence"].value != whole.estimates["log_evidence"].value
    rows[np.setdiff1d(np.arange(60), held)[0]] += 1.0
    np.save(path, rows)
    moved = _em(taut.load_data(path, **options), online=online, batch_size=10)
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
    whole = _em(_exact(), **SELECT)
    curve = _curve(whole)
    assert _chosen(whole) == max(curve, key=lambda k: curve[k].validation)
    tested = _em(_exact("test"), **SELECT)
    assert (_curve(tested), _chosen(tested)) == (curve, _chosen(whole))
    data = _exact()
    # Validation rows that lie along the training rows' third direction want three components.
    direction = np.linalg.svd(data.train.x - data.train.x.mean(0))[2][2]  # pyright: ignore[reportAttributeAccessIssue]
    far = 4 * np.random.default_rng(0).normal(size=(20, 1)) * direction
    along = replace(data, validation=replace(data.validation, x=far))
    assert _chosen(_em(along, **SELECT)) == 3 != _chosen(whole)
    best = max(_em(along, **SELECT).facts.em.selection, key=lambda p: p.validation)  # pyright: ignore[reportOptionalMemberAccess]
    assert best.components == 3


def test_by_bic_held_out_rows_choose_nothing():
    whole = _em(_exact(), **SELECT, select="bic")
    curve = _curve(whole)
    assert _chosen(whole) == min(curve, key=lambda k: curve[k].bic)
    for point in curve.values():
        size = point.free_parameters * np.log(40) - 2 * 40 * point.training
        assert point.bic == pytest.approx(size, rel=1e-12)
    for part in ("validation", "test"):
        other = _em(_exact(part), **SELECT, select="bic")
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
    schema = _data().schema
    pair = taut.VAE(latent_dim=1, hidden=(3,), likelihood="gaussian").init(
        schema, jax.random.key(0)
    )
    train, test = (Datum(_rows(p).astype(np.float32)) for p in ("train", "test"))
    model: Any = pair.bind()[0]
    found = independent_columns(model, train, test, levels=None)
    wanted = _gaussian_columns(np.asarray(train.x), np.asarray(test.x))
    # L-BFGS ends where float32 hides what is left: its rounding of a sum over 40 x 5 cells of order one.
    allowed = 200 * float(np.finfo(np.float32).eps) * abs(wanted)
    assert found.value == pytest.approx(wanted, abs=allowed)
    assert abs(_gaussian_columns(np.asarray(test.x), np.asarray(test.x)) - wanted) > 100 * allowed


@pytest.mark.parametrize("inference", ["joint", "em"])
def test_so_is_that_at_the_end_of_a_fit(inference):
    data = _exact() if inference == "em" else _data()
    options = TRAINING | {"epochs": 1} if inference == "joint" else {}
    fit = taut.fit(data, **{"model": taut.PPCA(components=2), **options, "inference": inference})
    found = fit.estimates["independent_columns"]
    model: Any = fit.model
    assert found.value == exact_columns(model, data.train[:].x, data.test.datum()).value
    assert found.value != exact_columns(model, data.test.x, data.test.datum()).value


# ---- padding ---------------------------------------------------------------------------------------

NUMBER, WIDTH = 7, 3  # two whole blocks and one with two rows of padding


@pytest.fixture(scope="module")
def exact_pair() -> Any:
    return _em(_exact()).pair


def _by_rows(name: str, pair: Any, rows: Datum) -> Estimate:
    model, _ = pair.bind()
    key = jax.random.key(3)
    return {
        "closed form": lambda: closed_form(model, rows),
        "importance": lambda: importance_sampling(pair, rows, key=key, num_particles=4).elbo,
        "bound": lambda: expected_bound(pair, rows, ELBO(), key=key),
        "em": lambda: Estimate.from_rows(
            log_evidences(model, RowBlocks(np.asarray(rows.x))), side="exact"
        ),
    }[name]()


@pytest.fixture
def narrow(monkeypatch) -> None:
    for module in ("draws", "expected_bound", "closed_form"):
        # Two of these modules have a function's name.
        monkeypatch.setattr(sys.modules[f"taut.evidence.{module}"], "_BLOCK_ROWS", WIDTH)
    monkeypatch.setattr("taut.inference.exact.row_blocks._CHUNK_CELLS", WIDTH * 80)


@pytest.mark.parametrize("name", ["closed form", "importance", "bound", "em"])
def test_rows_that_fill_up_a_block_are_no_rows(name, exact_pair, narrow, float64):
    """The last row is what blocks are filled with: changing it changes its own value alone."""
    x = _rows("test")[:NUMBER]
    found = _by_rows(name, exact_pair, Datum(x))
    assert found.values is not None
    assert found.count == len(found.values) == NUMBER
    assert found.value == np.mean(found.values)
    changed = np.array(x)
    changed[-1] += 3.0
    other = _by_rows(name, exact_pair, Datum(changed))
    assert other.values is not None
    np.testing.assert_array_equal(other.values[:-1], found.values[:-1])
    assert other.values[-1] != found.values[-1]


def _moments(chunk: int | None, monkeypatch: Any) -> tuple[np.ndarray, np.ndarray, float]:
    if chunk is not None:
        monkeypatch.setattr("taut.inference.exact.row_blocks._CHUNK_CELLS", chunk * 40)
    fit = _em(_exact(), model=taut.GMM(components=1), floor=0.0)
    model: Any = fit.model
    factor = np.asarray(model.covariance.tril(model.scale, model.means))[0]
    return np.asarray(model.means[0]), factor @ factor.T, fit.history[-1]["bound"]


@pytest.mark.parametrize("chunk", [None, 3, 7])
def test_padding_has_no_weight_in_em(chunk, monkeypatch):
    """One component has the rows' own mean and covariance, however they are cut."""
    x = _rows("train")
    mean, covariance, bound = _moments(chunk, monkeypatch)
    allowed = 64 * len(x) * np.finfo(float).eps  # of sums of 40 terms of order ten
    np.testing.assert_allclose(mean, x.mean(0), rtol=0, atol=allowed)
    np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), rtol=0, atol=10 * allowed)
    # Of a normal density at its own moments: -(D log 2 pi + log |S| + D) / 2.
    entropy = -0.5 * (5 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + 5)
    assert bound == pytest.approx(entropy, abs=100 * allowed)


def test_padding_that_counts_is_caught(exact_pair, narrow, float64, monkeypatch):
    module: Any = sys.modules["taut.evidence.expected_bound"]
    over_rows = module.over_rows

    def padded(program: Any, rows: Datum, *, width: int, **given: Any) -> Any:
        number = -(-len(rows.x) // width) * width
        filled = Datum(np.asarray(rows.x)[np.minimum(np.arange(number), len(rows.x) - 1)])
        return over_rows(program, filled, width=width, **given)

    monkeypatch.setattr(module, "over_rows", padded)
    with pytest.raises(AssertionError):
        test_rows_that_fill_up_a_block_are_no_rows("bound", exact_pair, None, None)
