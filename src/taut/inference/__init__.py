"""Inference algorithms: each a pair of pure functions over a state of arrays."""

from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.joint import JointState, joint

__all__ = ["Algorithm", "JointState", "Metrics", "joint"]
