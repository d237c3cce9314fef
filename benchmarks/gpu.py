"""Commands and speed on one GPU, part by part, each a process with a limit of its own.

    commands      fit, evaluate, audit, impute, explain, em and infer by the command line: seconds of
                  the whole command, empty cache of compiled programs, and how it ended
    mlp           784-400-20 Bernoulli VAE, a step at batch 128 and 8,192
    conv          residual convolutional VAE on 28 x 28, a step at batch 128 and 8,192
    flow          eight coupling layers on 64 columns, a step at batch 128 and 8,192
    em            Gaussian mixture of 20 full components on 100,000 x 20 rows, an iteration
    evidence      importance sampling, 10,000 rows and 5,000 draws each
    record        static MNIST, as of `static_mnist.py --record`, until the test negative log-evidence is
                  known

Run by `benchmarks/gpu.sh`. A part that fails or takes too long says so in its place.

    python benchmarks/gpu.py [--small] [--only commands,mlp,...] [--seconds 460]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from record import save_result

PARTS = Path(__file__).parent / "gpu_parts.py"
# Seconds at most; the record takes what is left.
LIMITS = {
    "commands": 200,
    "mlp": 40,
    "conv": 60,
    "flow": 40,
    "em": 40,
    "evidence": 60,
    "record": 400,
}
RESERVE = 10.0  # seconds, for the last JSON and for processes that end

PROGRAM = """
import numpyro
import numpyro.distributions as dist


def model(sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 3):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small shapes, on any device")
    parser.add_argument("--only", default=",".join(LIMITS))
    parser.add_argument("--seconds", type=float, default=460.0, help="for all parts")
    options = parser.parse_args()
    ends = time.monotonic() + options.seconds
    device = _of_part("device", options.small, 60.0)
    if "error" in device:
        _refuse(f"expected JAX with its devices, got {device['error']}. Try `make install`.")
    if device["platform"] == "cpu" and not options.small:
        _refuse(
            f"expected a GPU that JAX sees, got {device['kind']} alone. "
            "Try `pip install 'taut[cuda]'` on a machine with one, or --small."
        )
    print(f"device: {device['count']} x {device['kind']} ({device['platform']})", flush=True)
    content: dict[str, Any] = {"device": device, "small": options.small, "load": os.getloadavg()}
    for name in options.only.split(","):
        limit = ends - time.monotonic() - RESERVE
        if not options.small:  # whose processor may do other work
            limit = min(limit, LIMITS[name])
        began = time.monotonic()
        if limit <= 0:
            content[name] = {"error": "no time was left"}
        elif name == "commands":
            content[name] = _commands(limit, small=options.small)
        else:
            content[name] = _of_part(name, options.small, limit)
        content[name]["whole_seconds"] = round(time.monotonic() - began, 2)
        path = save_result("gpu_small" if options.small else "gpu", content)
        print(f"{name}: {json.dumps(content[name])}", flush=True)
    print(path)


def _refuse(why: str) -> NoReturn:
    print(f"gpu.sh: {why}", file=sys.stderr)
    sys.exit(2)


def _of_part(name: str, small: bool, seconds: float) -> dict[str, Any]:
    """What a process finds that does one part."""
    asked = ["--small"] if small else []
    command = [sys.executable, str(PARTS), name, *asked]
    done = _run(command, seconds, os.environ)
    return done if "error" in done else json.loads(done["printed"].splitlines()[-1])


def _commands(seconds: float, *, small: bool) -> dict[str, Any]:
    """Every command once, in a folder of its own; those after one that fails are tried, too."""
    found: dict[str, Any] = {}
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "schools.py").write_text(PROGRAM)
        (here / "data.json").write_text('{"sigma": [15, 10, 16], "y": [28, 8, -3]}')
        environment = {**os.environ, "XDG_CACHE_HOME": str(here / "cache")}
        for own in ("PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR"):
            environment.pop(own, None)
        rows = "20" if small else "200"
        words = {
            "fit": ("digits", "--out", "run", "--epochs", "2" if small else "50"),
            "evaluate": ("run", "--seconds", "2" if small else "20"),
            "audit": ("run", "--rows", rows),
            "impute": ("run", "--num-particles", rows),
            # Of a model that was hardly fitted, as the command would say.
            "explain": (
                "run",
                "--classifier",
                "logistic",
                "--target",
                "9",
                "--rows",
                "2",
                "--most-unexplained",
                "1",
            ),
            "em": ("digits", "--out", "mixture", "--components", "3"),
            "infer": ("schools.py:model", "--data", "data.json", "--out", "posterior"),
        }
        for name, given in words.items():
            began = time.monotonic()
            command = [sys.executable, "-m", "taut", name, *given, "--json"]
            done = _run(command, ends - began, environment, cwd=here)
            printed = done.pop("printed", "")
            found[name] = {"seconds": round(time.monotonic() - began, 2), **done}
            if name == "fit" and printed:
                found[name]["device"] = json.loads(printed)["facts"]["device"]
    return found


def _run(
    command: list[str], seconds: float, environment: Mapping[str, str], cwd: Path | None = None
) -> dict[str, Any]:
    """What a process printed, or why it did not end well."""
    if seconds <= 0:
        return {"error": "no time was left"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds, cwd=cwd,
            env=dict(environment),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"not done within {seconds:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"error": lines[-1]}
    return {"printed": done.stdout}


if __name__ == "__main__":
    main()
