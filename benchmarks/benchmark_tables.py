"""The benchmarks' results in words: tables made of the JSON in `benchmarks/results`."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explanation_tables import EXPLANATIONS
from gpu_tables import GPU
from prior_tables import PRIORS
from training_tables import TRAINING
from trust_tables import TRUST

from taut.fitted.facts import FitFacts, read_facts

__all__ = ["tables"]

RESULTS = Path(__file__).resolve().parent / "results"


def tables() -> str:
    """Tables of speed, quality, trust and counterfactuals, each with what has been measured."""
    lines = [f"On {hardware()}; published figures in brackets where there are any."]
    all_tables = {
        "speed and memory": SPEED,
        "on a GPU": GPU,
        "quality": QUALITY | TRAINING | PRIORS,
        "trust": TRUST,
        "counterfactuals": EXPLANATIONS,
    }
    for title, tables in all_tables.items():
        lines += ["", f"| {title} | measured |", "|---|---|"]
        for name, rows in tables.items():
            path = RESULTS / f"{name}.json"
            if path.exists():
                lines += [
                    f"| {what} | {found} |" for what, found in rows(json.loads(path.read_text()))
                ]
    return "\n".join(lines)


def hardware() -> str:
    """What the training steps were timed on."""
    found = json.loads((RESULTS / "throughput.json").read_text())["hardware"]
    return f"{found['cores']} cores ({found['processor']})"


Rows = list[tuple[str, str]]
FLOWS = ("affine-coupling", "spline-coupling", "maf")


def of_throughput(found: dict[str, Any]) -> Rows:
    over, conv = found["speed_over"], found["conv"]["speed_over_pytorch_channels_last"]
    step = statistics.median(found["milliseconds_per_step"]["taut"])
    peers = ("NumPyro", "PyTorch", "Pyro", "Pythae")
    return [
        ("training step, 784-400-20 VAE, batch 128", f"{step:.2f} ms"),
        (f"its speed over {', '.join(peers)}", ", ".join(f"{over[n]:.2f}" for n in peers)),
        ("share that its matrix products alone need", f"{found['products_over_taut']:.0%}"),
        ("residual convolutional VAE, 28 x 28, its speed over PyTorch", f"{conv:.2f}"),
    ]


def of_evaluate(found: dict[str, Any]) -> Rows:
    shares = found["architectures"].items()
    what = f"evidence by {found['particles']} draws a row, share of the speed of matrix products"
    return [(what, ", ".join(f"{name}: {each['share_of_peak']:.0%}" for name, each in shares))]


def of_memory(found: dict[str, Any]) -> Rows:
    what = "`taut evaluate`, peak memory, 10,000 over 100 particles"
    return [(what, f"{1 + found['growth']:.3f}")]


def of_array_memory(found: dict[str, Any]) -> Rows:
    memory = dict(found["memory"])
    size = memory.pop("file_mib")
    return [
        (
            f"a .npy of {size:,} MiB of {form}, peak memory over imports in sizes of the file: reading; "
            "an epoch of a VAE; two iterations of EM",
            f"{of['read, fit']:.1f}; {of['fit']:.1f}; {of['em']:.1f}",
        )
        for form, of in memory.items()
    ]


def of_start(found: dict[str, Any]) -> Rows:
    seconds = found["seconds"]
    first, again = (seconds[f"fit digits, {cache} cache"] for cache in ("empty", "warm"))
    return [
        ("`taut fit digits`, whole command", f"{first:.1f} s, again {again:.1f} s"),
        (
            "a command that was run before, seconds to its first step",
            ", ".join(f"{name} {warm:.1f}" for name, warm in found["first_step_warm"].items()),
        ),
        ("`taut --help`", f"{seconds['help']:.2f} s"),
    ]


def of_streaming(found: dict[str, Any]) -> Rows:
    peaks = {"npy": found["peak_mib"], "parquet": found["parquet"]["peak_mib"]}
    sizes = ", ".join(
        f".{name} of {found['gib'][f'rows.{name}']:.1f} GiB: {peak:,.0f} MiB"
        for name, peak in peaks.items()
    )
    return [
        ("training from disk, peak memory", sizes),
        ("its steps a second over those from memory", f"{found['streamed_over_in_memory']:.2f}"),
    ]


def of_em(found: dict[str, Any]) -> Rows:
    exact, online, holes = found["exact"], found["online"], found["holes"]
    size = f"{exact['rows']:,} x {exact['columns']}, {exact['components']} full components"
    return [
        (f"EM, {size}, against scikit-learn", f"{exact['speedup']:.1f} times as fast"),
        *(
            (f"the same, against {of['pins'][0]}", f"{of['speedup']:.1f} times as fast")
            for of in ([found["gmmx"]] if "gmmx" in found else [])
        ),
        (
            f"the same with {holes['missing']:.0%} of the cells missing, an iteration",
            f"{holes['times_the_time_without_holes']:.1f} times the time without",
        ),
        *(
            (
                f"the same with diagonal components, an iteration, against {of['pins'][0]}",
                f"{of['speedup']:.1f} times as fast",
            )
            for of in ([found["stepmix"]] if "stepmix" in found else [])
        ),
        (
            f"online EM, {online['rows']:,} x {online['columns']} from disk",
            f"{online['seconds']:.0f} s, {online['peak_gib']:.2f} GiB",
        ),
    ]


def of_whole_command(found: dict[str, Any]) -> Rows:
    """Processor seconds, from the first keystroke to the last number."""
    em = [
        (
            f"`taut em` on {size}, whole command, over scikit-learn's single start; over equal restarts",
            f"{of['over one start']:.2f}; {of['over equal']:.2f}",
        )
        for size, of in found["em"].items()
    ]
    what = (
        "`taut.infer` of eight schools in a script, processor seconds over imports, first and later"
    )
    infer = found["infer"]
    return [*em, (what, f"{infer['first']:.1f} s, {infer['median']:.1f} s")]


def of_vi_speed(found: dict[str, Any]) -> Rows:
    return [
        (
            f"`taut.infer`, {family}, seconds to within {found['within_nats']} nat of the best bound, "
            f"compilation included, against the best of NumPyro's SVI and PyMC's ADVI: median of "
            f"{of['of']} posteriors",
            f"{of['speedup_over_best_peer']:.1f} times as fast; steps a second "
            f"{of['steps_per_second_over_numpyro']:.1f} times NumPyro's",
        )
        for family, of in found["summary"].items()
    ]


def of_plate(found: dict[str, Any]) -> Rows:
    run = max(found["runs"].values(), key=lambda run: run["rows"])
    return [
        (
            f"`taut.infer` on {run['rows']:,} rows, {run['batch']:,} a step, and the largest errors of "
            "means and sds",
            f"{run['seconds']:.0f} s; {run['largest_error_of_means_in_sd']:.2f} sd, "
            f"{run['largest_relative_error_of_sds']:.0%}",
        )
    ]


def of_mnist(bound: str) -> Callable[[dict[str, Any]], Rows]:
    def nll(of: dict[str, Any]) -> str:
        if of["mc_error"] is None:  # not known, as weights have heavy tails
            return f"{of['test_nll']:.2f} ± {of['data_error']:.2f} (rows alone)"
        return f"{of['test_nll']:.2f} ± {math.hypot(of['mc_error'], of['data_error']):.2f}"

    def rows(found: dict[str, Any]) -> Rows:
        facts = read_facts(found["facts"], where=f"static_mnist_{bound}.json")
        assert isinstance(facts, FitFacts)
        minutes, cores = facts.training_seconds / 60, found["hardware"]["cores"]
        trained = f"{bound}, {minutes:.0f} minutes on {cores} core{'s' * (cores > 1)}"
        lines = [
            (
                f"statically binarized MNIST, 50 latents, {trained}, test NLL",
                f"{nll(found)} [{found['published_test_nll']}]",
            )
        ]
        if "refitted" in found:
            minutes = found["refitted"]["seconds"] / 60
            refit = (
                f"the same model, its encoder alone fitted for {minutes:.0f} minutes more, test NLL"
            )
            lines.append((refit, f"{nll(found['refitted'])} [{found['published_test_nll']}]"))
        if "refined" in found:
            own = "the same model, by as many draws from a Gaussian of each row's own, test NLL"
            lines.append((own, nll(found["refined"])))
        return lines

    return rows


def of_discrete(found: dict[str, Any]) -> Rows:
    published = found["published_training_nelbo"]
    return [
        (
            f"200 Bernoulli latents, linear, {of['steps']:,} steps of {found['batch']} rows, {name}, "
            "training -ELBO",
            f"{of['training_nelbo']:.2f}"
            + (f" [{published[name]} after 2,000,000]" if name in published else ""),
        )
        for name, of in [*found["best"].items(), *found["best_longer"].items()]
    ]


def trust(of: dict[str, Any]) -> str:
    """What its importance weights take from a number."""
    if "unreliable" not in of["flags"]:
        return ""
    share, threshold = 100 * of["khat_above_threshold"], of["khat_threshold"]
    return f", a lower bound: k-hat above {threshold:.1f} on {share:.1f} % of rows"


def of_tables(found: dict[str, Any]) -> Rows:
    return [
        (
            f"{name}, test log-likelihood, factorized decoder",
            f"{of['test_log_likelihood']:.2f} ± {of['data_error']:.2f}" + trust(of),
        )
        for name, of in found["tables"].items()
        if "test_log_likelihood" in of
    ]


def of_posteriors(found: dict[str, Any]) -> Rows:
    summary = found["summary"]
    return [
        (
            f"posteriordb, {summary['posteriors']} posteriors: k-hat below 0.7 and moments within 0.1 "
            "and 0.15 sd of the reference",
            f"{summary['of these with moments within 0.1 and 0.15']}, and "
            f"{summary['silent failures, mean-field included']} silent failures",
        )
    ]


def of_nuts(found: dict[str, Any]) -> Rows:
    summary = found["summary"]
    doubted, beyond = summary["not believed"], summary["beyond 0.1 sd or 10 %"]
    return [
        (
            f"posteriordb, `taut.infer` as it comes, {summary['fits']} fits: not believed; beyond 0.1 "
            "sd or 10 %; its seconds over those of NUTS, medians, cold and warm",
            f"{len(doubted)}; {len(beyond)}; {summary['median cold']:.2f}, {summary['median warm']:.2f}",
        )
    ]


def of_verdicts(found: dict[str, Any]) -> Rows:
    summary = found["summary"]
    return [
        (
            f"{summary['posteriors']} generated posteriors with known answers, {found['keys']} keys: "
            "believed with a mean off by 0.1 sd or an sd by 15 %; refused; easy ones not believed",
            f"{summary['believed and wrong']} of {summary['believed']}; {summary['refused']} of "
            f"{summary['fits']}; {summary['easy fits not believed']} of {summary['easy fits']}",
        )
    ]


def of_flow_posteriors(found: dict[str, Any]) -> Rows:
    runs = found["runs"]
    mnist = [
        (
            f"static MNIST, 50 latents, {of['steps']:,} steps, "
            f"{name.replace('mnist-', 'posterior ').replace('-', ' ')}: test -ELBO, NLL",
            f"{of['nelbo']:.2f}, {of['nll']:.2f}",
        )
        for name, of in runs.items()
        if name.startswith(("mnist", "ladder")) and "-key" not in name and "-rate" not in name
    ]
    frey = [
        (
            f"Frey faces, posterior {name}, bits per dimension of the ELBO",
            f"{runs[f'frey-{name}']['bits_per_dimension_of_the_elbo']:.2f} [{published:.2f}]",
        )
        for name, published in found["published_frey"].items()
    ]
    return mnist + frey


def of_densities(found: dict[str, Any]) -> Rows:
    return [
        (
            f"flow on {name}, {of['parameters']:,} parameters, nats below the ceiling",
            f"{of['gap']:.3f} ± {of['gap_error']:.3f}",
        )
        for name, of in found["densities"].items()
    ]


def of_flows(found: dict[str, Any]) -> Rows:
    pairs = [(row["difference"], row["error"]) for row in found["quality"].values()]
    level = sum(difference >= -2 * error for difference, error in pairs)
    what = "flows on tables, test log-likelihood no worse than Zuko's within two errors"
    return [(what, f"{level} of {len(pairs)}")]


def of_flow_steps(found: dict[str, Any]) -> Rows:
    kinds = {kind: of["speed_over"] for kind, of in found["time"].items() if kind in FLOWS}
    return [
        (
            f"{kind}:5, training step, its speed over Zuko, FlowJAX",
            f"{speed['zuko']:.1f}, {speed['FlowJAX']:.1f}",
        )
        for kind, speed in kinds.items()
    ]


def of_kills(found: dict[str, Any]) -> Rows:
    what = "runs killed at random and resumed, with the bytes of one never stopped"
    return [(what, f"{found['identical']} of {found['runs']}, after {found['kills']} kills")]


def of_synthetic(found: dict[str, Any]) -> Rows:
    best, real = found["found"][found["chosen"]], found["found"]["real"]
    names, published = ("trend", "two-sample", "area"), found["published"]["TabSyn"]
    measured = ", ".join(
        f"{best[name]:.3f} [{other:.2f}]" for name, other in zip(names, published, strict=True)
    )
    number = best["settings"]["components"]
    return [
        (
            f"synthetic rows of adult, `mixed` with {number} components: trends of pairs, two-sample "
            "score, area of trees that learn income from them [TabSyn]; of real rows",
            f"{measured}; " + ", ".join(f"{real[name]:.3f}" for name in names),
        )
    ]


def of_refined(found: dict[str, Any]) -> Rows:
    rows = []
    for name, one in found["sets"].items():
        encoder, row, bracket = one["importance"], one["refined"], one["bracket"]
        what = (
            f"evidence of {one['rows']} rows of {name}: 20,000 draws of the encoder; 1,000 of a "
            "Gaussian of each row; width of the bracket of the mean, its seconds again"
        )
        rows.append((
            what,
            f"{encoder['nats']:.2f}, {encoder['share_flagged']:.1%} of rows flagged, "
            f"{encoder['seconds'][1]:.1f} s; {row['nats']:.2f}, {row['share_flagged']:.1%}, "
            f"{row['seconds'][1]:.1f} s; {bracket['width'][1]:.3f} nats, {bracket['seconds'][1]:.1f} s",
        ))  # fmt: skip
    return rows


SPEED: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "throughput": of_throughput,
    "evaluate": of_evaluate,
    "evaluate_memory": of_memory,
    "whole_command_memory": of_array_memory,
    "streaming": of_streaming,
    "start": of_start,
    "em": of_em,
    "whole_command": of_whole_command,
    "vi_speed": of_vi_speed,
    "plate": of_plate,
    "flows": of_flow_steps,
}


QUALITY: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "static_mnist_elbo": of_mnist("one-sample ELBO"),
    "static_mnist_iwae": of_mnist("IWAE-5"),
    "discrete_mnist": of_discrete,
    "binary_tables": of_tables,
    "refined": of_refined,
    "posteriordb": of_posteriors,
    "nuts": of_nuts,
    "verdicts": of_verdicts,
    "flow_posteriors": of_flow_posteriors,
    "toy_densities": of_densities,
    "flows": of_flows,
    "kills": of_kills,
    "synthetic": of_synthetic,
}
