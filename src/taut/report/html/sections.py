"""The parts of a report on one run."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from taut.core import Estimate, InputError
from taut.data import Dataset, Schema, cell_words
from taut.errors import counted, counted_are, option, worded
from taut.fitted.facts import FitFacts, PosteriorFacts
from taut.report.html import audited, rows, training
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import term
from taut.report.html.numbers import estimates, facts, table
from taut.report.html.page import Section
from taut.report.html.reported import Reported
from taut.report.html.svg import Rule, Steps, plot, side_by_side
from taut.report.posterior import digits_of, number
from taut.report.words import (
    ESTIMATES,
    POSTERIOR_ESTIMATES,
    fact_words,
    posterior_words,
)
from taut.runs import read_json, reading

__all__ = ["named", "sections", "summary"]

_COORDINATES, _DRAWN = 60, 9  # of a posterior, in the table and in pictures
_COLUMNS = 200
_TAIL = 0.002  # share of the mass left out at each end of an axis


def sections(run: Reported, *, pixels: int = rows.PIXELS) -> list[Section]:
    """What is known of a run, part by part.

    Arguments:
        run: the run.
        pixels: that each mosaic of images may take.
    """
    measured = estimates(named(run), caption="Numbers of this run") if run.estimates else None
    found = [
        ("Numbers", joined(
            measured, _kept(run, "evaluation", audited.evaluation),
            _kept(run, "bracket", audited.bracket),
        )),
        ("What was fitted", _fitted(run)),
        ("Posterior", _posterior(run)),
        ("How it went", _course(run)),
        ("What the model makes", _rows(run, pixels)),
        ("Audit", _kept(run, "audit", audited.audit)),
        ("Calibration", _kept(run, "calibration", audited.calibration)),
        ("Fidelity", _kept(run, "fidelity", audited.fidelity)),
        ("Counterfactuals", _kept(run, "counterfactuals", audited.counterfactuals)),
        ("Columns", None if run.schema is None else _columns(run.schema)),
        ("How to repeat it", _repeated(run)),
    ]  # fmt: skip
    return [Section(title, body) for title, body in found if body]


def named(run: Reported) -> dict[str, Estimate]:
    """The estimates of a run by the words for them."""
    words = POSTERIOR_ESTIMATES if isinstance(run.facts, PosteriorFacts) else ESTIMATES
    return {words.get(name, name): estimate for name, estimate in run.estimates.items()}


def summary(run: Reported) -> Markup:
    """One sentence, and what a reader must know first."""
    known = run.facts
    if isinstance(known, PosteriorFacts):
        said = _sentence(f"Posterior of {known.program}: {known.verdict}")
    elif run.schema is not None and isinstance(known, FitFacts):
        model = run.fit.architecture.name if run.fit is not None else "A model"
        said = f"{model} fitted to {counted(known.rows.train, 'row')} of {run.schema.name}."
        if "log_evidence" in run.estimates:
            said += f" Held-out log-evidence {run.estimates['log_evidence']}."
    else:
        said = run.name
    notes = () if known is None else known.notes
    return joined(
        element("p", said, class_="said"),
        element("p", run.unfinished, class_="note") if run.unfinished else None,
        [element("p", _sentence(text), class_="note") for text in [*run.lacking, *notes]],
    )


def _kept(run: Reported, word: str, shown: Callable[[Any], Markup]) -> Markup | None:
    """What a command left; a sentence where the file holds something else by now."""
    if word not in run.kept:
        return None
    try:
        with reading(run.kept[word]):
            return shown(read_json(run.kept[word]))
    except InputError as error:
        return element("p", f"{error}", class_="note")


def _fitted(run: Reported) -> Markup | None:
    if run.facts is None:
        return None
    if isinstance(run.facts, PosteriorFacts):
        return facts(posterior_words(run.facts))
    return facts(fact_words(run.facts))


def _course(run: Reported) -> Markup | None:
    if run.facts is None or isinstance(run.facts, FitFacts):
        em = None if run.facts is None else run.facts.em
        drawn = [training.course(run.history, run.facts), em and training.chosen_components(em)]
    else:
        drawn = [training.rounds(run.history)]
    figures = [figure for figure in drawn if figure]
    return side_by_side(figures) if figures else None


def _rows(run: Reported, pixels: int) -> Markup | None:
    if run.fit is None or run.data is None:
        return None
    test = run.data.test
    assert isinstance(test, Dataset)
    drawn = {
        "Samples": rows.samples(run.fit, run.data, pixels=pixels),
        "Reconstructions": rows.reconstructions(run.fit, test, pixels=pixels),
        "Latent space": rows.latents(run.fit, test),
    }
    return joined(
        joined(element("h3", title), body) for title, body in drawn.items() if body is not None
    )


def _posterior(run: Reported) -> Markup | None:
    columns = run.coordinates
    if columns is None:
        return None
    names = list(columns["coordinate"])
    quantiles = [n for n in columns if n.startswith("resampled_q") and not n.endswith("_error")]
    body = []
    for i, name in enumerate(names[:_COORDINATES]):
        spread = columns["resampled_sd"][i]
        digits = digits_of(columns["resampled_mean_error"][i], spread)
        of_spread = digits_of(columns["resampled_sd_error"][i], spread)
        body.append((
            name,
            _with_error(columns["resampled_mean"][i], columns["resampled_mean_error"][i], digits),
            _with_error(spread, columns["resampled_sd_error"][i], of_spread),
            *(number(columns[q][i], digits) for q in quantiles),
            number(columns["guide_mean"][i], digits), number(columns["guide_sd"][i], of_spread),
        ))  # fmt: skip
    heads = ("", joined(term("mean"), " ± draws"), joined(term("sd"), " ± draws"),
             *(f"{q.removeprefix('resampled_q')} %" for q in quantiles), "guide mean",
             "guide sd")  # fmt: skip
    left = len(names) - len(body)
    said = f"{counted_are(left, 'more coordinate')} in coordinates.csv."
    return joined(
        table(heads, body, caption="Coordinates under the weighted draws; ±: other draws"),
        element("p", said) if left else None,
        _densities(run, names),
    )


def _densities(run: Reported, names: Sequence[str]) -> Markup | None:
    """Weighted draws of the first coordinates, and those of the guide."""
    if run.weights is None:
        return None
    figures = []
    for name in [name for name in names if name in run.draws][:_DRAWN]:
        values, weights = np.asarray(run.draws[name], np.float64), np.asarray(run.weights)
        order = np.argsort(values)
        low, high = np.interp(
            [_TAIL, 1 - _TAIL], np.cumsum(weights[order]), values[order]
        )  # fmt: skip
        if not (math.isfinite(low) and math.isfinite(high)):
            continue
        room = 0.05 * (high - low) or 0.5
        edges = np.linspace(low - room, high + room, 41)
        guide = values[: run.num_guide]
        figures.append(
            plot(
                [
                    Steps(edges, np.histogram(values, edges, weights=weights)[0], True, "c0",
                          "weighted draws"),
                    Steps(edges, np.histogram(guide, edges)[0] / max(len(guide), 1), False, "c1",
                          "guide"),
                    Rule(x=float(weights @ values), label="mean"),
                ],
                title=name, x=name, y="share of the draws",
            )
        )  # fmt: skip
    return side_by_side(figures) if figures else None


def _columns(schema: Schema) -> Markup:
    form = {
        "data": schema.name,
        "rows": f"{schema.kind} of shape {' x '.join(map(str, schema.shape))}",
        "values": schema.support + (f", {schema.levels} levels" if schema.levels else ""),
        "labels": schema.label_name or "none",
        "missing cells": "some" if schema.holes else "none",
    }
    if schema.kind == "image":
        return facts(form)
    body = []
    constants = dict(schema.constants())
    names = schema.columns or tuple(f"x{i}" for i in range(schema.size))
    shift, scale = schema.shift_scale()
    for i, name in enumerate(names[:_COLUMNS]):
        kind = schema.kinds[i].kind if schema.kinds else schema.support
        why = schema.kinds[i].reason if schema.kinds else ""
        if i in constants:
            why = f"always {cell_words(schema, i, constants[i])}"
        elif schema.shift is not None and not schema.kinds:
            why = f"mean {shift[i]:.4g}, standard deviation {scale[i]:.4g}"
        body.append((name, kind, why))
    left = schema.size - len(body)
    return joined(
        facts(form),
        table(("", "kind", "of the training rows"), body, caption="Columns", words=(0, 1, 2)),
        element("p", f"{counted_are(left, 'more column')} not shown.") if left > 0 else None,
    )


def _repeated(run: Reported) -> Markup | None:
    if not run.config:
        return None
    parts: list[Any] = []
    if run.folder is not None:
        command = "infer" if isinstance(run.facts, PosteriorFacts) else "fit"
        program = "FILE.py " if command == "infer" else ""
        again = worded(option("config", str(run.folder / "config.toml")), "command line")
        parts.append(element("pre", element("code", f"taut {command} {program}{again}")))
    parts.append(element("p", "The options that were of use, as config.toml has them:"))
    return joined(parts, element("pre", element("code", run.config), tabindex="0"))


def _sentence(text: str) -> str:
    """Ended; begun as it was, perhaps with the name of a file."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{number(value, digits)} ± {number(error, digits)}"
