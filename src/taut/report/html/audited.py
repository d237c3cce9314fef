"""What commands on a run have found: its audit, its evaluation, its calibration, the fidelity of its
rows, its counterfactuals.

Each takes what the command keeps as JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from taut.core import Estimate, counted
from taut.report.audit import gained, looked_at
from taut.report.bracket import quoted
from taut.report.fidelity import compared_words, likeness, record_words
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import term
from taut.report.html.numbers import estimates, facts, table
from taut.report.html.svg import Band, Line, plot
from taut.report.numbers import percent
from taut.report.words import METHODS

__all__ = ["audit", "bracket", "calibration", "counterfactuals", "evaluation", "fidelity"]

_CURVES, _QUANTITIES, _LEAST_ALIKE = 12, 20, 5


def audit(content: Mapping[str, Any], *, word: Callable[..., Markup] = term) -> Markup:
    """Findings, gaps and the parts of the ELBO.

    Arguments:
        content: as of `Audit.to_dict`.
        word: as of `estimates`.
    """
    found = [
        element("li", element("strong", f["name"]), ": ", _nats(f["loss"]),
                f"{f['says']}. Try {f['try']}.")
        for f in content["findings"]
    ]  # fmt: skip
    verdict = element("ol", found) if found else element(
        "p", "No loss above a tenth of a nat and its errors."
    )  # fmt: skip
    gaps = {
        f"{part}: {name}": Estimate.from_dict(content["gaps"][place][key])
        for part, place in (("held-out", "held_out"), ("training", "training"))
        for name, key in (
            ("evidence - ELBO", "total"), ("encoder (amortization)", "amortization"),
            ("family (approximation)", "approximation"),
        )
        if content["gaps"][place][key]
    }  # fmt: skip
    surgery = _parts(content["surgery"])
    meanings = {name: name.partition(": ")[2] for name in gaps}
    meanings |= {name: name.removeprefix("- ") for name in surgery}
    held_out, training = (content["gaps"][place] for place in ("held_out", "training"))
    seen = looked_at(held_out["elbo"]["count"], training["elbo"]["count"], content.get("of"))
    use, trust = content["latents"], content["reliability"]
    about = {
        "active dimensions": f"{use['active']} of {use['dimensions']}",
        **({} if trust["ess_median"] is None else {"k-hat": _khats(trust)}),
        **({} if content["holes"] is None else {"holes of the prior": _holes(content["holes"])}),
    }
    return joined(
        verdict,
        estimates(
            gaps, caption=f"Gap between log-evidence and ELBO: {seen}", meanings=meanings, word=word,
        ),
        element("p", f"The gap is not divided: {held_out['undivided']}.")
        if held_out["undivided"] else None,
        estimates(surgery, caption="ELBO of the training rows", meanings=meanings, word=word),
        facts(about, word=word),
        [element("p", f"{note}.", class_="note") for note in content["notes"]],
        [element("p", _tried(trial)) for trial in content["tried"]],
    )  # fmt: skip


def _khats(trust: Mapping[str, Any]) -> str:
    above, method = percent(trust["share_above"]), METHODS.get(trust["method"], trust["method"])
    return f"{above} of held-out rows above {trust['khat_threshold']:.2f}, by {method}"


def evaluation(content: Mapping[str, Any]) -> Markup:
    """Log-evidence by method, and how far each can be trusted; as `taut evaluate` keeps it."""
    methods = content["methods"]
    numbers = {
        f"{word}, {name}": Estimate.from_dict(found[key])
        for name, found in methods.items()
        for word, key in (("log-evidence", "log_evidence"), ("upper end", "upper"))
        if found.get(key)
    }
    drawn = {
        name: found
        for name, found in methods.items()
        if found["num_particles"] is not None and found["log_evidence"]["mc_error"] != 0
    }
    rows = []
    for name, found in drawn.items():
        khat, ess = found["khat"], found["ess"]
        rows.append((
            name, f"{found['num_particles']}", percent(khat["share_above"]),
            f"{khat['threshold']:.2f}", "-" if khat["median"] is None else f"{khat['median']:.2f}",
            "-" if ess is None else f"{ess['median']:.1f}",
        ))  # fmt: skip
    heads = ("", "draws per row", joined("rows above in ", term("k-hat")), "threshold",
             "median k-hat", joined("median ", term("ESS")))  # fmt: skip
    notes = [
        f"{name}: {note}" for name, found in methods.items() for note in found.get("notes", ())
    ]
    return joined(
        estimates(
            numbers, caption=f"Evaluation of {counted(content['rows'], 'row')}, {content['of']}",
            meanings={name: name.partition(",")[0] for name in numbers},
        ),
        element("p", quoted(content["bracket"]), class_="said")
        if drawn and content.get("bracket") else None,
        table(heads, rows, caption="How far each number can be trusted") if drawn else None,
        [element("p", f"{note}.", class_="note") for note in notes],
    )  # fmt: skip


def bracket(content: Mapping[str, Any]) -> Markup:
    """Both ends of the log-evidence of a program's data, as `taut evaluate` keeps them."""
    ends = {"log-evidence": content["lower"], "upper end": content["upper"]}
    why = [f"no upper end: {content['without_upper']}"] if content["without_upper"] else []
    return joined(
        estimates(
            {name: Estimate.from_dict(end) for name, end in ends.items() if end},
            caption="The log-evidence and the end above it",
        ),
        [element("p", f"{note}.", class_="note") for note in [*why, *content["notes"]]],
    )  # fmt: skip


