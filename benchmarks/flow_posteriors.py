"""Flow posteriors and ladders at equal steps: -ELBO and NLL of held-out images.

mnist    statically binarized MNIST, Larochelle's split, the IWAE paper's two-layer network: 50 latents,
         two layers of 200 tanh units on each side; guides none (mean-field), planar:8, radial:8, iaf:4,
         sylvester:8. Three keys for none and for the best of the others, and both at another rate.
ladder   the same data: two levels of 50 and 25 latents, of widths 200 and 100, against one of the first.
frey     Frey faces, 8 bit, discretized logistic, bits per dimension. Published for a convolutional VAE
         (Grathwohl et al., FFJORD, 2019, table 3, -ELBO): none 4.53, planar 4.40, IAF 4.47,
         Sylvester 4.45.

Every run takes the same number of steps with one cosine schedule, a KL that warms up (latents that are
pruned in the first epochs do not come back) and averaged parameters; the best ones by the validation
rows are tested.

    TAUT_DATA=FOLDER python benchmarks/flow_posteriors.py [--only NAME ...] [--runs FOLDER]

A run that is in the result file is not repeated; one that was interrupted goes on where it was.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optax
from record import RESULTS, conditions, write_whole
from static_mnist import split

import taut
from taut.bounds import ELBO
from taut.data import load_data
from taut.training import schedule

GUIDES = {
    "none": "mean-field",
    "planar": "planar:8",
    "radial": "radial:8",
    "iaf": "iaf:4",
    "sylvester": "sylvester:8",
}
PUBLISHED_FREY = {"none": 4.53, "planar": 4.40, "iaf": 4.47, "sylvester": 4.45}
PATH = RESULTS / "flow_posteriors.json"
MNIST = {
    "rate": 3e-3, "epochs": 36, "batch_size": 100, "warmup_epochs": 6, "num_particles": 500,
}  # fmt: skip
OTHER_RATE = 1e-3
FREY = {
    "rate": 1e-3, "epochs": 800, "batch_size": 100, "warmup_epochs": 50, "num_particles": 500,
}  # fmt: skip
ACTIVE = {"activation": "tanh", "likelihood": "bernoulli"}
KEYS = 3  # of the mean-field guide and the best flow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(PATH.read_text())["runs"] if PATH.exists() else {}
    plan = runs()
    unknown = set(options.only or ()) - plan.keys()
    if unknown:
        raise SystemExit(f"--only takes {', '.join(plan)}; got {', '.join(sorted(unknown))}")
    for name in options.only or plan:
        if name not in found:
            found[name] = plan[name](options.runs / f"flow-posteriors-{name}")
            save(found)
        print(f"{name:18}", found[name], flush=True)
    if options.only:
        return
    best = min((g for g in GUIDES if g != "none"), key=lambda g: found[f"mnist-{g}"]["nelbo"])
    again = {
        f"mnist-{guide}-key{key}": mnist(guide, key)
        for key in range(1, KEYS)
        for guide in ("none", best)
    } | {
        f"mnist-{guide}-rate{OTHER_RATE:g}": mnist(guide, rate=OTHER_RATE)
        for guide in ("none", best)
    }
    for name, fit in again.items():
        if name not in found:
            found[name] = fit(options.runs / f"flow-posteriors-{name}")
            save(found)
        print(f"{name:18}", found[name], flush=True)
    table(found, best)


def runs() -> dict[str, Callable[[Path], dict[str, Any]]]:
    """What is run once, by name."""
    ladders = {
        "ladder-one-level": taut.Ladder((50,), hidden=(200,), **ACTIVE),
        "ladder-two-levels": taut.Ladder((50, 25), hidden=(200, 100), **ACTIVE),
    }
    return (
        {f"mnist-{guide}": mnist(guide) for guide in GUIDES}
        | {name: on_mnist(model) for name, model in ladders.items()}
        | {f"frey-{guide}": frey(guide) for guide in PUBLISHED_FREY}
    )


def mnist(guide: str, key: int = 0, **choices: Any) -> Callable[[Path], dict[str, Any]]:
    """The two-layer tanh network with a guide."""
    model = taut.VAE(latent_dim=50, hidden=(200, 200), guide=GUIDES[guide], **ACTIVE)
    return on_mnist(model, key, **choices)


def on_mnist(model: Any, key: int = 0, **choices: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda folder: fitted(load_data(split()), model, folder, key=key, **MNIST | choices)


def frey(guide: str) -> Callable[[Path], dict[str, Any]]:
    """Grey faces under a discretized logistic."""
    model = taut.VAE(latent_dim=50, hidden=(400, 400), guide=GUIDES[guide])
    return lambda folder: fitted(load_data(faces(), seed=0), model, folder, key=0, **FREY)


def faces() -> str:
    folder = os.environ.get("TAUT_DATA")
    if folder is None:
        raise SystemExit("TAUT_DATA must name a folder with freyfaces/freyfaces.npz")
    return str(Path(folder) / "freyfaces" / "freyfaces.npz")


def fitted(
    data: Any, model: Any, folder: Path, *, key: int,
    rate: float, epochs: int, batch_size: int, warmup_epochs: int, num_particles: int,
) -> dict[str, Any]:  # fmt: skip
    """Fit, or go on, and what the test rows say."""
    per_epoch = len(data.train) // batch_size
    rates = schedule("cosine", rate, num_steps=epochs * per_epoch, warmup_steps=200)
    resumed = (folder / "config.toml").exists() and not (folder / "summary.json").exists()
    if not (folder / "summary.json").exists():
        taut.fit(
            data,
            model=model,
            bound=ELBO(warmup_steps=warmup_epochs * per_epoch),
            validation_bound=ELBO(),
            optimizer=optax.adam(rates, eps=1e-4),
            ema=0.999,
            epochs=epochs,
            batch_size=batch_size,
            patience=0,
            validate_every=max(1, epochs // 12) * per_epoch,
            num_particles=num_particles,
            key=key,
            checkpoint_every=2 * per_epoch,
            out=folder,
            resume=resumed,
        )
    fit = taut.load(folder)
    elbo, evidence = fit.estimates["elbo"], fit.estimates["log_evidence"]
    outcome = {
        "nelbo": -elbo.value,
        "nelbo_mc_error": elbo.mc_error,
        "nll": -evidence.value,
        "nll_mc_error": evidence.mc_error,
        "rows_error": evidence.data_error,
        "flags": sorted(evidence.flags),
        "rate": rate,
        "particles": num_particles,
        "steps": fit.facts.steps,
        "training_seconds": None if resumed else round(fit.facts.training_seconds, 2),
        "conditions": conditions(),
    }
    if "bits_per_dimension" in fit.estimates:
        bits = 1 / (data.schema.size * np.log(2))
        outcome |= {
            "bits_per_dimension": fit.estimates["bits_per_dimension"].value,
            "bits_per_dimension_of_the_elbo": -elbo.value * bits,
        }
    return outcome


def save(found: dict[str, Any]) -> None:
    """All runs so far, each with the conditions that it ran under."""
    content = {"mnist": MNIST, "frey": FREY, "published_frey": PUBLISHED_FREY, "runs": found}
    write_whole(PATH, content)


def table(found: dict[str, Any], best: str) -> None:
    for name, outcome in found.items():
        bits = outcome.get("bits_per_dimension_of_the_elbo")
        tail = "" if bits is None else f"  {bits:.3f} bits/dimension (ELBO)"
        print(f"{name:20} -ELBO {outcome['nelbo']:8.2f}  NLL {outcome['nll']:8.2f}{tail}")
    names = [lambda k, g=g: f"mnist-{g}" + (f"-key{k}" if k else "") for g in ("none", best)]
    gains = [found[names[0](k)]["nelbo"] - found[names[1](k)]["nelbo"] for k in range(KEYS)]
    error = np.std(gains, ddof=1) / np.sqrt(KEYS)
    print(f"{best} against none: {np.mean(gains):.2f} ± {error:.2f} nats of ELBO over {KEYS} keys")
    levels = [found[f"ladder-{n}"]["nelbo"] for n in ("one-level", "two-levels")]
    print(f"ladder of two levels against one: {levels[0] - levels[1]:.2f} nats of ELBO")


if __name__ == "__main__":
    main()
