"""Every option of the training and of EM reaches what consumes it.

The loop, and what EM is made of, are recorders: what `taut.fit` hands to them is compared with what was
asked.
"""

import sys
from collections.abc import Callable
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import taut
from taut.api import exact
from taut.bounds import IWAE
from taut.core import Estimate, InputError
from taut.evidence import EvidenceOptions
from taut.inference import EM, AbstractExact, Joint, OnlineEM, PerDatum
from taut.inference.exact import candidate
from taut.training import Loop, TrainingOptions

ROWS = np.random.default_rng(1).normal(size=(300, 3))
DATA = taut.load_data(ROWS)  # 240, 30 and 30 rows
MODEL = taut.VAE(latent_dim=1, hidden=(3,))


class Called(Exception):
    """The loop was reached."""


@pytest.fixture
def handed(monkeypatch) -> Callable[..., dict[str, Any]]:
    """Options of `taut.fit` -> what the loop, the inference and the validation are given."""
    found: dict[str, Any] = {}
    algorithm = Joint.algorithm

    def of_problem(self: Joint, problem: Any) -> Any:
        found["optimizer"] = problem.optimizer
        found["hidden"] = problem.prepare is not None
        return algorithm(self, problem)

    def averaged(inner: Any, decay: float) -> Any:
        found["decay"] = decay
        return inner

    def train(algorithm: Any, rows: Any, loop: Loop, *, validate: Any, **_: Any) -> Any:
        found.update(loop._asdict(), stored=str(rows.x.dtype))
        found["products"] = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
        validate(algorithm.pair(algorithm.init()))
        raise Called

    def expected(pair: Any, rows: Any, bound: Any, *, key: Any) -> Estimate:
        found.update(judged=bound, judged_rows=np.asarray(rows.x))
        return Estimate.from_rows(np.zeros(len(rows.x)), side="lower")

    monkeypatch.setattr(Joint, "algorithm", of_problem)
    monkeypatch.setattr("taut.api.preparing.averaged", averaged)
    monkeypatch.setattr("taut.api.amortized.train", train)
    monkeypatch.setattr("taut.api.amortized.expected_bound", expected)

    def fit(**options: Any) -> dict[str, Any]:
        found.clear()
        found["decay"] = 0.0
        with pytest.raises(Called):
            taut.fit(DATA, model=MODEL, **options)
        return dict(found)

    return fit


def _steps(found: dict[str, Any], length: float = 5.0, count: int = 4) -> np.ndarray:
    """Lengths of the first updates along a constant gradient of that length."""
    gradient = jnp.asarray([3.0, 4.0]) * length / 5
    optimizer = optax.with_extra_args_support(found["optimizer"])
    state, seen = optimizer.init(gradient), []
    for step in range(count):
        update, state = optimizer.update(gradient, state, gradient, step=step)
        seen.append(float(jnp.linalg.norm(update)))
    return np.asarray(seen)


SGD = {"optimizer": "sgd", "learning_rate": 0.5}
# Field -> what is asked, what is then read of the record, and what that must be.
SEEN: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any], Any]] = {
    "optimizer": ({"optimizer": "sgd", "learning_rate": 1.0}, lambda f: _steps(f), [5.0] * 4),
    "learning_rate": (SGD, lambda f: _steps(f), [2.5] * 4),
    "learning_rate_schedule": (
        {**SGD, "learning_rate_schedule": "cosine", "epochs": 4},
        lambda f: _steps(f)[1:],  # one batch in each of 4 epochs
        [2.5 * (1 + np.cos(np.pi * t / 4)) / 2 for t in (1, 2, 3)],
    ),
    "learning_rate_warmup": (
        {**SGD, "learning_rate_warmup": 4}, lambda f: _steps(f), [0.625, 1.25, 1.875, 2.5],
    ),
    "ema": ({"ema": 0.75}, lambda f: f["decay"], 0.75),
    "clip_norm": ({**SGD, "clip_norm": 2.0}, lambda f: [*_steps(f), *_steps(f, 1.0)],
                  [1.0] * 4 + [0.5] * 4),
    "epochs": ({"epochs": 7}, lambda f: f["num_steps"], 7),
    "batch_size": ({"batch_size": 20}, lambda f: f["batch_size"], 20),
    "patience": ({"patience": 3}, lambda f: f["patience"], 3),
    "validate_every": ({"validate_every": 9}, lambda f: f["validate_every"], 9),
    "validation_bound": ({"validation_particles": 6}, lambda f: f["judged"].to_dict(),
                         IWAE(num_particles=6).to_dict()),
    "precision": ({"precision": "float64"}, lambda f: f["stored"], "float64"),
    "checkpoint_every": ({"checkpoint_every": 77}, lambda f: f["checkpoint_every"], 77),
    "hide": ({"hide": 1.0}, lambda f: f["hidden"], True),
}  # fmt: skip


