"""Commands that meet on one folder, and commands that are killed: what is left, in counts.

    pairs    two commands on one folder at once: never two owners, nothing mixed
    kills    SIGKILL or SIGTERM at random moments, then `taut resume` until it is done: the bytes of a
             run that was never stopped, each step once, nothing left behind
    damages  every file of finished and stopped runs, damaged, and every command that reads it
    inputs   command lines, files of data and options, and programs that are wrong
    disk     a disk that fills up at a write, then `taut resume`: the bytes of an undisturbed run

    python benchmarks/robustness.py pairs [--times 200]
    python benchmarks/robustness.py kills [--times 1000] [--signal KILL]
    python benchmarks/robustness.py damages|inputs|disk [--times 100]

Each trial is known by its part, its case and its seed, and is written when it ends: the command goes on
where it was stopped, and does more when it is asked for more. The commands run in children of a process
that has imported everything, so that a trial takes seconds; those of the last three parts run in this
process, many to a trial (see `bad_content`).
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bad_content
import numpy as np
from record import RESULTS, conditions

PATH = RESULTS.resolve() / "robustness.json"
EPOCHS, BATCH = 12, 16
FIT = (
    f"--epochs {EPOCHS} --batch-size {BATCH} --checkpoint-every 7 --validate-every 10 --patience 0 "
    "--evidence-particles 20"
).split()
PROGRAM = """
import numpyro
from numpyro import distributions as dist


