"""One process that calls the same thing many times: what it keeps, and what the second call costs.

    python benchmarks/long_process.py [--calls 1000] [--share 0.1] [--only infer,fit,...] [--out FILE]

Each task runs in a process of its own: `infer` (the eight schools, other data and another key each
time), `infer-changing` (a program with another number in it each time, so that each is compiled),
`fit`, `fit-changing` (another number of rows each time, 400 to 799), `fit-growing` (seven rows more
each time), `em`, `load` and `sample`. Recorded are resident memory, what of it the allocator of C
has given out, memory maps, open descriptors and files in the folder for temporaries, after the warm-up
(a tenth of the calls) and at the end; and the CPU seconds of the first call, the second, and the median
of the later ones. Slow tasks take `--share` of the calls. The aim for equal calls is at most 20 MiB
from warm-up to the end. What is new has its own price: each new program keeps what was compiled for it,
and rows that grow meet a new size every quarter of a doubling.

Tasks that are not asked for stay in the file as they were; each names its commit.

`cold` holds the first and the second call of three programs, each in a process of its own that has
compiled nothing, without a cache on disk.
"""

import argparse
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, commit, conditions, write_whole

SLOW = ("infer-changing", "fit", "fit-changing", "fit-growing", "em", "load", "search")
Y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SIGMA = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--only", default=",".join((*TASKS, "cold")))
    parser.add_argument("--out", type=Path, default=RESULTS / "long_process.json")
    parser.add_argument("--task", help="in this process, to standard output")
    options = parser.parse_args()
    if options.task:
        import taut

        taut.cache(False)
        print(json.dumps(soak(TASKS[options.task](), options.calls)))
        return
    chosen = options.only.split(",")
    found: dict[str, Any] = {}
    for name in [n for n in chosen if n in TASKS]:
        calls = max(round(options.calls * (options.share if name in SLOW else 1)), 3)
        found[name] = in_process(name, calls) | {"commit": commit()}
        print(name, found[name], flush=True)
    if "cold" in chosen:
        found["cold"] = {name: in_process(name, 2)["cpu_seconds"] for name in PROGRAMS}
        print("cold", found["cold"], flush=True)
    kept = json.loads(options.out.read_text())["tasks"] if options.out.exists() else {}
    write_whole(options.out, {**conditions(), "tasks": kept | found})


def in_process(name: str, calls: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--task", name, "--calls", str(calls)]
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=environment | {"TMPDIR": folder},
        )
    return json.loads(done.stdout.splitlines()[-1])