def test_every_option_of_the_training_is_in_the_table():
    after = {"head"}  # is learned when the training is over: tests/fitted/test_stacked.py
    assert set(SEEN) | after == {f.name for f in fields(TrainingOptions)}


@pytest.mark.parametrize("name", SEEN)
def test_an_option_of_the_training_reaches_what_consumes_it(name, handed):
    options, read, wanted = SEEN[name]
    by_default = {n: v for n, v in options.items() if n not in (name, "validation_particles")}
    by_default = {"epochs": 4, **by_default} if name == "learning_rate_schedule" else by_default
    before, after = read(handed(**by_default)), read(handed(**options))
    if isinstance(wanted, list):
        np.testing.assert_allclose(after, wanted, rtol=1e-5)  # float32 rounds to 1e-7
        assert not np.allclose(before, wanted, rtol=1e-2)
    else:
        assert after == wanted
        assert before != wanted


# Options -> lengths of the first updates of a row's parameters along gradients of length 1, 1, 100, 1.
ROW_STEPS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "learning_rate_schedule": (
        {"learning_rate_schedule": "cosine"}, [0.5 * (1 + np.cos(np.pi * t / 4)) / 2 for t in (0, 1)],
    ),
    "learning_rate_warmup": ({"learning_rate_warmup": 2}, [0.25, 0.5]),
    "clip_norm": ({"clip_norm": 1.0}, [0.5, 0.5, 0.5, 0.5]),  # Adam's moments see gradients alike
}  # fmt: skip


@pytest.mark.parametrize("name", ROW_STEPS)
def test_an_option_of_the_step_size_reaches_the_parameters_of_rows(name, monkeypatch):
    (asked, wanted), found = ROW_STEPS[name], []

    def per_datum(*parts: Any, **_: Any) -> Any:
        optimizer = optax.with_extra_args_support(parts[4])
        state = optimizer.init(jnp.zeros(()))
        for step, gradient in enumerate([1.0, 1.0, 100.0, 1.0]):
            update, state = optimizer.update(jnp.asarray(gradient), state, step=step)
            found.append(-float(update))
        raise Called

    monkeypatch.setattr("taut.inference.choices.per_datum.per_datum", per_datum)
    choice = PerDatum(row_learning_rate=0.5)
    for options in (asked, {}):
        with pytest.raises(Called):
            taut.fit(DATA, model=MODEL, inference=choice, epochs=4, **options)
    np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-4)  # 1 - 0.999 in float32
    assert not np.allclose(found[4 : 4 + len(wanted)], wanted, rtol=1e-2)


def test_a_plateau_reaches_the_loop_and_rounded_products_the_networks(handed):
    assert handed()["plateau"] is None
    plateau = handed(learning_rate_schedule="plateau")["plateau"]
    assert (plateau.patience, plateau.factor) == (5, 0.5)
    assert handed()["products"] is None
    rounded = handed(precision="bfloat16")
    assert (rounded["products"], rounded["stored"]) == ("bfloat16", "float32")


