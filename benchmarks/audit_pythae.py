"""A VAE of Pythae is audited as it is, and beside it the same weights in taut's own networks.

Pythae's VAE with its default networks (one layer of 512 units on each side, 16 latents) is trained on
statically binarized MNIST by Pythae's loss for some seconds. Then the same rows and keys go through

    Pythae        its own loss, and `get_nll`, its importance-sampled log-likelihood
    the door      `taut.wrap_model` and `fit.audit` on the PyTorch modules, no weights converted
    rebuilt       the same on `taut.networks.MLP` with the weights copied by hand

With equal keys door and rebuilt draw the same latents and differ by rounding alone; with other keys by
their errors; and Pythae's log-likelihood differs from both by its draws.

    TAUT_DATA=FOLDER python benchmarks/audit_pythae.py [--seconds 180] [--rows 200]

It runs in an environment of its own with Pythae and PyTorch beside taut, made on first use.
"""

import argparse
import math
import os
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from peers import AUDIT_PINS, python_of_peers

LATENT, BATCH, RATE, PARTICLES = 16, 128, 1e-3, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument(
        "--rows", type=int, default=200, help="held-out rows, and as many for training"
    )
    options = parser.parse_args()
    if find_spec("pythae") is None:
        python = python_of_peers("pythae-audit", AUDIT_PINS, beside_taut=True)
        os.execv(python, [python, __file__, *sys.argv[1:]])
    from record import save_result
    from static_mnist import split

    train, _, test = (part.astype(np.float32).reshape(len(part), 1, 28, 28) for part in split())
    model, steps = trained(train, options.seconds)
    rows, held_out = train[: options.rows].reshape(-1, 784), test[: options.rows]
    own = by_pythae(model, held_out)
    held_out = held_out.reshape(-1, 784)
    found: dict[str, Any] = {}
    for name, parts in {"door": by_door(model), "rebuilt": rebuilt(model)}.items():
        found[name] = audited(parts, rows, held_out, key=0)
        print(name, {n: round(e["value"], 4) for n, e in found[name].items()})
    found["rebuilt, other key"] = audited(rebuilt(model), rows, held_out, key=1)
    result = {
        "pythae": version("pythae"),
        "training": {"seconds": options.seconds, "steps": steps, "batch": BATCH, "rate": RATE},
        "rows": options.rows,
        "particles": PARTICLES,
        "by_pythae": own,
        **found,
        "difference_with_equal_keys": differences(found["door"], found["rebuilt"]),
        "difference_with_other_keys": differences(
            found["door"],
            found["rebuilt, other key"],
        ),
        "log_evidence_less_pythaes": found["door"]["log_evidence"]["value"] - own["log_likelihood"],
    }
    print(save_result("audit_pythae", result))


def trained(rows: np.ndarray, seconds: float) -> tuple[Any, int]:
    """Pythae's VAE after as many steps of Adam as fit into some seconds, and their number."""
    import torch
    from pythae.models import VAE, VAEConfig

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    model, data = VAE(config), torch.from_numpy(rows)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        optimizer.zero_grad()
        batch = data[torch.randint(len(data), (BATCH,))]
        model({"data": batch}).loss.backward()
        optimizer.step()
        steps += 1
    return model.eval(), steps


def by_pythae(model: Any, rows: np.ndarray) -> dict[str, Any]:
    """Its own ELBO, the mean of ten draws, and log-likelihood, nats per row."""
    import torch

    torch.manual_seed(1)
    data = torch.from_numpy(rows)
    with torch.no_grad():
        elbo = [-float(model({"data": data}).loss) for _ in range(10)]
        return {
            "elbo": float(np.mean(elbo)),
            "log_likelihood": float(model.get_nll(data, n_samples=PARTICLES, batch_size=100)),
        }


def by_door(model: Any) -> dict[str, Any]:
    """The modules as they are. Pythae's decoder ends in probabilities, in which logits are lost where
    they are large: these come from its layers before the sigmoid."""
    from torch import nn

    import taut

    encode = taut.from_torch(
        model.encoder, read=lambda out: (out.embedding, (0.5 * out.log_covariance).exp())
    )
    hidden, (last, _) = model.decoder.layers
    return {"encode": encode, "decode": nn.Sequential(hidden, last)}


def rebuilt(model: Any) -> dict[str, Any]:
    """The same weights in taut's networks."""
    import jax.numpy as jnp

    encoder, decoder = model.encoder, model.decoder.layers
    encoding = network([encoder.layers[0][0]], [encoder.embedding, encoder.log_var])
    decoding = network([decoder[0][0]], [decoder[1][0]])

    def encode(x: Any) -> tuple[Any, Any]:
        mean, log_variance = jnp.split(encoding(x), 2)
        return mean, jnp.exp(0.5 * log_variance)

    return {"encode": encode, "decode": decoding}


def network(hidden: list[Any], heads: list[Any]) -> Any:
    """An `MLP` with ReLU whose last layer has the heads side by side."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from taut.networks import MLP

    weights = [layer.weight.detach().numpy().T for layer in hidden]
    biases = [layer.bias.detach().numpy() for layer in hidden]
    weights.append(np.concatenate([head.weight.detach().numpy().T for head in heads], axis=1))
    biases.append(np.concatenate([head.bias.detach().numpy() for head in heads]))
    sizes = [weight.shape[1] for weight in weights]
    made = MLP(weights[0].shape[0], sizes[:-1], sizes[-1], activation="relu", key=jax.random.key(0))
    values = [jnp.asarray(value) for value in (*weights, *biases)]
    return eqx.tree_at(
        lambda m: [*(la.weight for la in m.layers), *(la.bias for la in m.layers)], made, values
    )


def audited(
    parts: dict[str, Any], rows: np.ndarray, held_out: np.ndarray, *, key: int
) -> dict[str, Any]:
    """The numbers of the audit of held-out rows, and the evidence by draws of the encoder."""
    import taut

    fit = taut.wrap_model(rows, **parts, likelihood="bernoulli")
    audit = fit.audit(rows, held_out=held_out, rows=len(rows), key=key)
    evidence = fit.evidence(held_out, method="importance", num_particles=PARTICLES, key=key)
    gaps = audit.held_out
    numbers = {
        "log_evidence": evidence,
        "elbo": gaps.elbo,
        "approximation": gaps.approximation,
        "amortization": gaps.amortization,
        "mutual_information": audit.surgery.mutual_information,
    }
    return {name: numbers_of(e) for name, e in numbers.items()}


def numbers_of(estimate: Any) -> dict[str, Any]:
    error = estimate.mc_error  # NaN where the weights of the draws tell none
    return {
        "value": estimate.value,
        "side": estimate.side,
        "mc_error": error if math.isfinite(error) else None,
    }


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The difference of each number, nats, and in errors of the draws of both."""
    found = {}
    for name in a:
        gap = a[name]["value"] - b[name]["value"]
        errors = a[name]["mc_error"], b[name]["mc_error"]
        known = None not in errors and any(errors)
        found[name] = {"nats": gap, "errors": gap / math.hypot(*errors) if known else None}
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
