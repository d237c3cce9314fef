"""Results in words of what lets a number be trusted: evidence, audits, stops, damage, memory."""

import statistics
from collections.abc import Callable
from typing import Any

__all__ = ["TRUST"]

Rows = list[tuple[str, str]]


def of_oracles(found: dict[str, Any]) -> Rows:
    of = found["summary"]["all_methods"]
    flagged = {
        name: _easy_and_others(found["easy"], shares)
        for name, shares in found["summary"]["share_flagged"].items()
    }
    nodes = found["summary"]["by_method"]["refined-quadrature"]
    farthest = max(
        abs(cell["set_is_off_by"])
        for cell in found["cells"]
        if cell["method"] == "refined-quadrature" and cell.get("flagged_as_a_set") is False
    )
    return [
        (
            f"evidence that is known, {len(flagged) - 1} methods that draw: 95 % intervals of trusted "
            "rows that hold it; bounds, brackets of simulated rows that do not",
            f"{of['share']:.1%} of {of['rows']:,}; {len(found['summary']['bounds_that_do_not_hold'])}, "
            f"{len(found['summary']['brackets_of_simulated_rows_that_do_not_hold'])}",
        ),
        (
            f"quadrature around a Gaussian of each row, on the {nodes['of']} of these models with few "
            "latents: rows of sets without a flag that its error holds; the farthest such set",
            f"{nodes['hold']} of {nodes['rows']}; {farthest:.3f} nats",
        ),
        (
            "rows flagged by each method, of models whose guide is near the posterior; of harder ones",
            ", ".join(f"{name} {both}" for name, both in flagged.items()),
        ),
    ]


def _easy_and_others(easy: list[str], shares: dict[str, float]) -> str:
    """Mean shares of the models with a guide near their posterior, and of the others."""
    means = (
        statistics.mean(share for model, share in shares.items() if (model in easy) == wished)
        for wished in (True, False)
    )
    return "; ".join(f"{mean:.0%}" for mean in means)


def of_evidence(found: dict[str, Any]) -> Rows:
    what = f"static MNIST, {found['model']['latent_dim']} latents, {found['rows']} rows: log-evidence by"
    rows = []
    for name, of in found["methods"].items():
        flag = f", {of['share_unreliable']:.0%} of rows flagged" if of["flags"] else ", no flag"
        rows.append((f"{what} {name}", f"{of['log_evidence']:.2f}{flag}, {of['seconds']:.0f} s"))
    narrow = f"{found['narrowest_of_simulated_rows']:.3f} nats"
    return [*rows, ("narrowest bracket of rows that the model made", narrow)]


def of_evidence_speed(found: dict[str, Any]) -> Rows:
    rows = []
    if "precision" in found:
        of = found["precision"]
        best, less = of["methods"]["refined-annealed"], of["importance_sampling_is_still_below_by"]
        rows.append((
            f"that model, {of['rows']:,} rows: log-evidence by annealing from a Gaussian of each row; "
            "how much lower importance sampling from the encoder is after more than five times as long",
            f"{best['log_evidence']:.2f} ± {best['mc_error']:.3f} (draws) in {best['seconds']:.0f} s; "
            f"{less:.2f} nats after {of['times_the_seconds']:.1f} times",
        ))  # fmt: skip
    if "annealing" in found:
        each = [of for name, of in found["annealing"].items() if name.endswith("chains")]
        speed = ", ".join(f"{of['speed_over_pytorch']:.1f} times" for of in each)
        share = ", ".join(f"{of['products_over_taut']:.0%}" for of in each)
        rows.append((
            "annealed importance sampling of that model against a loop over images in PyTorch, 16 and "
            "200 chains: speed; share that the products of the decoder need",
            f"{speed}; {share}",
        ))  # fmt: skip
    return rows


def of_audit(found: dict[str, Any]) -> Rows:
    of, told = found["gaps"]["held_out"], found["published"]
    mutual = found["mutual_information"]
    least, most = (mutual[end]["value"] for end in ("at_least", "at_most"))
    return [
        (
            f"audit of static MNIST, {found['choices']['latent_dim']} latents, "
            f"{found['rows_looked_at']} held-out rows: gap, amortization, approximation",
            f"{of['total']['value']:.2f}, {of['amortization']['value']:.2f} "
            f"[{told['amortization']}], {of['approximation']['value']:.2f} [{told['approximation']}]",
        ),
        ("its mutual information; log N", f"{least:.2f} to {most:.2f}; {mutual['log_n']:.2f}"),
    ]


def of_pythae(found: dict[str, Any]) -> Rows:
    off = max(abs(of["nats"]) for of in found["difference_with_equal_keys"].values())
    door = found["door"]
    return [
        (
            f"a VAE of Pythae after {found['training']['seconds']:.0f} s: ELBO, evidence, amortization, "
            "approximation; the same weights rebuilt in taut differ by at most",
            f"{door['elbo']['value']:.2f}, {door['log_evidence']['value']:.2f}, "
            f"{door['amortization']['value']:.2f}, {door['approximation']['value']:.2f}; {off:.0e} nats",
        )
    ]


def of_stopping(found: dict[str, Any]) -> Rows:
    rising = found["rising"].values()
    early = ", ".join(f"{of['taut']['share']:.1%}" for of in rising)
    slope = ", ".join(f"{of['slope test']['share']:.1%}" for of in rising)
    return [
        (
            f"traces of {', '.join(found['rising'])}, {found['traces']:,} each: stopped with more than "
            f"{found['precision_nats']} nats left; by a test of the slope",
            f"{early}; {slope}",
        )
    ]


