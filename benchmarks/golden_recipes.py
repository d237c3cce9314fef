"""Thirteen small fits, which between them go through every kind of model, bound and algorithm.

    PYTHONPATH=TREE/src python benchmarks/golden_recipes.py NAME FOLDER

fits one of them with the taut of TREE and leaves its run folders in FOLDER. `golden.py` runs them all
and compares trees. The doors are the command line and, for a fit of arrays, Python: what a tree calls
otherwise than the others is known to `_command` and `_fit`, and to nothing else here.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RECIPES"]

# Words of the command line before recipes were types; an epoch of the digits here has 7 steps.
_BEFORE = {
    "--kl-warmup-steps": ["--kl-warmup"],
    "7": ["1"],
    "--learning-rate-warmup": ["--warmup-steps"],
    "mixture-vae": ["mixed"],
    "--em-batch-size": ["--batch-size"],
}

SHORT = ("--evidence-particles", 20, "--batch-size", 200)
TWICE, ONCE = ("--epochs", 2, *SHORT), ("--epochs", 1, *SHORT)

PROGRAM = """
import numpyro
import numpyro.distributions as dist


def schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.LogNormal(0, 1))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
"""

SCHOOLS = """{"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}"""


def vae_elbo(folder: Path) -> None:
    """ELBO with its KL in closed form, warmed up, with free bits; averaged parameters."""
    _command(
        "fit", "digits", *TWICE, "--out", folder / "run", "--latent-dim", 2, "--hidden", 8,
        "--kl-warmup-steps", 7, "--free-bits", 0.1, "--beta", 0.9, "--ema", 0.9, "--validate-every", 4,
    )  # fmt: skip


def vae_iwae_dreg(folder: Path) -> None:
    """IWAE by doubly reparameterized gradients, on pixels drawn anew every epoch."""
    _command(
        "fit", "digits", *TWICE, "--out", folder / "run", "--latent-dim", 2, "--hidden", 8,
        "--binarize", "dynamic", "--bound", "iwae", "--num-particles", 3, "--gradient", "dreg",
        "--guide", "full-rank", "--prior", "mixture:3", "--learning-rate-schedule", "cosine",
        "--learning-rate-warmup", 3, "--clip-norm", 1.0,
    )  # fmt: skip


def vae_renyi_flow_guide(folder: Path) -> None:
    """Rényi bound of a guide with a flow, in float64, on a table with a column of another scale."""
    _command(
        "fit", _table(folder), *TWICE, "--out", folder / "run", "--latent-dim", 2, "--hidden", 8,
        "--likelihood", "student-t", "--scale", "dimension", "--bound", "renyi", "--alpha", 0.3,
        "--num-particles", 2, "--guide", "planar:2", "--precision", "float64",
    )  # fmt: skip


def vae_bfloat16(folder: Path) -> None:
    """Convolutions in bfloat16, with the path gradient of the ELBO from draws."""
    _command(
        "fit", "digits", *ONCE, "--out", folder / "run", "--latent-dim", 2, "--hidden", "4,4",
        "--network", "residual-conv", "--kl", "sampled", "--gradient", "stl",
        "--precision", "bfloat16", "--validation-particles", 3,
    )  # fmt: skip


def streamed(folder: Path) -> None:
    """Training rows that are read from disk batch by batch."""
    _command(
        "fit", _table(folder), *TWICE, "--out", folder / "run", "--latent-dim", 2, "--hidden", 8,
        "--stream", "yes", "--learning-rate-schedule", "plateau",
    )  # fmt: skip


def wake_sleep(folder: Path) -> None:
    """Reweighted wake-sleep, its guide fitted to weighted draws and dreams."""
    import taut

    model = taut.Discrete(latents="bernoulli:4")
    _fit(_bits(400), model, out=folder / "run", wake_sleep="both")


def flow(folder: Path) -> None:
    """Exact likelihood of a table and, through layers with a bound of their own, of images."""
    _command(
        "fit", _table(folder), *TWICE, "--out", folder / "table", "--model", "flow",
        "--layers", "spline-coupling:2", "--bins", 4, "--hidden", 8,
    )  # fmt: skip
    _command(
        "fit", "digits", *ONCE, "--out", folder / "images", "--model", "flow",
        "--layers", "dequantize,logit,vae:4,affine-coupling:2", "--hidden", 8,
    )  # fmt: skip


def ladder(folder: Path) -> None:
    """Two Gaussian layers, one above the other."""
    _command(
        "fit", "digits", *TWICE, "--out", folder / "run", "--model", "ladder",
        "--latent-dims", "3,2", "--hidden", "8,8", "--kl-warmup-steps", 7,
    )  # fmt: skip


def discrete(folder: Path) -> None:
    """Bits by a relaxed control variate, units of several outcomes by VIMCO."""
    bits = folder / "bits.npy"
    np.save(bits, _bits(400))
    _command(
        "fit", bits, *TWICE, "--out", folder / "rebar", "--model", "discrete",
        "--latents", "bernoulli:4", "--gradient", "rebar", "--learning-rate", 0.01,
    )  # fmt: skip
    _command(
        "fit", bits, *TWICE, "--out", folder / "vimco", "--model", "discrete",
        "--latents", "categorical:2x3", "--prior", "uniform", "--bound", "iwae",
        "--num-particles", 3, "--gradient", "vimco",
    )  # fmt: skip


def mixed(folder: Path) -> None:
    """A class that is summed over, with Gaussian latents."""
    _command(
        "fit", _table(folder), *TWICE, "--out", folder / "run", "--model", "mixture-vae",
        "--components", 3, "--latent-dim", 2, "--hidden", 8,
    )  # fmt: skip


def vq(folder: Path) -> None:
    """Codes that move as running means of what is assigned to them."""
    _command(
        "fit", "digits", *TWICE, "--out", folder / "run", "--model", "vq", "--latents", "2x4",
        "--code-dim", 3, "--hidden", 8,
    )  # fmt: skip


def em(folder: Path) -> None:
    """Every model with exact evidence, by EM, in closed form, and batch by batch."""
    bits = folder / "bits.npy"
    np.save(bits, _bits(300))
    table = _table(folder)
    short = ("--max-iterations", 15, "--restarts", 2)
    gmm = ("--model", "gmm", "--components", "2,3")
    _command("em", table, "--out", folder / "gmm", *gmm, "--select", "bic", *short)
    _command("em", bits, "--out", folder / "lca", "--model", "lca", "--components", 2, *short)
    ppca = ("--model", "ppca", "--components", 1)
    _command("em", table, "--out", folder / "ppca", *ppca, "--closed-form")
    _command("em", table, "--out", folder / "fa", "--model", "fa", "--components", 1, *short)
    online = ("--online", "--em-batch-size", 60, "--components", 2)
    _command("em", table, "--out", folder / "online", "--model", "gmm", *online)


def infer(folder: Path) -> None:
    """The posterior of a program under guides of one Gaussian and of a flow."""
    program, data = folder / "schools.py", folder / "schools.json"
    program.write_text(PROGRAM)
    data.write_text(SCHOOLS)
    for guide in ("full-rank", "mean-field"):
        _command(
            "infer", program, "--data", data, "--out", folder / guide, "--guide", guide,
            "--num-draws", 200, "--num-starts", 2, "--precision-nats", 0.5,
        )  # fmt: skip


RECIPES: dict[str, Callable[[Path], None]] = {
    recipe.__name__: recipe
    for recipe in (
        vae_elbo,
        vae_iwae_dreg,
        vae_renyi_flow_guide,
        vae_bfloat16,
        streamed,
        wake_sleep,
        flow,
        ladder,
        discrete,
        mixed,
        vq,
        em,
        infer,
    )
}


def _command(*arguments: Any) -> None:
    """One command in this process."""
    from importlib.util import find_spec

    from taut.cli.main import main

    if find_spec("taut.recipe") is None:
        arguments = tuple(word for a in arguments for word in _BEFORE.get(str(a), [a]))
    if code := main([str(a) for a in arguments]):
        sys.exit(code)


def _fit(data: np.ndarray, model: Any, *, out: Path, wake_sleep: str) -> None:
    """`taut.fit`, whose keywords differ between trees."""
    import taut

    options: dict[str, Any] = {
        "evidence_particles": 20,
        "inference": "wake-sleep",
        "phi": wake_sleep,
    }
    if "wake_sleep" in inspect.signature(taut.fit).parameters:
        options = {"num_particles": 20, "wake_sleep": wake_sleep}
    taut.fit(data, model=model, epochs=2, batch_size=200, out=out, **options)


def _rows(count: int, *, seed: int) -> np.ndarray:
    """Draws (count, 4) of three dependent columns and one on a scale of hundreds."""
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(count, 2))
    x = z @ generator.normal(size=(2, 4)) + 0.3 * generator.normal(size=(count, 4))
    x[:, 3] = 500 + 200 * x[:, 3]
    return x.astype(np.float32)


def _bits(count: int) -> np.ndarray:
    """Draws (count, 6) of bits that two classes make."""
    generator = np.random.default_rng(7)
    chances = generator.uniform(0.1, 0.9, size=(2, 6))
    return (generator.random((count, 6)) < chances[np.arange(count) % 2]).astype(np.float32)


def _table(folder: Path) -> Path:
    path = folder / "table.npy"
    np.save(path, _rows(500, seed=0))
    return path


if __name__ == "__main__":
    RECIPES[sys.argv[1]](Path(sys.argv[2]))
