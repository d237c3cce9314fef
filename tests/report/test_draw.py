"""What the figures of a result show is what the result holds: rows, labels, steps, choices."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import taut
from taut.audit import GradientBench, GradientMeasure, GradientMoments
from taut.core import Estimate
from taut.fitted import Fit
from taut.fitted.facts import EMFacts, FitFacts, RowCounts, SelectionPoint
from taut.gradients.evaluations import Evaluations
from taut.recipe import Recipe
from taut.report import figures
from taut.report.draw_bench import draw_bench
from taut.report.draw_em import draw_em
from taut.report.draw_fit import draw_fit
from taut.report.draw_posterior import draw_posterior
from taut.report.html import rows as html_rows
from taut.report.html.markup import element
from taut.report.latents import has_normal_prior
from taut.training import TrainingOptions

MODULES = [f"taut.report.figures.{name}" for name in (*figures.__all__, "em")]


@pytest.fixture
def drawn(monkeypatch) -> dict[str, Figure]:
    """The figures that were drawn, by the names of their files."""
    kept: dict[str, Figure] = {}

    def keep(figure: Figure, path: Path | str) -> Path:
        kept[Path(path).name] = figure
        return Path(path)

    for name in MODULES:
        monkeypatch.setattr(importlib.import_module(name), "save", keep)
    return kept


@pytest.fixture
def asked(monkeypatch) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """What each figure was asked to show."""
    kept = {}

    def spy(name: str, draw: Any) -> Any:
        def spied(path: Path, *arrays: Any, **options: Any) -> Path:
            kept[name] = (arrays, options)
            return draw(path, *arrays, **options)

        return spied

    for name in figures.__all__:
        monkeypatch.setattr(figures, name, spy(name, getattr(figures, name)))
    return kept


def _fit(architecture: Any, schema: Any, **given: Any) -> Fit:
    """A fit that took no step: parameters as they begin."""
    facts = FitFacts(RowCounts(1, 1, 1), 4, 2, 1.0, 1.0, "CPU", em=given.pop("em", None))
    pair = architecture.init(schema, jax.random.key(0))
    return Fit(pair, architecture, schema, facts, **given)


@pytest.fixture(scope="module")
def digits():
    data = taut.load_data("digits")
    looked = {1: (-40.0, 0.5), 3: (-41.5, 0.75)}
    history = tuple(
        {"step": step, "bound": None if step == 2 else -50.0 + step}
        | ({"validation": _validation(*looked[step])} if step in looked else {})
        for step in range(4)
    )
    model, _ = taut.VAE(latent_dim=2, hidden=(4,)).resolved(data.schema)
    return _fit(model, data.schema, history=history, recipe=Recipe(bound=taut.Renyi())), data


def _validation(value: float, error: float) -> dict[str, Any]:
    return Estimate(value, "none", data_error=error).to_dict()


def test_a_fit_is_drawn_on_its_own_test_rows(digits, drawn, asked, tmp_path):
    fit, data = digits
    paths = draw_fit(fit, data, tmp_path)
    assert [path.name for path in paths] == [
        "learning-curves.png", "samples.png", "reconstructions.png", "interpolation.png",
        "latents.png",
    ]  # fmt: skip
    assert set(drawn) == {path.name for path in paths}
    (rows, means), form = asked["reconstructions"]
    assert len({row.tobytes() for row in rows} & {row.tobytes() for row in data.test.x}) == 16
    np.testing.assert_array_equal(means, fit.reconstruct(rows))
    assert form == {"kind": "image", "shape": (8, 8), "columns": None, "categories": None}
    (samples,), _ = asked["samples"]
    np.testing.assert_array_equal(samples, fit.sample(64))
    (lines,), ends = asked["interpolation"]
    for i in range(6):
        first, second = data.test.x[i], data.test.x[-1 - i]
        np.testing.assert_array_equal(ends["ends"][i], [first, second])
        np.testing.assert_array_equal(lines[i], fit.interpolate(first, second))


def _spread(rows: Any) -> bool:
    """Whether rows come from all over a file that is sorted by its first column, from 0 to 1."""
    return rows[:, 0].min() < 0.25 and rows[:, 0].max() > 0.75


def test_rows_that_are_shown_of_sorted_files_come_from_all_over_them(
    drawn, asked, monkeypatch, tmp_path
):
    """The first rows of a sorted file are of one class, or of one end of a column."""
    x = np.stack([np.linspace(0, 1, 4001), np.sin(np.arange(4001.0))], axis=1)
    data = taut.load_data((x, x[:40], x))
    model, _ = taut.VAE(latent_dim=2, hidden=(4,)).resolved(data.schema)
    fit = _fit(model, data.schema)
    draw_fit(fit, data, tmp_path)
    assert _spread(asked["samples"][1]["data"])
    assert _spread(asked["reconstructions"][0][0])
    (z,), _ = asked["latent_scatter"]
    assert len(z) == 512
    later = np.asarray(fit.encode(data.test.x[512:]))
    assert np.isclose(later[:, None], z[-100:]).all(axis=2).any(axis=0).all()

    shown: list[Any] = []

    def panels(_: Any, rows: Any, *__: Any, **___: Any) -> Any:
        shown.append(rows)
        return element("p", "")

    monkeypatch.setattr(html_rows, "_columns", panels)
    monkeypatch.setattr(html_rows, "label_names", lambda rows: shown.append(rows.x))
    html_rows.samples(fit, data)
    html_rows.reconstructions(fit, data.test)
    html_rows.latents(fit, data.test)
    assert len(shown) == 3
    assert all(map(_spread, shown))


@pytest.mark.parametrize(
    ("architecture", "normal"),
    [
        (taut.VAE(latent_dim=2, hidden=(4,)), True),
        (taut.Flow(layers="dequantize,logit,affine-coupling:1"), True),
        (taut.VAE(latent_dim=2, hidden=(4,), prior="mixture:3"), False),
        (taut.Discrete(hidden=(4,)), False), (taut.VQ(hidden=(4,)), False),
    ],
)  # fmt: skip
def test_the_circles_of_the_prior_are_those_of_a_standard_normal(digits, architecture, normal):
    _, data = digits
    model, _ = architecture.resolved(data.schema)
    fit = _fit(model, data.schema)
    assert has_normal_prior(fit.model) == normal


def test_latents_lie_with_their_own_labels(digits, drawn, asked, tmp_path):
    fit, data = digits
    draw_fit(fit, data, tmp_path)
    (z,), labels = asked["latent_scatter"]
    np.testing.assert_array_equal(z, fit.encode(data.test))
    assert labels["normal_prior"]
    np.testing.assert_array_equal(labels["label"], data.test.label)


def test_learning_curves_show_the_history_and_the_step_that_was_kept(digits, drawn, tmp_path):
    fit, data = digits
    draw_fit(fit, data, tmp_path)
    (axes,) = drawn["learning-curves.png"].axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["validation"].get_xdata(), [2, 4])
    np.testing.assert_array_equal(lines["validation"].get_ydata(), [-40.0, -41.5])
    (kept,) = (line for label, line in lines.items() if str(label).startswith("kept"))
    np.testing.assert_array_equal(kept.get_xdata(), [fit.facts.best_step] * 2)
    assert kept.get_label() == "kept: step 2 (-40.00)"
    (band,) = axes.collections
    edges = band.get_paths()[0].vertices
    assert {-40.5, -39.5} <= set(edges[edges[:, 0] == 2, 1])
    assert axes.get_title().startswith("Rényi bound")
    assert axes.get_ylabel() == "Rényi bound [nats per row], neither bound"


@pytest.mark.parametrize(
    ("recipe", "title", "y"),
    [
        (Recipe(), "ELBO on training batches and on validation rows", "ELBO"),
        (
            Recipe(training=TrainingOptions(validation_bound=taut.IWAE(7))),
            "ELBO on training batches, IWAE of 7 draws on validation rows", "bound",
        ),
        (
            Recipe(bound=taut.IWAE(7), training=TrainingOptions(validation_bound=taut.IWAE(7))),
            "IWAE bound on training batches and on validation rows", "IWAE bound",
        ),
    ],
)  # fmt: skip
def test_learning_curves_name_the_bound_that_decides(recipe, title, y, digits, drawn, tmp_path):
    fit, data = digits
    draw_fit(replace(fit, recipe=recipe), data, tmp_path)
    (axes,) = drawn["learning-curves.png"].axes
    assert axes.get_title() == title
    assert axes.get_ylabel() == f"{y} [nats per row], neither bound"


def _point(number: int) -> SelectionPoint:
    return SelectionPoint(number, -9.0 + number, 0.25, -8.0 + number, 100.0 - number, 3 * number)


@pytest.mark.parametrize(("chosen_by", "words"), [("evidence", "held-out log-"), ("bic", "BIC")])
def test_em_is_drawn_with_the_components_that_were_chosen(chosen_by, words, drawn, tmp_path):
    data = taut.load_data(np.random.default_rng(0).normal(size=(40, 2)))
    em = EMFacts(3, 9, 97.0, chosen_by=chosen_by, selection=tuple(map(_point, (2, 3, 5))))
    history = tuple({"step": i, "bound": -5.0 + i} for i in range(3))
    fit = _fit(taut.GMM(3), data.schema, em=em, history=history)
    assert [path.name for path in draw_em(fit, tmp_path)] == ["selection.png", "evidence.png"]
    (curve,) = drawn["evidence.png"].axes
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), [-5.0, -4.0, -3.0])
    assert curve.get_xlabel() == "iteration"
    above, below = drawn["selection.png"].axes
    assert above.get_title().startswith(f"3 components, chosen by {words}")
    training, validation = above.lines[0], above.containers[0].lines[0]
    for line, values in ((training, [-6, -5, -3]), (validation, [-7, -6, -4])):
        np.testing.assert_array_equal(line.get_xdata(), [2, 3, 5])
        np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_array_equal(below.lines[0].get_ydata(), [98, 97, 95])
    for axes in (above, below):
        assert list(axes.lines[-1].get_xdata()) == [3, 3]


def test_online_em_is_drawn_by_batches_and_one_number_without_a_choice(drawn, tmp_path):
    data = taut.load_data(np.random.default_rng(0).normal(size=(40, 2)))
    history = ({"step": 0, "bound": -5.0}, {"step": 1, "bound": -4.0})
    em = EMFacts(2, 9, 97.0, start_rows=30)
    fit = _fit(taut.GMM(2), data.schema, em=em, history=history)
    assert [path.name for path in draw_em(fit, tmp_path)] == ["evidence.png"]
    assert drawn["evidence.png"].axes[0].get_xlabel() == "batch"


def test_a_posterior_is_drawn_by_its_own_weights_and_rounds(asked, tmp_path):
    posterior = taut.infer(
        lambda a: -0.5 * a**2, support={"a": "real"}, num_draws=100, num_starts=1
    )
    paths = draw_posterior(posterior, tmp_path, precision_nats=0.1)
    assert [path.name for path in paths] == ["pairs.png", "bound.png", "khat.png"]
    (values, weights, own, names), _ = asked["pairs"]
    assert names == ("a",)
    np.testing.assert_array_equal(values, posterior.coordinate_draws())
    np.testing.assert_array_equal(weights, posterior.weights)
    np.testing.assert_array_equal(own, posterior.coordinate_draws()[: posterior.num_guide])
    (tail, khat, threshold), _ = asked["weight_tail"]
    assert (khat, threshold) == (posterior.khat, posterior.khat_threshold)
    np.testing.assert_array_equal(tail, posterior.weights)
    _, rounds = asked["bound_trace"]
    assert rounds.pop("precision_nats") == 0.1
    names = {"steps": "num_steps", "won": "stochastic"}
    for name, shown in rounds.items():
        held = [getattr(part, names.get(name, name)) for part in posterior.trace]
        np.testing.assert_array_equal(shown, held)


def test_a_bench_is_drawn_in_the_group_that_it_recommends_by(drawn, tmp_path):
    def moments(variance: float, bias: float) -> GradientMoments:
        return GradientMoments(bias, 0.01, variance, 0.1, 1.0)

    measures = tuple(
        GradientMeasure(
            name, {"model": moments(9.0, 0.0), "guide": moments(variance, bias)},
            Evaluations(1, 1), ms, None,
        )
        for name, variance, bias, ms in (("one", 2.0, 0.0, 5.0), ("other", 4.0, 1.0, 7.0))
    )  # fmt: skip
    bench = GradientBench(measures, {}, "exact", "guide", "one", "least variance x time")
    (path,) = draw_bench(bench, tmp_path)
    assert path.name == "gradients.png"
    (axes,) = drawn["gradients.png"].axes
    assert axes.get_title() == "Gradient in the guide's parameters"
    shown = {box.get_label(): box.lines[0].get_xydata().tolist() for box in axes.containers}
    assert shown == {"no bias measured": [[5.0, 2.0]], "biased": [[7.0, 4.0]]}
