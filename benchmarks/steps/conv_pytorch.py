"""The residual convolutional VAE in eager PyTorch, channels last, layer for layer as in taut.

Third argument: channels at 1/2, 1/4, ... of the resolution, with commas between them.
"""

import sys

import torch
import torch.nn.functional as F
from serve import CONV_LATENT, serve, task
from torch import Tensor, nn


class Block(nn.Module):
    """h + conv(a(conv(a(h))))."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(gelu(self.first(gelu(h))))


class Encoder(nn.Module):
    def __init__(self, widths: list[int], side: int):
        super().__init__()
        ins = [1, *widths[:-1]]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(4 * i, o, 3, padding=1) for i, o in zip(ins, widths, strict=True)
        )
        self.blocks = nn.ModuleList(Block(o) for o in widths)
        self.output = nn.Linear(side * side * widths[-1], 2 * CONV_LATENT)

    def forward(self, h: Tensor) -> Tensor:
        for convolution, block in zip(self.convolutions, self.blocks, strict=True):
            h = block(convolution(channels_last(F.pixel_unshuffle(h, 2))))
        return self.output(gelu(h).flatten(1))


class Decoder(nn.Module):
    def __init__(self, widths: list[int], side: int):
        super().__init__()
        ins, outs = widths[::-1], [*widths[-2::-1], 1]
        self.side = side
        self.input = nn.Linear(CONV_LATENT, side * side * ins[0])
        self.blocks = nn.ModuleList(Block(i) for i in ins)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, 4 * o, 3, padding=1) for i, o in zip(ins, outs, strict=True)
        )

    def forward(self, z: Tensor) -> Tensor:
        h = channels_last(self.input(z).reshape(len(z), -1, self.side, self.side))
        last = self.convolutions[-1]
        for convolution, block in zip(self.convolutions, self.blocks, strict=True):
            h = block(h)
            h = gelu(h) if convolution is last else h
            h = channels_last(F.pixel_shuffle(convolution(h), 2))
        return h


def gelu(h: Tensor) -> Tensor:
    """In the form that `jax.nn.gelu` has."""
    return F.gelu(h, approximate="tanh")


def channels_last(h: Tensor) -> Tensor:
    return h.contiguous(memory_format=torch.channels_last)


def main() -> None:
    x, order = task()
    widths = [int(width) for width in sys.argv[3].split(",")]
    side = 28 // 2 ** len(widths)
    rows = channels_last(torch.from_numpy(x).reshape(-1, 1, 28, 28))
    numbers = torch.from_numpy(order)
    networks = nn.ModuleList([Encoder(widths, side), Decoder(widths, side)])
    networks = networks.to(memory_format=torch.channels_last)
    encoder, decoder = networks
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)

    def run() -> None:
        for batch in numbers:
            images = rows[batch]
            optimizer.zero_grad()
            loc, log_scale = encoder(images).chunk(2, dim=1)
            scale = log_scale.exp()
            logits = decoder(loc + scale * torch.randn_like(loc))
            misfit = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
            kl = 0.5 * (scale**2 + loc**2 - 1 - 2 * log_scale).sum()
            ((misfit + kl) / len(images)).backward()
            optimizer.step()

    serve(run, "torch")


if __name__ == "__main__":
    main()
