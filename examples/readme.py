"""Makes what the README shows: the table of `taut fit digits`, the answer of the ten lines, the picture.

    python examples/readme.py

Writes between the README's markers, `docs/digits.png`, and `examples/results/readme.json` with commit,
versions and hardware.
"""

import contextlib
import io
import json
import math
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

os.environ["COLUMNS"] = "100"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import conditions  # noqa: E402

from taut.cli.main import main as taut_command  # noqa: E402


def main() -> None:
    readme = (ROOT / "README.md").read_text()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        table = printed(lambda: taut_command(["fit", "digits"]))
        run = Path("runs/digits-vae-1")
        estimates = json.loads((run / "summary.json").read_text())["estimates"]
        (ROOT / "docs").mkdir(exist_ok=True)
        shutil.copy(run / "figures" / "interpolation.png", ROOT / "docs" / "digits.png")
        names: dict = {}
        answer, verdict = (
            printed(lambda code=code: exec(compile(code, "README.md", "exec"), names))
            for code in re.findall(r"```python\n(.*?)```", readme, re.S)
        )
    readme = between(readme, "table", fenced(table))
    readme = between(readme, "answer", fenced(answer))
    readme = between(readme, "verdict", fenced(verdict))
    readme = between(readme, "speed", speed())
    (ROOT / "README.md").write_text(readme)
    results = ROOT / "examples" / "results"
    results.mkdir(exist_ok=True)
    content = {**conditions(), "seed": 0, "estimates": estimates, "answer": answer.strip()}
    content["verdict"] = verdict.strip()
    (results / "readme.json").write_text(json.dumps(content, indent=2) + "\n")


def speed() -> str:
    """The benchmarks' results in words."""
    results = ROOT / "benchmarks" / "results"
    steps, memory, start, em, mnist, kills = (
        json.loads((results / f"{name}.json").read_text())
        for name in (
            "throughput", "evaluate_memory", "start", "em", "static_mnist_elbo", "kills",
        )
    )  # fmt: skip
    over = steps["speed_over"]
    error = math.hypot(mnist["mc_error"], mnist["data_error"])
    step = statistics.median(steps["milliseconds_per_step"]["taut"])
    seconds, exact, online = start["seconds"], em["exact"], em["online"]
    return "\n".join(
        [
            f"On {steps['hardware']['cores']} cores ({steps['hardware']['processor']}):",
            "",
            "| what | measured |",
            "|---|---|",
            f"| training step, 784-400-20 VAE, batch 128 | {step:.2f} ms |",
            f"| the same over plain JAX by hand on batches | {steps['taut_over_plain_jax']:.3f} |",
            f"| its speed over NumPyro, PyTorch, Pyro, Pythae | "
            f"{', '.join(f'{over[n]:.2f}' for n in ('NumPyro', 'PyTorch', 'Pyro', 'Pythae'))} |",
            f"| residual convolutional VAE, 28 x 28, its speed over PyTorch | "
            f"{steps['conv']['speed_over_pytorch_channels_last']:.2f} |",
            f"| share that its matrix products alone need | {steps['products_over_taut']:.0%} |",
            f"| `taut evaluate`, peak memory, 10,000 over 100 particles | {1 + memory['growth']:.3f} |",
            f"| `taut fit digits`, whole command | {seconds['fit digits, empty cache']:.1f} s, "
            f"again {seconds['fit digits, warm cache']:.1f} s |",
            f"| `taut --help` | {seconds['help']:.2f} s |",
            f"| EM, {exact['rows']:,} x {exact['columns']}, {exact['components']} full components, "
            f"against scikit-learn | {exact['speedup']:.1f} times as fast |",
            f"| online EM, {online['rows']:,} x {online['columns']} from disk | "
            f"{online['seconds']:.0f} s, {online['peak_gib']:.2f} GiB |",
            f"| statically binarized MNIST, 50 latents, one-sample ELBO, "
            f"{mnist['facts']['training seconds'] / 60:.0f} minutes on {mnist['hardware']['cores']} "
            f"core | test NLL {mnist['test_nll']:.2f} ± {error:.2f} (published "
            f"{mnist['published_test_nll']}) |",
            f"| runs killed at random and resumed, with the bytes of one never stopped | "
            f"{kills['identical']} of {kills['runs']}, after {kills['kills']} kills |",
        ]
    )


def printed(action) -> str:
    """What an action prints on standard output."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        action()
    return out.getvalue()


def fenced(text: str) -> str:
    """A block of text without the space that ends its lines."""
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"


def between(text: str, name: str, content: str) -> str:
    """Replace what stands between a pair of markers."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.S)
    assert count == 1, name
    return replaced


if __name__ == "__main__":
    main()