def soak(call: Callable[[int], Any], calls: int) -> dict[str, Any]:
    """Call with 0, 1, ..., and see what is kept."""
    warm, seconds, kept = max(calls // 10, 2), [], {}
    for number in range(calls):
        began = cpu_seconds()
        call(number)
        seconds.append(cpu_seconds() - began)
        if number + 1 == warm:
            kept = held()
    end = held()
    later = float(np.median(seconds[2:])) if calls > 2 else None
    return {
        "calls": calls,
        "after_warm_up": kept,
        "at_the_end": end,
        "grown_mib": round(end["mib"] - kept["mib"], 1),
        "allocated_more_mib": round(end["allocated_mib"] - kept["allocated_mib"], 1),
        "cpu_seconds": {"first": seconds[0], "second": seconds[1], "later": later},
    }


def held() -> dict[str, Any]:
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(line for line in status if line.startswith("VmRSS"))
    return {
        "mib": round(int(resident.split()[1]) / 1024, 1),
        "allocated_mib": round(allocated() / 2**20, 1),
        "maps": len(Path("/proc/self/maps").read_text().splitlines()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "temporaries": len(os.listdir(tempfile.gettempdir())),
    }


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _names = (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )  # fmt: skip
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


def allocated() -> int:
    """Bytes that the allocator of C has given out; what it holds for later is no part of them."""
    ask = ctypes.CDLL("libc.so.6").mallinfo2
    ask.restype = _MallInfo
    info = ask()
    return info.uordblks + info.hblkhd


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def schools() -> Callable[[int], Any]:
    import numpyro
    import numpyro.distributions as dist

    import taut

    def program(y: Any, sigma: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 5))
        tau = numpyro.sample("tau", dist.HalfCauchy(5))
        with numpyro.plate("schools", len(y)):
            theta = numpyro.sample("theta", dist.Normal(0, 1))
            numpyro.sample("y", dist.Normal(mu + tau * theta, sigma), obs=y)

    return lambda number: taut.infer(
        program, data={"y": Y + 0.01 * number, "sigma": SIGMA}, key=number
    )


def changing_schools() -> Callable[[int], Any]:
    import numpyro
    import numpyro.distributions as dist

    import taut

    def call(number: int) -> Any:
        width = 5 + 0.01 * number

        def program() -> None:
            mu = numpyro.sample("mu", dist.Normal(0, width))
            with numpyro.plate("schools", len(Y)):
                theta = numpyro.sample("theta", dist.Normal(mu, 5))
                numpyro.sample("y", dist.Normal(theta, SIGMA), obs=Y)

        return taut.infer(program, key=number)

    return call


def regression() -> Callable[[int], Any]:
    """Logistic regression of 200 rows on five columns."""
    import numpyro
    import numpyro.distributions as dist

    import taut

    def program(x: Any, y: Any) -> None:
        slopes = numpyro.sample("slopes", dist.Normal(0, 1).expand([5]).to_event(1))
        with numpyro.plate("rows", len(y)):
            numpyro.sample("y", dist.Bernoulli(logits=x @ slopes), obs=y)

    def call(number: int) -> Any:
        generator = np.random.default_rng(number)
        x = generator.normal(size=(200, 5))
        y = (generator.uniform(size=200) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
        return taut.infer(program, data={"x": x, "y": y}, key=number)

    return call


def mixture() -> Callable[[int], Any]:
    """Two normals, the component of each of 100 rows summed out."""
    import numpyro
    import numpyro.distributions as dist

    import taut

    def program(y: Any) -> None:
        share = numpyro.sample("share", dist.Beta(2, 2))
        far = numpyro.sample("far", dist.Normal(3, 1))
        with numpyro.plate("rows", len(y)):
            which = numpyro.sample("which", dist.Bernoulli(share))
            numpyro.sample("y", dist.Normal(far * which, 1), obs=y)

    def call(number: int) -> Any:
        generator = np.random.default_rng(number)
        y = generator.normal(size=100) + 3 * (generator.uniform(size=100) < 0.4)
        return taut.infer(program, data={"y": y}, key=number)

    return call


def _rows(number: int, count: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(count, 5))


def fits(size: Callable[[int], int]) -> Callable[[int], Any]:
    import taut

    return lambda number: taut.fit(_rows(number, size(number)), latent_dim=2, epochs=2, key=number)


def mixtures_by_em() -> Callable[[int], Any]:
    import taut

    return lambda number: taut.em(_rows(number, 400), model="gmm", components=3, key=number)


def loads() -> Callable[[int], Any]:
    import taut

    folder = Path(tempfile.mkdtemp()) / "run"
    taut.fit(_rows(0, 400), latent_dim=2, epochs=2, out=folder)
    return lambda number: taut.load(folder).sample(10, key=number)


def samples() -> Callable[[int], Any]:
    import taut

    fitted = taut.fit(_rows(0, 400), latent_dim=2, epochs=2)
    return lambda number: fitted.sample(1000, key=number)


def searches() -> Callable[[int], Any]:
    import jax.numpy as jnp

    import taut
    from taut.counterfactuals import Differentiable, search

    rows = _rows(0, 400).astype(np.float32)
    fitted = taut.fit(
        rows, model=taut.Flow(layers="affine-coupling:2", hidden=(8,)), epochs=2,
        evidence_particles=2,
    )  # fmt: skip

    def call(number: int) -> Any:
        weight = np.random.default_rng(number).normal(size=(2, 5)).astype(np.float32)
        classifier = Differentiable(lambda x: jnp.asarray(weight) @ x)
        return search(fitted, rows[:20], classifier=classifier, target=1, plausible=rows)

    return call


PROGRAMS = {"infer": schools, "regression": regression, "mixture": mixture}
TASKS: dict[str, Callable[[], Callable[[int], Any]]] = {
    **PROGRAMS,
    "infer-changing": changing_schools,
    "fit": lambda: fits(lambda number: 400),
    "fit-changing": lambda: fits(lambda number: 400 + 157 * number % 400),
    "fit-growing": lambda: fits(lambda number: 400 + 7 * number),
    "em": mixtures_by_em,
    "load": loads,
    "sample": samples,
    "search": searches,
}


if __name__ == "__main__":
    main()
