"""Milliseconds a training step, float32, against other libraries and against the matrix products.

    784-400-20 Bernoulli VAE    taut, plain JAX, NumPyro, PyTorch, Pyro, Pythae, the products alone
    residual convolutional VAE  taut, PyTorch channels last; 28 x 28, equal architecture

Batch 128, Adam, one draw, KL in closed form, binary rows in memory. Each method is a process of its
own, warm before the first round; compilation and warm-up are left out. Methods are asked in turn, and
the figure to quote is the median over rounds of the ratio within a round. Peers install themselves on
the first run (see `benchmarks/peers.py`).

On a machine with other work PyTorch's figures mean nothing, unless with `--omp-wait passive`.

    python benchmarks/throughput.py [--rounds 9] [--steps 300] [--conv-steps 30] [--conv 32,64]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from alternate import Method, alternated, median_ratio, use_threads
from binary_mnist import binary_rows
from peers import PINS, python_of_peers
from record import save_result

ROWS = 10_000
QUIET = 0.5  # load average below which the figures are of use

# What taut's speed is compared with, and the least ratio of their times that is aimed at.
AIMS = {
    "PyTorch": 1.3,
    "PyTorch, fused Adam": None,
    "Pyro": 2.0,
    "Pyro, Trace_ELBO": None,
    "Pythae": 2.0,
    "Pythae, own trainer": None,
    "NumPyro": 1.0,
    "plain JAX": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--conv-steps", type=int, default=30)
    parser.add_argument("--conv", default="32,64", help="channels; empty leaves the comparison out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--omp-wait",
        choices=("active", "passive"),
        help="how PyTorch's threads wait for each other; without it, as PyTorch ships",
    )
    options = parser.parse_args()
    use_threads(options.threads)
    if options.omp_wait:
        os.environ["OMP_WAIT_POLICY"] = options.omp_wait
    load = os.getloadavg()[0]
    if load > QUIET:
        # Its threads spin while they wait, for whole time slices where another process has the core.
        print(f"load {load:.1f}: other processes run, which slows PyTorch 10 to 100 times")
    peers = python_of_peers()

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npy"
        x, source = binary_rows("train", ROWS)
        np.save(rows, x)
        mlp = perceptron(peers, rows, options.steps, options.rounds)
        profile = [sys.executable, str(Path(__file__).parent / "step_profile.py"), rows, "100"]
        shares = json.loads(subprocess.run(profile, check=True, capture_output=True).stdout)
        content = {
            "rounds": options.rounds,
            "threads": options.threads,
            "omp_wait": options.omp_wait or "default",
            "load_before": load,
            "rows": source,
            "peers": PINS,
            **mlp,
            "share_of_instruction_time": shares,
        }
        if options.conv:
            content["conv"] = convolution(peers, rows, options)

    print("time of the instructions of taut's step: ")
    for part, share in shares.items():
        print(f"  {part:30s} {share:6.1%}")
    print(save_result("throughput", content))


def perceptron(peers: str, rows: Path, steps: int, rounds: int) -> dict:
    own, given = sys.executable, (rows, steps)
    methods = {
        "taut": Method(own, "vae_taut.py", *given),
        "plain JAX": Method(own, "vae_jax.py", *given),
        "products": Method(own, "vae_products.py", *given),
        "NumPyro": Method(own, "vae_numpyro.py", *given),
        "PyTorch": Method(peers, "vae_pytorch.py", *given, "default"),
        "PyTorch, fused Adam": Method(peers, "vae_pytorch.py", *given, "fused"),
        "Pyro": Method(peers, "vae_pyro.py", *given, "TraceMeanField_ELBO"),
        "Pyro, Trace_ELBO": Method(peers, "vae_pyro.py", *given, "Trace_ELBO"),
        "Pythae": Method(peers, "vae_pythae.py", *given, "loop"),
        "Pythae, own trainer": Method(peers, "vae_pythae.py", *given, "trainer"),
    }
    times = measured(methods, rounds)
    speed = {name: median_ratio(times, name, "taut") for name in AIMS}
    for name, ratio in speed.items():
        aim = "" if AIMS[name] is None else f" (aim {AIMS[name]})"
        print(f"taut is {ratio:.2f} times as fast as {name}{aim}")
    share = median_ratio(times, "products", "taut")
    print(f"matrix products alone / taut: {share:.3f} (aim 0.7)")
    return {
        "steps": steps,
        "milliseconds_per_step": times,
        "speed_over": speed,
        "taut_over_plain_jax": median_ratio(times, "taut", "plain JAX"),
        "products_over_taut": share,
        "versions_by_method": {name: method.versions for name, method in methods.items()},
    }


def convolution(peers: str, rows: Path, options: argparse.Namespace) -> dict:
    given = (rows, options.conv_steps, options.conv)
    methods = {
        "taut": Method(sys.executable, "conv_taut.py", *given),
        "PyTorch, channels last": Method(peers, "conv_pytorch.py", *given),
    }
    times = measured(methods, options.rounds)
    speed = median_ratio(times, "PyTorch, channels last", "taut")
    print(f"convolutional: taut is {speed:.2f} times as fast as PyTorch, channels last (aim 0.9)")
    return {
        "steps": options.conv_steps,
        "channels": options.conv,
        "milliseconds_per_step": times,
        "speed_over_pytorch_channels_last": speed,
    }


def measured(methods: dict[str, Method], rounds: int) -> dict[str, list[float]]:
    times = alternated(methods, rounds)
    for name, method in methods.items():
        method.close()
        values = times[name]
        print(f"{name:24s} {statistics.median(values):7.3f} ms a step (least {min(values):.3f})")
    return times


if __name__ == "__main__":
    main()
