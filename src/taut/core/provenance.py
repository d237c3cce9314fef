"""What a number was made on: device and versions, in words."""

import platform
from importlib.metadata import version

import jax

__all__ = ["device", "versions"]


def device() -> str:
    """The default device in words."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        return f"CPU, {len(jax.devices())} device of {platform.machine()}"
    return f"{first.device_kind} ({first.platform})"


def versions() -> str:
    """Of what a number depends on, in words."""
    python = platform.python_version()
    return f"taut {version('taut')}, jax {jax.__version__}, Python {python}"
