"""A VAE and a classifier in PyTorch, written and trained there: how tight its bound is, and what would
have to change in a digit for the classifier to say 9.

    pip install 'taut[torch]'
    python examples/audit_torch.py

No weights are converted: the modules run in PyTorch, and its autograd differentiates them.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import taut


class VAE(nn.Module):
    def __init__(self, cells: int, latents: int):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(cells, 128), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(128, latents), nn.Linear(128, latents)
        self.decoder = nn.Sequential(nn.Linear(latents, 128), nn.ReLU(), nn.Linear(128, cells))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of q(z | x)."""
        features = self.features(x)
        return self.mean(features), (0.5 * self.log_variance(features)).exp()

    def nelbo(self, x: torch.Tensor) -> torch.Tensor:
        mean, scale = self.encode(x)
        logits = self.decoder(mean + scale * torch.randn_like(scale))
        kl = 0.5 * (mean**2 + scale**2 - 1) - scale.log()
        return (binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl.sum()) / len(x)


def trained(module: nn.Module, loss, rows: torch.Tensor, steps: int) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(torch.randint(len(rows), (128,))).backward()
        optimizer.step()


def main() -> None:
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    rows = (pixels > 7).astype(np.float32)
    train, held_out = rows[:1400], rows[1400:]
    x, y = torch.from_numpy(train), torch.from_numpy(labels[:1400])

    vae = VAE(64, 8)
    trained(vae, lambda batch: vae.nelbo(x[batch]), x, 3000)
    audit = taut.audit_model(
        train, held_out=held_out, encode=vae.encode, decode=vae.decoder, likelihood="bernoulli",
        rows=200,
    )  # fmt: skip
    gaps = audit.held_out
    print("log-evidence, held out", gaps.log_evidence)
    print("ELBO                  ", gaps.elbo)
    for finding in audit.findings:
        print("*", finding.says)

    judge = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    trained(judge, lambda batch: cross_entropy(judge(x[batch]), y[batch]), x, 1000)
    model = taut.wrap_model(train, encode=vae.encode, decode=vae.decoder, likelihood="bernoulli")
    fours = held_out[labels[1400:] == 4][:8]
    found = taut.counterfactuals.search(model, fours, classifier=judge, target=9)
    print(found)


if __name__ == "__main__":
    main()
