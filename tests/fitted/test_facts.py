"""Facts of a fit: numbers stay numbers, files of any age are read, and words are those of the files."""

import dataclasses
import json
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from old_facts_cases import OLD

from taut.core import InputError
from taut.fitted.facts import (
    CodesInUse,
    EMFacts,
    FitFacts,
    PosteriorFacts,
    RowCounts,
    read_facts,
)
from taut.report.words import fact_words, posterior_words

KINDS = (FitFacts, PosteriorFacts)


def _any(kind: Any, seed: int) -> Any:
    """A value of an annotation, another one for each seed."""
    if dataclasses.is_dataclass(kind):
        return _filled(kind, seed)
    if get_origin(kind) is tuple:
        return tuple(_any(get_args(kind)[0], seed + i) for i in range(2))
    if get_origin(kind) is Mapping:
        return {f"name {seed}": _any(get_args(kind)[1], seed)}
    if NoneType in get_args(kind):
        return _any(next(k for k in get_args(kind) if k is not NoneType), seed)
    return {int: seed, float: seed + 0.5, str: f"word {seed}", bool: True}[kind]


def _filled(kind: Any, seed: int = 3) -> Any:
    """A dataclass whose every field has a value unlike its default."""
    hints = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    return kind(**{name: _any(hints[name], seed + i) for i, name in enumerate(names)})


def _written(facts: Any) -> dict[str, Any]:
    return json.loads(json.dumps(facts.to_dict(), allow_nan=False))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_comes_back_from_json(kind):
    facts = _filled(kind)
    for f in dataclasses.fields(facts):
        if f.default is not dataclasses.MISSING:
            assert getattr(facts, f.name) != f.default, f.name
    assert read_facts(_written(facts), where="run") == facts
    least = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    least -= {
        f.name for f in dataclasses.fields(kind) if f.default_factory is not dataclasses.MISSING
    }
    few = {"kind": kind.kind} | {n: v for n, v in _written(facts).items() if n in least}
    read_facts(few, where="run")


@pytest.mark.parametrize("kind", KINDS)
def test_infinities_are_words_and_come_back_as_numbers(kind):
    for value in (math.inf, -math.inf, math.nan):
        floats = {n: value for n, k in get_type_hints(kind).items() if k is float}
        assert floats
        content = _written(dataclasses.replace(_filled(kind), **floats))
        assert all(content[name] == str(value) for name in floats)
        found = read_facts(content, where="run")
        assert all(str(getattr(found, name)) == str(value) for name in floats)


def test_counts_are_whole_numbers_in_json():
    assert _written(_filled(FitFacts))["rows"] == {"train": 3, "validation": 4, "test": 5}
    held = _written(_filled(FitFacts))["em"]["held_apart"][0]
    assert held == {"component": 22, "row": 23, "rows": 24.5, "directions": 25}


@pytest.mark.parametrize("name", OLD)
def test_old_files_are_read_and_worded_as_they_were_written(name):
    old = OLD[name]
    facts = read_facts(old, where="run")
    worded = posterior_words(facts) if isinstance(facts, PosteriorFacts) else fact_words(facts)
    notes = [str(text) for key, text in old.items() if key.startswith("note ")]
    assert list(facts.notes) == notes
    shown = {k: str(v) for k, v in old.items() if k != "selection" and not k.startswith("note ")}
    assert worded == shown
    assert [*worded] == [*shown] or name == "ascent"
    assert read_facts(_written(facts), where="run") == facts or name == "flow"  # NaN is not itself


def test_what_old_files_say_in_sentences_is_a_number():
    fit, em, online = (read_facts(OLD[n], where="run") for n in ("codes", "em", "online em"))
    assert isinstance(fit, FitFacts)
    assert fit.rows == RowCounts(48, 6, 6)
    assert fit.code_use == CodesInUse(codes=3, used=3, perplexity=3.0, rows=6)
    assert isinstance(em, FitFacts)
    assert em.em is not None
    assert em.em.starts == (-2.1840, -2.1112, -2.0406)
    assert [(one.component, one.row) for one in em.em.held_apart] == [(0, 2), (2, 40)]
    assert [(p.components, p.free_parameters) for p in em.em.selection] == [(2, 11), (3, 17)]
    assert isinstance(online, FitFacts)
    assert online.steps == 3
    assert online.em == EMFacts(
        components=1, free_parameters=7, bic=653.716, converged=None, start_rows=72
    )
    posterior, flow = (read_facts(OLD[name], where="run") for name in ("posterior", "flow"))
    assert isinstance(posterior, PosteriorFacts)
    assert isinstance(flow, PosteriorFacts)
    assert posterior.starts is not None
    assert (posterior.starts.climbed, posterior.starts.winner) == (4, 2)
    assert (posterior.effective_draws, posterior.num_draws) == (394.0, 400)
    assert (flow.family, flow.layers, flow.starts) == ("flow", "planar:2", None)
    assert math.isnan(flow.khat)
    assert flow.guide_khat == math.inf


@pytest.mark.parametrize(
    "spoiled",
    [
        {},
        {"kind": "guess"},
        {"kind": "fit"},
        _written(_filled(FitFacts)) | {"moods": 3},
        _written(_filled(FitFacts)) | {"steps": "many"},
        _written(_filled(FitFacts)) | {"training_seconds": "long"},
        _written(_filled(FitFacts)) | {"rows": "48 train, 6 validation, 6 test"},
        OLD["em"] | {"rows": "a few"},
        OLD["codes"] | {"codes": "some"},
    ],
)
def test_what_taut_does_not_write_is_refused(spoiled):
    with pytest.raises(
        InputError, match=r"^run: expected the facts of a fit or a posterior .* Try"
    ):
        read_facts(spoiled, where="run")