def calibration(content: Mapping[str, Any]) -> Markup:
    """Coverage and ranks; `content` as of `plain_calibration`."""
    quantities = content["quantities"]
    worst = sorted(quantities, key=lambda name: quantities[name]["p_value"])
    rows = [
        (name, *(
            f"{100 * inside['value']:.1f} ± {100 * inside['error']:.1f} %"
            for inside in quantities[name]["coverage"].values()
        ), f"{quantities[name]['p_value']:.2g}", quantities[name]["words"])
        for name in worst[:_QUANTITIES]
    ]  # fmt: skip
    probabilities = list(quantities[worst[0]]["coverage"]) if worst else []
    heads = (
        "", *(joined(term("coverage"), f" of {100 * float(p):g} %") for p in probabilities),
        term("p-value"), "the guide's draws",
    )  # fmt: skip
    band = content["band"]
    at, low, high = (np.asarray(band[name], np.float64) for name in ("at", "low", "high"))
    marks: list[Any] = [
        Band(at, low - at, high - at, "data", "where 95 % of calibrated guides stay")
    ]
    for place, name in enumerate(worst[:_CURVES]):
        curve = np.asarray(quantities[name]["distribution"], np.float64)
        marks.append(Line(at, curve - at, f"c{place % 5}", name if place < 5 else ""))
    return joined(
        element("p", f"{content['verdict'][:1].upper()}{content['verdict'][1:]}."),
        table(heads, rows, caption=f"On {counted(content['rows'], 'simulated row')}",
              words=(0, len(heads) - 1)),
        plot(marks, title="Distribution of ranks, less that of uniform ones", x="rank u",
             y="F(u) - u"),
        [element("p", f"{note}.", class_="note") for note in content["notes"]],
    )  # fmt: skip


def fidelity(content: Mapping[str, Any]) -> Markup:
    """How like held-out rows the model's are; `content` as of `Fidelity.to_dict`."""
    rows = [
        (name, *("-" if value is None else f"{value:.3f}" for value in pair))
        for name, pair in likeness(content).items()
    ]
    shapes = {name: score for name, score in content["shapes"].items() if score is not None}
    least = sorted(shapes, key=lambda name: shapes[name])[:_LEAST_ALIKE]
    said = ", ".join(f"{name} {shapes[name]:.3f}" for name in least)
    return joined(
        table(("1 is alike", "synthetic", "training"), rows, caption=compared_words(content)),
        element("p", f"Columns whose shapes are least alike: {said}.") if least else None,
        [element("p", f"{sentence}.") for sentence in record_words(content["records"])],
    )


def counterfactuals(content: Mapping[str, Any]) -> Markup:
    """How many answers there are and what they are like; as `taut explain` keeps them."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in content["reasons"].items())
    return joined(
        facts({
            "classifier": content["classifier"], "target": content["target"], "answers": reasons,
            "rows with an answer": f"{percent(content['coverage'])} of {len(content['rows'])}",
            "geometry": content["geometry"],
        }),
        [element("p", f"{note}.", class_="note") for note in content["notes"]],
    )  # fmt: skip


def _parts(found: Mapping[str, Any]) -> dict[str, Estimate]:
    """The parts of the ELBO by their names; both ends where components were drawn."""
    bracketed = found["mutual_information"]["side"] == "lower"
    parts = {
        "ELBO": "elbo", "reconstruction": "reconstruction",
        "- mutual information": "mutual_information",
        "  its upper end": "mutual_information_upper" if bracketed else "",
        "- marginal KL": "marginal_kl",
        "  its lower end": "marginal_kl_lower" if bracketed else "",
        "  of it total correlation": "total_correlation",
    }  # fmt: skip
    return {name: Estimate.from_dict(found[key]) for name, key in parts.items() if found.get(key)}


def _nats(loss: Mapping[str, Any] | None) -> str:
    return "" if loss is None else f"{Estimate.from_dict(dict(loss)).value:.3g} nats: "


def _tried(trial: Mapping[str, Any]) -> str:
    gains = {name: Estimate.from_dict(gain) for name, gain in trial["gains"].items()}
    return f"Tried for {trial['finding']}: {trial['what']}, {gained(gains, trial['why_not'])}."


def _holes(found: Mapping[str, Any]) -> str:
    share = Estimate.from_dict(found["share"])
    return (
        f"{percent(share.value)} ± {100 * share.mc_error:.1f} of its draws lie where no posterior is; "
        "1 % if it fits"
    )