def test_what_is_left_open_follows_from_the_number_of_rows(handed):
    found = handed()
    # 240 rows are one whole batch of 128; 6000 steps; at least 50 between two validations.
    assert (found["batch_size"], found["num_steps"], found["validate_every"]) == (128, 6000, 50)
    assert found["judged"].name == "elbo"
    np.testing.assert_array_equal(found["judged_rows"], DATA.validation.x)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [(40, (40, 1, 50)), (128, (128, 1, 50)), (260, (128, 2, 50)), (128 * 20, (128, 20, 60))],
)
def test_the_length_of_a_run_follows_from_whole_batches(rows, wanted, handed, monkeypatch):
    batch, per_epoch, every = wanted
    part = taut.load_data((np.random.default_rng(0).normal(size=(rows, 3)), ROWS[:9], ROWS[9:19]))
    monkeypatch.setattr("test_training_arrives.DATA", part)
    found = handed()
    assert (found["batch_size"], found["validate_every"]) == (batch, every)
    assert found["num_steps"] == per_epoch * int(np.ceil(6000 / per_epoch))


def test_the_order_of_the_rows_follows_from_the_key(handed):
    assert handed()["seed"] == handed()["seed"]
    assert handed()["seed"] != handed(key=1)["seed"]


def test_an_optimizer_of_a_user_is_taken_as_it_is(handed):
    found = handed(optimizer=optax.sgd(0.25), clip_norm=2.0)
    np.testing.assert_allclose(_steps(found), 0.5, rtol=1e-6)


def test_an_option_that_is_dropped_is_caught(handed, monkeypatch):
    """Planted: options that never leave `TrainingOptions`, one at a time."""
    made = TrainingOptions.transformation
    for name, default in (("clip_norm", None), ("optimizer", "adam")):
        with monkeypatch.context() as patch:
            patch.setattr(
                TrainingOptions, "transformation",
                lambda self, rate, n=name, d=default: made(replace(self, **{n: d}), rate),
            )  # fmt: skip
            with pytest.raises(AssertionError):
                test_an_option_of_the_training_reaches_what_consumes_it(name, handed)
    monkeypatch.setattr("taut.api.preparing.schedule", lambda *_, **__: 0.5)
    for name in ("learning_rate_schedule", "learning_rate_warmup"):
        with pytest.raises(AssertionError):
            test_an_option_of_the_training_reaches_what_consumes_it(name, handed)


# ---- EM ---------------------------------------------------------------------------------------------


@pytest.fixture
def em_handed(monkeypatch) -> Callable[..., dict[str, Any]]:
    """An inference -> what selection, restarts and online EM are given."""
    found: dict[str, Any] = {}

    def record(*places: str) -> Callable[..., Any]:
        def called(*arguments: Any, **given: Any) -> Any:
            found.update({name: a for name, a in zip(places, arguments, strict=False) if name})
            found.update(given)
            if given.get("online") or "passes" in given or not found["online"]:
                raise Called
            return SimpleNamespace(model=None), ()

        return called

    select = exact.select_components

    def selected(inference: Any, model: Any, numbers: Any, data: Any, **given: Any) -> Any:
        found.update(numbers=tuple(numbers), criterion=given["select"])
        return select(inference, model, numbers, data, **given)

    monkeypatch.setattr(exact, "select_components", selected)
    monkeypatch.setattr(candidate, "best_of_restarts", record("", "rows", "floor"))
    monkeypatch.setattr(candidate, "run_online_em", record())
    monkeypatch.setattr(candidate, "_closed_form", lambda *_: record()(closed=True))

    def fit(cls: type, **options: Any) -> dict[str, Any]:
        found.clear()
        found.update(online=cls is OnlineEM, closed=False)
        model = taut.GMM(components=1) if "reg_covar" in options else taut.PPCA(components=1)
        with pytest.raises(Called):
            taut.fit(EXACT, model=model, inference=cls(**options))
        return dict(found)

    return fit


