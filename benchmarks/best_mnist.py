"""The lowest test NLL of statically binarized MNIST that taut reaches without an autoregressive decoder.

One level of latents under a flow, residual convolutions on both sides, the bound of several draws:

    p(z) = couplings over N(0, I),    p(x | z) = Bernoulli(conv(z)),    q(z | x) = N(mu(x), diag s(x)^2)

Larochelle's split. The parameters are an average over steps, those with the best bound of the
validation rows. The number is log p(x) of all 10,000 test rows by importance sampling, a lower bound in
expectation, from the encoder and from one that goes on alone with dreams of the model (see
`static_mnist.py`).

Targets: 82.8 nats after 2 hours on two cores; on a GPU (`gpu_best_mnist.sh`) 80.1 after 7 minutes, with
compilation and evaluation. Published, with far more: 80.1 (convolutions and a RealNVP prior, Huang et
al. 2017), 78.6 to 79 the best.

    TAUT_DATA=FOLDER python benchmarks/best_mnist.py [--preset cpu|gpu] [--epochs N] [--seconds S]
    TAUT_DATA=FOLDER python benchmarks/best_mnist.py --pace [--preset gpu]      seconds an epoch alone

The bound of the validation rows and the checkpoint are written at each eighth of the epochs. The
training ends where what is left of the seconds is due to the evaluation; the epochs should fit, since
the step size falls to 0 at the last. A run that is finished is measured only, and what its training
found is kept.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
import optax
from record import RESULTS, conditions, save_result
from static_mnist import nll, refitted, split

import taut
from taut.bounds import IWAE
from taut.core import Datum, Estimate
from taut.evidence import importance_sampling
from taut.models.priors import FlowPrior
from taut.networks.convolution import ResidualBlock
from taut.training import schedule

PUBLISHED = 80.1


@dataclass(frozen=True)
class Preset:
    """A model, how it is trained and measured, and what it should reach."""

    latent_dim: int
    widths: tuple[int, ...]
    blocks: int
    couplings: int
    coupling_width: int
    particles: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int
    warmup_epochs: int
    refit_steps: int
    evidence_particles: int
    seconds: float
    reserve: float
    target: float


PRESETS = {
    "cpu": Preset(
        latent_dim=40, widths=(16, 32), blocks=1, couplings=6, coupling_width=128, particles=1,
        batch_size=100, learning_rate=1e-3, weight_decay=0.02, epochs=56, warmup_epochs=10,
        refit_steps=0, evidence_particles=500, seconds=7200, reserve=1200, target=82.8,
    ),
    "gpu": Preset(
        latent_dim=64, widths=(48, 96), blocks=2, couplings=8, coupling_width=256, particles=5,
        batch_size=250, learning_rate=1e-3, weight_decay=0.05, epochs=45, warmup_epochs=8,
        refit_steps=4000, evidence_particles=500, seconds=420, reserve=150, target=80.1,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class DeepVAE(taut.VAE):
    """A VAE of residual convolutions with several blocks at each resolution.

    Attributes:
        blocks: their number.
    """

    name: ClassVar[str] = "deep-vae"

    blocks: int = 1

    def make_encoder(self, schema: Any, out_size: int, key: Any) -> Any:
        return self._deeper(super().make_encoder(schema, out_size, key), key)

    def make_decoder(self, schema: Any, likelihood: Any, in_size: int, key: Any) -> Any:
        return self._deeper(super().make_decoder(schema, likelihood, in_size, key), key)

    def _deeper(self, network: Any, key: Any) -> Any:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.blocks))
        blocks = tuple(
            Blocks(block, self.blocks, key=k) for block, k in zip(network.blocks, keys, strict=True)
        )
        return eqx.tree_at(lambda n: n.blocks, network, blocks)


class Blocks(eqx.Module):
    """Residual blocks, one after another, the first as given."""

    blocks: tuple[ResidualBlock, ...]

    def __init__(self, first: ResidualBlock, number: int, *, key: Any):
        channels = first.first.bias.shape[0]
        keys = jax.random.split(key, number - 1)
        more = (ResidualBlock(channels, activation=first.activation, key=k) for k in keys)
        self.blocks = (first, *more)

    def __call__(self, h: jax.Array) -> jax.Array:
        return reduce(lambda h, block: block(h), self.blocks, h)


class Looks(taut.callbacks.Callback):
    """The result so far at each validation, and the end where the seconds are over."""

    def __init__(self, write: Any, *, deadline: float):
        self.write, self.deadline = write, deadline
        self.seen: list[dict[str, Any]] = []

    def on_validation(self, step: int, estimate: Estimate) -> bool:
        now = time.perf_counter()
        self.seen.append({"step": step + 1, "seconds": now - BEGAN, "bound": estimate.value})
        self.write(validation=self.seen)
        print(f"{now - BEGAN:.0f} s, step {step + 1}: validation {estimate}", flush=True)
        return now > self.deadline


BEGAN = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seconds", type=float, help="from the start to the last number")
    parser.add_argument("--rows", type=int, default=10_000, help="test rows that are measured")
    parser.add_argument("--particles", type=int, help="draws for each of them")
    parser.add_argument("--refit-steps", type=int, help="of the encoder; 0 leaves it as it is")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--pace", action="store_true", help="a few epochs, not measured")
    options = parser.parse_args()
    preset = PRESETS[options.preset]
    given = {"evidence_particles": options.particles, "refit_steps": options.refit_steps}
    preset = replace(preset, **{n: value for n, value in given.items() if value is not None})
    epochs = options.epochs or (3 if options.pace else preset.epochs)
    parts = split()
    seconds = options.seconds or preset.seconds
    name = "best_mnist" if options.preset == "cpu" else f"best_mnist_{options.preset}"
    content: dict[str, Any] = {
        "preset": asdict(preset) | {"epochs": epochs, "seconds": seconds},
        "published_test_nll": PUBLISHED,
        "device": f"{jax.devices()[0].device_kind} ({jax.default_backend()})",
    }

    run = options.runs / f"best-mnist-{options.preset}"
    finished = (run / "summary.json").exists() and not options.pace
    if finished and (RESULTS / f"{name}.json").exists():
        content = json.loads((RESULTS / f"{name}.json").read_text()) | {"measured": conditions()}

    def write(**more: Any) -> Path | None:
        content.update(more)
        content.setdefault("seconds", {})["measurement" if finished else "all"] = (
            time.perf_counter() - BEGAN
        )
        return None if options.pace else save_result(name, content)

    told = Looks(write, deadline=BEGAN + seconds - preset.reserve)
    if finished:
        fitted = taut.load(run, like=architecture(preset))
    else:
        fitted = trained(preset, parts, epochs, options, told, run)
    if options.pace:
        seen = told.seen
        last = (seen[-1]["seconds"] - seen[0]["seconds"]) / (len(seen) - 1)
        print(json.dumps({"preset": options.preset, "epoch_seconds": last}))
        return
    write(facts=fitted.facts.to_dict())
    test = Datum(parts[2][: options.rows].astype(np.float32), index=np.arange(options.rows))
    ways = {"encoder": measured(fitted.pair, test, preset)}
    write(**ways)
    if preset.refit_steps:
        train = Datum(parts[0].astype(np.float32))
        refit = {
            "steps": preset.refit_steps, "batch_size": preset.batch_size, "learning_rate": 1e-3,
        }  # fmt: skip
        pair = refitted(fitted.pair, train, refit)
        ways["refitted"] = measured(pair, test, preset) | {"refit": refit}
    best = min(way["test_nll"] for way in ways.values())
    print(f"test NLL {best:.3f}, asked {preset.target}")
    print(write(**ways, test_nll=best, test_rows=options.rows))


def architecture(preset: Preset) -> DeepVAE:
    """The model under its flow."""
    prior = FlowPrior(
        preset.latent_dim, f"affine-coupling:{preset.couplings}",
        hidden=(preset.coupling_width,) * 2, key=jax.random.key(1),
    )  # fmt: skip
    return DeepVAE(
        latent_dim=preset.latent_dim, prior=prior, network="residual-conv", hidden=preset.widths,
        blocks=preset.blocks, likelihood="bernoulli",
    )  # fmt: skip


def trained(
    preset: Preset,
    parts: Sequence[np.ndarray],
    epochs: int,
    options: Any,
    told: Looks,
    run: Path,
) -> taut.Fit:
    """The fit; its folder has a checkpoint of each validation."""
    per_epoch = len(parts[0]) // preset.batch_size
    rate = schedule(
        "cosine", preset.learning_rate, num_steps=epochs * per_epoch, warmup_steps=per_epoch
    )
    looks = per_epoch * (1 if options.pace else max(1, epochs // 8))
    return taut.fit(
        parts, model=architecture(preset),
        bound=IWAE(preset.particles, warmup_steps=preset.warmup_epochs * per_epoch),
        optimizer=optax.adamw(
            rate, eps=1e-6, weight_decay=preset.weight_decay,
            mask=lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree),
        ),
        ema=0.999, epochs=epochs, batch_size=preset.batch_size, patience=0, validate_every=looks,
        checkpoint_every=looks, validation_bound=IWAE(16), evidence_particles=2,
        callbacks=[told], key=0, out=run, force=True, progress=False,
    )  # fmt: skip


def measured(pair: Any, test: Datum, preset: Preset) -> dict[str, Any]:
    """NLL of the test rows, and the seconds it took."""
    started = time.perf_counter()
    found = importance_sampling(
        pair, test, key=jax.random.key(1), num_particles=preset.evidence_particles
    )
    return nll(found.log_evidence) | {
        "particles": preset.evidence_particles,
        "evaluation_seconds": time.perf_counter() - started,
        "elbo": found.elbo.value,
    }


if __name__ == "__main__":
    main()