def of_robustness(found: dict[str, Any]) -> Rows:
    parts = found["parts"]
    rows = []
    for name in ("SIGKILL", "SIGTERM"):
        of = parts[name]["counts"]
        what = (
            f"{of['stops']:,} stops by {name} in {of['trials']} runs: the same bytes as undisturbed"
        )
        rows.append((what, f"{of['same']} of {of['trials']}"))
    of = parts["pairs"]["counts"]
    what = f"{of['trials']} pairs of commands on one folder at once: one owner, nothing mixed"
    rows.append((what, f"{min(of['owners_right'], of['whole'])} of {of['trials']}"))
    for name, what in (
        ("inputs", "bad inputs made at random"), ("damages", "damaged run folders"),
        ("disk", "full disks, at each write in turn"),
    ):  # fmt: skip
        of = parts[name]["counts"]
        kept = f"{of['kept']:,} of {of['tries']:,}"
        rows.append((f"{what}: one line or a right result, nothing lost", kept))
    return rows


def of_soak(found: dict[str, Any]) -> Rows:
    tasks = found["tasks"]
    rows = [
        (
            f"{of['calls']:,} calls of `{name}` in one process: memory gained",
            f"{of['grown_mib']} MiB",
        )
        for name, of in tasks.items()
        if name != "cold"
    ]
    for name, of in tasks.get("cold", {}).items():
        what = f"first and second call of `taut.infer` ({name}), CPU seconds"
        rows.append((what, f"{of['first']:.2f}, {of['second']:.2f}"))
    return rows


def of_mixtures(found: dict[str, Any]) -> Rows:
    return [
        (
            f"`taut.sklearn.Mixture` on {of['rows']:,} x {of['columns']} rows, {of['components']} "
            "components: speed over scikit-learn's, seconds over those of `taut.em`",
            f"{of['times_scikit_learn']:.2f}, {of['times_em']:.2f}",
        )
        for of in (found["large"], found["small"])
    ]


def of_scikit_tests(found: dict[str, Any]) -> Rows:
    cases = found["cases"]
    return [
        (
            f"tests of scikit-learn {found['scikit-learn']} for its own mixture that ours passes",
            f"{cases['passed']} of {cases['passed'] + cases['failed']}",
        )
    ]


def of_imputation(found: dict[str, Any]) -> Rows:
    rows = []
    for name, of in found["found"].items():
        errors = ", ".join(f"{who} {each['mean error']:.4f}" for who, each in sorted(of.items()))
        rows.append((f"filled-in cells of {name}: mean error", errors))
        forest = of.get("missforest", {}).get("processor seconds")
        first, again = of.get("gmm", {}).get("first"), of.get("gmm", {}).get("processor seconds")
        if forest and first and again:
            rows.append(
                (
                    f"filled-in cells of {name}: times as fast as missforest, with programs kept from a "
                    "run before; without",
                    f"{forest / again:.1f}; {forest / first['processor seconds']:.1f}",
                )
            )
    return rows


def of_few_labels(found: dict[str, Any]) -> Rows:
    """One row for each set and number of labels."""
    groups: dict[tuple[str, int], list[str]] = {}
    for of in found["summary"]:
        words = f"{of['method']} {of['error']['mean']:.3f}"
        groups.setdefault((of["set"], of["labels"]), []).append(words)
    return [
        (f"{name}, {labels} labels: mean test error", ", ".join(words))
        for (name, labels), words in groups.items()
    ]


def of_hosts(found: dict[str, Any]) -> Rows:
    kills = found["kills"]
    return [
        (
            "steps a second of two processes on two cores over one on one core",
            f"{found['speed']['times']:.2f}",
        ),
        (
            f"of two hosts one is killed, {kills['kills']} times: the other ends by one line, the run "
            "is resumed on one; seconds at most",
            f"{kills['ended_by_one_line']}, {kills['resumed_on_one_host']}; "
            f"{kills['seconds_to_end']['most']:.1f}",
        ),
    ]


def of_single_cell(found: dict[str, Any]) -> Rows:
    cells, genes = (found["settings"][name] for name in ("cells", "genes"))
    ours = found["runs"]["taut"]
    rows = []
    for name, theirs in found["runs"].items():
        if name == "taut":
            continue
        pairs = list(zip(ours, theirs, strict=True))
        times = statistics.median(
            our["cells_per_second"] / their["cells_per_second"] for our, their in pairs
        )
        less = [
            f"{their['less_than_taut']:.1f} ± {their['paired_error']:.1f}" for _, their in pairs
        ]
        rows.append((
            f"counts of {cells:,} cells x {genes:,} genes, beside {name}: cells a second, and nats a "
            "cell that taut's log-evidence is higher, by seed",
            f"{times:.2f} times; {', '.join(less)}",
        ))  # fmt: skip
    return rows


TRUST: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "evidence_oracles": of_oracles,
    "evidence_mnist": of_evidence,
    "evidence_speed": of_evidence_speed,
    "audit_mnist": of_audit,
    "audit_pythae": of_pythae,
    "stopping": of_stopping,
    "robustness": of_robustness,
    "long_process": of_soak,
    "sklearn_facade": of_mixtures,
    "sklearn_mixture_tests": of_scikit_tests,
    "imputation": of_imputation,
    "few_labels": of_few_labels,
    "single_cell": of_single_cell,
    "hosts": of_hosts,
}