EXACT = taut.load_data(ROWS, dtype="float64")
# Field of EM or of online EM -> a value unlike the default, and what is then given to what consumes it.
OF_EM: dict[str, tuple[Any, str, Any]] = {
    "restarts": (3, "restarts", 3),
    "tolerance": (0.05, "tolerance", 0.05),
    "max_iterations": (7, "max_iterations", 7),
    "candidates": ((1, 2), "numbers", (1, 2)),
    "select": ("bic", "criterion", "bic"),
    "floor": (0.25, "floor", (0.25, 0.0, False)),
    "reg_covar": (0.5, "floor", (0.0, 0.5, False)),
    "closed_form": (True, "closed", True),
    "passes": (3.0, "passes", 3.0),
    "em_batch_size": (24, "batch_size", 24),
}
FIELDS = [(cls, f.name) for cls in (EM, OnlineEM) for f in fields(cls)]


@pytest.mark.parametrize(("cls", "name"), FIELDS, ids=[f"{c.name}-{n}" for c, n in FIELDS])
def test_an_option_of_em_reaches_what_consumes_it(cls, name, em_handed):
    value, read, wanted = OF_EM[name]
    assert em_handed(cls, **{name: value})[read] == wanted
    assert em_handed(cls)[read] != wanted


def test_an_option_of_em_that_is_dropped_is_caught(em_handed, monkeypatch):
    options = AbstractExact.options
    monkeypatch.setattr(
        AbstractExact, "options", lambda self, model: options(self, model) | {"restarts": 1}
    )
    with pytest.raises(AssertionError):
        test_an_option_of_em_reaches_what_consumes_it(EM, "restarts", em_handed)


@pytest.mark.parametrize("online", [False, True])
def test_keywords_of_taut_em_are_the_options_of_its_inferences(online, monkeypatch):
    """Every keyword arrives at the dataclass that holds it."""
    seen: dict[str, Any] = {}
    door = sys.modules["taut.api.em"]  # the function has the module's name

    def record(recipe: Any, *_: Any, **given: Any) -> Any:
        seen.update(given, r=recipe)
        raise Called

    monkeypatch.setattr(door, "fit_exact", record)
    given = {"restarts": 3, "tolerance": 0.05, "max_iterations": 9, "floor": 0.5, "select": "bic"}
    more = {"passes": 2, "batch_size": 32} if online else {}
    rest = {"key": 5, "out": "a", "force": True, "progress": print, "start": None}
    with pytest.raises(Called):
        taut.em(EXACT, model=taut.PPCA(), components=[1, 2], online=online, **given, **more, **rest)
    options: dict[str, Any] = {**given, "candidates": (1, 2)}
    wanted = OnlineEM(**options, passes=2.0, em_batch_size=32) if online else EM(**options)
    assert seen["r"].inference == wanted
    assert isinstance(seen["r"].inference, OnlineEM) == online
    assert (seen["r"].model.components, seen["r"].seed) == (1, 5)
    assert {name: seen[name] for name in rest} == rest
    with pytest.raises(Called):
        taut.em(EXACT, model=taut.PPCA(), closed_form=not online, reg_covar=0.25)
    assert seen["r"].inference == EM(closed_form=not online, reg_covar=0.25)


def test_the_draws_at_the_end_are_as_many_as_asked(monkeypatch, handed):
    assert {f.name for f in fields(EvidenceOptions)} == {"evidence_particles"}
    seen: list[int] = []

    def train(algorithm: Any, *_: Any, **__: Any) -> Any:
        from taut.training import start

        return start(algorithm)

    def measure(*given: Any, **_: Any) -> Any:
        seen.append(given[-1])
        raise Called

    monkeypatch.setattr("taut.api.amortized.train", train)
    monkeypatch.setattr("taut.api.amortized.measure", measure)
    for number in (17, 18):
        handed(evidence_particles=number)
    assert seen == [17, 18]
    with pytest.raises(InputError):
        EvidenceOptions(1)
