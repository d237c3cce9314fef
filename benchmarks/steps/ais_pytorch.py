"""Annealed importance sampling of one image after another in PyTorch, as a plain script has it.

    log w = sum_t (b_{t+1} - b_t) (log p(x, z_t) - log q(z_t)),    linear b, Hamiltonian transitions

All chains of an image move together, through gradients by the chains alone, with a fixed step in units
of q's standard deviations and no pilot. A step of the benchmark is an image.

Arguments: .npz of the rows, their q and the decoder (`evidence_speed.py`); images; chains; temperatures;
leapfrog steps.
"""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from serve import serve
from torch import Tensor

STEP = 0.1


def main() -> None:
    content = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[1]).items()}
    images, chains, temperatures, leapfrog = map(int, sys.argv[2:6])
    layers = [(content[f"weight{i}"], content[f"bias{i}"]) for i in range(3)]

    def log_joint(x: Tensor, z: Tensor) -> Tensor:
        (first, a), (second, b), (last, c) = layers
        logits = torch.tanh(torch.tanh(z @ first + a) @ second + b) @ last + c
        log_lik = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return log_lik.sum(1) + normal(z, 0.0, torch.ones(()))

    def run() -> None:
        for x, loc, sd in zip(*(content[n][:images] for n in ("x", "loc", "sd")), strict=True):
            annealed(log_joint, x, loc, sd, chains, temperatures, leapfrog)

    serve(run, "torch")


def annealed(
    log_joint: Any,
    x: Tensor,
    loc: Tensor,
    sd: Tensor,
    chains: int,
    temperatures: int,
    leapfrog: int,
) -> float:
    """log p(x) of one image, nats, from q = N(loc, sd^2)."""
    betas = torch.linspace(0, 1, temperatures + 1)
    z = loc + sd * torch.randn(chains, len(loc))
    log_w = torch.zeros(chains)

    def densities(z: Tensor) -> tuple[Tensor, Tensor]:
        return normal(z, loc, sd), log_joint(x, z)

    def tempered(z: Tensor, beta: Tensor) -> Tensor:
        start, end = densities(z)
        return (1 - beta) * start + beta * end

    def slope(z: Tensor, beta: Tensor) -> Tensor:
        z = z.detach().requires_grad_()
        return torch.autograd.grad(tempered(z, beta).sum(), z)[0]

    for before, beta in pairwise(betas):
        with torch.no_grad():
            start, end = densities(z)
            log_w += (beta - before) * (end - start)
        if beta == 1:
            break
        p = torch.randn_like(z)
        proposed, q = z, p
        for _ in range(leapfrog):
            q = q + 0.5 * STEP * sd * slope(proposed, beta)
            proposed = proposed + STEP * sd * q
            q = q + 0.5 * STEP * sd * slope(proposed, beta)
        with torch.no_grad():
            gained = tempered(proposed, beta) - tempered(z, beta)
            ratio = gained + 0.5 * (p**2 - q**2).sum(1)
            accepted = torch.rand(chains).log() < ratio
            z = torch.where(accepted[:, None], proposed, z)
    return float(torch.logsumexp(log_w, 0) - np.log(chains))


def normal(z: Tensor, loc: Tensor | float, sd: Tensor) -> Tensor:
    """Log-density of independent normals, nats, without the constant that cancels."""
    return (-0.5 * ((z - loc) / sd) ** 2 - sd.log()).sum(1)


if __name__ == "__main__":
    main()
