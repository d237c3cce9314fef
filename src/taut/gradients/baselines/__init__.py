"""Baselines: what is subtracted from a learning signal, known before its draw."""

from taut.gradients.baselines.abstract import AbstractBaseline, Centering
from taut.gradients.baselines.moving_average import MovingAverage
from taut.gradients.baselines.network import NetworkBaseline

__all__ = ["AbstractBaseline", "Centering", "MovingAverage", "NetworkBaseline"]
