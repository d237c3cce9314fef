"""What is told of a fit while it runs: `taut.fit(data, callbacks=[...])`."""

from taut.callbacks.abstract import Callback
from taut.callbacks.mlflow_logger import MLflow
from taut.callbacks.tensorboard_logger import TensorBoard

__all__ = ["Callback", "MLflow", "TensorBoard"]