def model(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""
FITS = {
    "vae": ["fit", "bits.npy", "--latent-dim", "2", "--hidden", "4", *FIT],
    "discrete": ["fit", "bits.npy", "--model", "discrete", "--latents", "bernoulli:3", *FIT],
    "vq": ["fit", "bits.npy", "--model", "vq", "--latents", "2x3", "--code-dim", "2", *FIT],
    "ladder": [
        "fit",
        "bits.npy",
        "--model",
        "ladder",
        "--latent-dims",
        "2,1",
        "--hidden",
        "3,2",
        *FIT,
    ],
    "flow": ["fit", "reals.npy", "--model", "flow", *FIT],
    "mixture-vae": ["fit", "bits.npy", "--model", "mixture-vae", "--components", "2", *FIT],
    "gmm": ["em", "reals.npy", "--components", "1-3"],
    "fa": ["em", "reals.npy", "--model", "fa", "--components", "1"],
    "lca": ["em", "bits.npy", "--model", "lca", "--components", "2"],
    "posterior": ["infer", "normal.py", "--data", "rows.json", "--num-draws", "2000"],
}
SAME = ("model.safetensors", "rows.safetensors", "metrics.jsonl", "draws.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--cases", nargs="*", help="of the part; all of them by default")
    options = parser.parse_args()
    _warm()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _sources()
        PARTS[options.part](options)
    print(json.dumps({name: part["counts"] for name, part in _read().items()}, indent=2))


# ---- Parts -----------------------------------------------------------------------------------------


def pairs(options: argparse.Namespace) -> None:
    """Two commands on one folder at once."""
    whole = {seed: _whole(["--seed", str(seed)]) for seed in (0, 1)}
    _trials("pairs", options, {name: lambda g, n=name: _pair(n, g, whole) for name in PAIRS})


def kills(options: argparse.Namespace) -> None:
    """One command, stopped again and again."""
    number = getattr(signal, f"SIG{options.signal}")
    wholes: dict[str, tuple[Path, float]] = {}

    def trial(name: str, generator: random.Random) -> dict:
        if name not in wholes:
            began = time.perf_counter()
            out = Path("..").resolve() / f"whole-{name}"
            _end(_start([*FITS[name], "--out", str(out)]))
            began, again = time.perf_counter(), out.with_name(f"again-{name}")
            _end(_start([*FITS[name], "--out", str(again)]))
            wholes[name] = out, time.perf_counter() - began
        return _killed(name, number, generator, *wholes[name])

    cases = {name: lambda g, n=name: trial(n, g) for name in FITS}
    _trials(f"SIG{options.signal}", options, cases)


def damages(options: argparse.Namespace) -> None:
    """One file of a run folder, damaged."""
    wholes = {}
    for kind in bad_content.KINDS:
        wholes[kind] = Path(f"whole-{kind}").resolve()
        _end(_start([*FITS[kind], "--out", str(wholes[kind])]))
    wholes["stopped"] = shutil.copytree(wholes["vae"], Path("whole-stopped").resolve())
    for name in ("summary.json", "rows.safetensors", "model.json", "model.safetensors"):
        (wholes["stopped"] / name).unlink()
    cases = {}
    for kind, whole in wholes.items():
        for path in sorted(whole.rglob("*")):
            if path.is_file() and path.suffix not in (".png",):
                name = str(path.relative_to(whole))
                cases[f"{kind} {name}"] = lambda g, k=kind, n=name, w=whole: bad_content.damaged(
                    k, n, w, g
                )
    _trials("damages", options, cases)


def inputs(options: argparse.Namespace) -> None:
    """Lines and files that are wrong."""
    names = bad_content.sources()
    cases = {
        **{f"line {c}": lambda g, c=c: bad_content.typed(c, g) for c in ("fit", "em", "infer")},
        **{f"file {n}": lambda g, n=n: bad_content.read(n, g) for n in names},
    }
    _trials("inputs", options, cases)


def disk(options: argparse.Namespace) -> None:
    """A disk that fills up."""
    programs = {"posterior": ["normal.py"]}
    _trials(
        "disk",
        options,
        {
            name: lambda g, n=name: bad_content.filled(FITS[n], programs.get(n, []), g)
            for name in ("vae", "gmm", "posterior")
        },
    )


def _trials(
    part: str, options: argparse.Namespace, cases: dict[str, Callable[[random.Random], dict]]
) -> None:
    """Run the seeds that are not there yet, by turns over the cases."""
    for turn in range(options.times):
        name = list(options.cases or cases)[turn % len(options.cases or cases)]
        seed = turn // len(options.cases or cases)
        found = _read()
        done = found.setdefault(part, {"counts": {}, "trials": {}})["trials"]
        if str(seed) in done.get(name, {}):
            continue
        folder = Path("trial")
        folder.mkdir()
        os.chdir(folder)
        for source in Path("..").glob("*.*"):
            os.symlink(source, source.name)
        outcome = cases[name](random.Random(f"{part} {name} {seed}"))
        os.chdir("..")
        shutil.rmtree(folder)
        found = _read()
        part_of = found.setdefault(part, {"counts": {}, "trials": {}})
        part_of["trials"].setdefault(name, {})[str(seed)] = outcome
        trials = [t for case in part_of["trials"].values() for t in case.values()]
        part_of["counts"] = {"trials": len(trials)} | {
            key: sum(int(t[key]) for t in trials) for key in trials[-1] if key != "said"
        }
        PATH.write_text(json.dumps({**conditions(), "parts": found}, indent=1) + "\n")
        print(part, name, seed, json.dumps(outcome), flush=True)


def _read() -> dict:
    return json.loads(PATH.read_text())["parts"] if PATH.exists() else {}


PARTS = {"pairs": pairs, "kills": kills, "damages": damages, "inputs": inputs, "disk": disk}


# ---- Trials ----------------------------------------------------------------------------------------

PAIRS = {
    "default names": [],
    "one folder": ["--out", "run"],
    "replacing": ["--out", "run", "--force"],
    "resuming": None,
    "em": ["--out", "run"],
    "posterior": ["--out", "run"],
}


def _pair(name: str, generator: random.Random, whole: dict[int, dict[str, bytes]]) -> dict:
    words = {"em": FITS["gmm"], "posterior": FITS["posterior"]}.get(name, FITS["vae"])
    commands = [[*words, "--seed", str(seed), *(PAIRS[name] or [])] for seed in (0, 1)]
    if name == "replacing":
        _end(_start([*words, "--out", "run"]))
    if name == "resuming":
        begun = _start([*words, "--seed", "0", "--out", "run"])
        while not list(Path("run/checkpoints").glob("*")) and not begun.ended:
            time.sleep(0.001)
        begun.signal(signal.SIGKILL)
        _end(begun)
        commands = [["resume", "run"]] * 2
    processes = []
    for command in commands:
        processes.append(_start(command))
        time.sleep(generator.choice([0, 0, generator.uniform(0, 0.5)]))
    codes = [_end(process) for process in processes]
    said = [process.said for process in processes]
    runs = sorted(path.parent for path in Path().glob("**/config.toml"))
    right = codes == [0, 0] and len(runs) == 2 if name == "default names" else len(runs) == 1
    if name in (
        "one folder",
        "em",
        "posterior",
    ):  # the other one comes while it is held or behind it
        right = (
            right
            and sorted(codes) == [0, 2]
            and any(
                words in "".join(said) for words in ("held by process", "holds a run", "just taken")
            )
        )
    return {
        "owners_right": right and all(code in (0, 2) for code in codes) and 0 in codes,
        "whole": all(_is_whole(run, whole if words is FITS["vae"] else None) for run in runs),
        "clean": not _left(Path()) and not any("Traceback" in line for line in said),
        "said": [] if 0 in codes and max(codes) in (0, 2) else said,
    }


def _is_whole(run: Path, whole: dict[int, dict[str, bytes]] | None) -> bool:
    """Whether a finished run is that of one seed alone."""
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    if not (run / "summary.json").exists() or steps != list(range(len(steps))):
        return False
    if whole is None:
        return True
    seed = int((run / "config.toml").read_text().split("seed = ")[1].split()[0])
    return all((run / name).read_bytes() == content for name, content in whole[seed].items())


def _whole(more: list[str]) -> dict[str, bytes]:
    out = Path("whole" + "-".join(more))
    _end(_start([*FITS["vae"], *more, "--out", str(out)]))
    return {name: (out / name).read_bytes() for name in ("model.safetensors", "metrics.jsonl")}


def _killed(name: str, number: int, generator: random.Random, whole: Path, seconds: float) -> dict:
    run, stops, complaints = Path("run"), 0, []
    again = ["resume", str(run), *(["normal.py"] if name == "posterior" else [])]
    while stops < 3:
        process = _start(
            again if (run / "config.toml").exists() else [*FITS[name], "--out", str(run)]
        )
        time.sleep(generator.uniform(0, seconds))
        stopped = not process.ended
        process.signal(number)
        code = _end(process)
        complaints.append(process.said)
        if not stopped or code == 0:
            break
        stops += 1
    _end(_start(again if (run / "config.toml").exists() else [*FITS[name], "--out", str(run)]))
    names = [n for n in SAME if (whole / n).exists()]
    same = {n: (run / n).exists() and _content(run / n) == _content(whole / n) for n in names}
    wanted = {str(p.relative_to(whole)) for p in whole.rglob("*") if "checkpoints" not in p.parts}
    found = {str(p.relative_to(run)) for p in run.rglob("*") if "checkpoints" not in p.parts}
    return {
        "stopped": stops > 0,
        "same": all(same.values()),
        "clean": wanted == found and not _left(Path()),
        "quiet": not any("Traceback" in line for line in complaints),
        "said": [] if all(same.values()) and wanted == found else [
            *complaints, str(same), str(sorted(wanted ^ found)),
        ],
    }  # fmt: skip


def _content(path: Path) -> object:
    """The bytes of a file; of metrics.jsonl the lines without wall times."""
    if path.suffix != ".jsonl":
        return path.read_bytes()
    lines = map(json.loads, path.read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def _left(folder: Path) -> list[Path]:
    """Hidden files: what commands write beside, and what they hold a folder by."""
    return list(folder.rglob(".*"))


# ---- Commands --------------------------------------------------------------------------------------


class Command:
    """`taut` in a child of this process."""

    def __init__(self, words: list[str]):
        self._lines = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the command
        self.said, self.code = "", None
        self._pid = os.fork()
        if self._pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            os.dup2(self._lines.fileno(), 2)
            sys.argv = ["taut", *words]
            code = 70
            try:
                from taut.cli.main import main as command

                code = command()
                sys.stderr.flush()
            except BaseException:
                import traceback

                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)

    @property
    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def signal(self, number: int) -> None:
        if not self.ended:
            os.kill(self._pid, number)

    def wait(self) -> int:
        while not self.ended:
            time.sleep(0.005)
        self._lines.seek(0)
        self.said = self._lines.read()
        self._lines.close()
        assert self.code is not None
        return self.code


def _start(words: list[str]) -> Command:
    return Command(words)


def _end(command: Command) -> int:
    return command.wait()


def _warm() -> None:
    """Import what every command needs; nothing that starts a thread or a device."""
    import matplotlib.figure  # noqa: F401

    import taut.api
    import taut.cli.fit
    import taut.cli.infer
    import taut.report.draw_em
    import taut.report.draw_fit
    import taut.report.draw_posterior  # noqa: F401


def _sources() -> None:
    draw = np.random.default_rng(0)
    np.save("bits.npy", (draw.random((200, 6)) < 0.4).astype(np.float32))
    np.save("reals.npy", draw.normal(size=(200, 4)) + 3 * draw.integers(0, 2, size=(200, 1)))
    Path("normal.py").write_text(PROGRAM)
    Path("rows.json").write_text(json.dumps({"y": [0.3, 1.9, 1.2, 0.8, 1.5]}))


if __name__ == "__main__":
    main()
