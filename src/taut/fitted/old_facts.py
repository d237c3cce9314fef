"""Facts that format 1 of `summary.json` wrote as sentences, read as numbers."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["migrated"]

_ROWS = re.compile(r"(\d+) train, (\d+) validation, (\d+) test")
_CODES = re.compile(r"perplexity ([\d.]+) of (\d+), (\d+) used .*, on (\d+) rows")
_DRAWS = re.compile(r"(\d+) of (\d+)")
_STARTS = re.compile(r"(\d+), number (\d+) was highest")
_HELD_APART = re.compile(r"component (\d+)")
_LONE_ROW = re.compile(r"around row (\d+) alone")
_POINT = {
    "components": "components",
    "validation": "validation log-evidence",
    "validation_error": "validation error",
    "training": "training log-evidence",
    "bic": "bic",
    "free_parameters": "free parameters",
}


def migrated(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of today's facts from that of yesterday's.

    Raises:
        KeyError, TypeError, ValueError: they are not of this form either.
    """
    return _posterior(facts) if "verdict" in facts else _fit(facts)


def _fit(facts: Mapping[str, Any]) -> dict[str, Any]:
    train, validation, test = _numbers(_ROWS, facts["rows"])
    em = _em(facts) if "components" in facts else None
    steps = facts["steps"] if em is None else facts.get("iterations", facts.get("batches"))
    name, colon, why = facts.get("gradient", "").partition(": ")
    codes = None
    if "codes" in facts:
        perplexity, number, used, rows = _CODES.fullmatch(facts["codes"]).groups()  # pyright: ignore[reportOptionalMemberAccess]
        codes = {
            "codes": int(number), "used": int(used), "perplexity": float(perplexity),
            "rows": int(rows),
        }  # fmt: skip
    suffix = " chosen because"
    return {
        "kind": "fit",
        "rows": {"train": train, "validation": validation, "test": test},
        "steps": steps,
        "best_step": facts.get("best step", steps),
        "training_seconds": facts["training seconds"],
        "evaluation_seconds": facts["evaluation seconds"],
        "device": facts["device"],
        "versions": facts.get("versions", ""),
        "particles": facts.get("particles"),
        "reasons": {n.removesuffix(suffix): f for n, f in facts.items() if n.endswith(suffix)},
        "gradient": {"name": name, "why": why} if colon else None,
        "objective_departure": facts.get("objective differs from the bound", ""),
        "gradient_departure": facts.get("gradient differs from the bound's", ""),
        "code_use": codes,
        "em": em,
        "notes": _notes(facts),
    }


def _em(facts: Mapping[str, Any]) -> dict[str, Any]:
    (bic,) = (value for name, value in facts.items() if name.startswith("BIC, "))
    apart = {_HELD_APART.fullmatch(name): text for name, text in facts.items()}
    starts = facts.get("objective of each start")
    return {
        "components": facts["components"],
        "free_parameters": facts["free parameters"],
        "bic": bic,
        "converged": facts["converged"] == "yes" if "converged" in facts else None,
        "starts": [float(end) for end in starts.split(", ")] if starts else [],
        "held_apart": [
            {"component": int(name[1]), "row": _numbers(_LONE_ROW, text)[0]}
            for name, text in apart.items()
            if name
        ],
        "start_rows": facts.get("rows of the start"),
        "chosen_by": facts.get("components chosen by"),
        "selection": [
            {name: point[old] for name, old in _POINT.items()}
            for point in facts.get("selection", [])
        ],
    }


def _posterior(facts: Mapping[str, Any]) -> dict[str, Any]:
    family, _, layers = facts["guide"].partition(" ")
    effective, draws = _numbers(_DRAWS, facts["effective draws"])
    starts = None
    if "starts" in facts:
        climbed, winner = _numbers(_STARTS, facts["starts"])
        starts = {"climbed": climbed, "winner": winner - 1}
    prefix = "seconds of "
    return {
        "kind": "posterior",
        "verdict": facts["verdict"],
        "program": facts["program"],
        "family": family,
        "layers": layers,
        "coordinates": facts["coordinates"],
        "khat": facts["k-hat"],
        "guide_khat": facts["k-hat of the guide alone"],
        "khat_threshold": facts["k-hat threshold"],
        "effective_draws": effective,
        "num_draws": draws,
        "steps": facts.get("steps"),
        "starts": starts,
        "seconds": {n.removeprefix(prefix): s for n, s in facts.items() if n.startswith(prefix)},
        "notes": _notes(facts),
    }


def _notes(facts: Mapping[str, Any]) -> list[str]:
    return [text for name, text in facts.items() if name.startswith("note ")]


def _numbers(pattern: re.Pattern[str], text: str) -> tuple[int, ...]:
    found = pattern.search(text)
    if found is None:
        raise ValueError(f"'{text}'")
    return tuple(int(group) for group in found.groups())
