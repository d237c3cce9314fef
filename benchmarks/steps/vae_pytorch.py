"""Eager PyTorch, written by hand on whole batches.

Third argument: `default` or `fused`, which kind of Adam.
"""

import sys

import torch
import torch.nn.functional as F
from serve import HIDDEN, LATENT, serve, task
from torch import Tensor, nn


class VAE(nn.Module):
    """784-400-20 and back."""

    def __init__(self, cells: int):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(cells, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, cells))

    def nelbo(self, x: Tensor) -> Tensor:
        """Negative ELBO, nats per row: one draw, KL in closed form."""
        loc, log_scale = self.encoder(x).chunk(2, dim=1)
        scale = log_scale.exp()
        logits = self.decoder(loc + scale * torch.randn_like(loc))
        misfit = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (scale**2 + loc**2 - 1 - 2 * log_scale).sum()
        return (misfit + kl) / len(x)


def main() -> None:
    x, order = task()
    rows, numbers = torch.from_numpy(x), torch.from_numpy(order)
    model = VAE(x.shape[1])
    optimizer = torch.optim.Adam(
        model.parameters(), lr=1e-3, fused=True if sys.argv[3] == "fused" else None
    )

    def run() -> None:
        for batch in numbers:
            optimizer.zero_grad()
            model.nelbo(rows[batch]).backward()
            optimizer.step()

    serve(run, "torch")


if __name__ == "__main__":
    main()
