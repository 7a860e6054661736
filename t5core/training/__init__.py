"""Training: AdaFactor, schedules, the step, the loop, checkpoints."""

from t5core.training.adafactor import AdaFactor
from t5core.training.loop import TrainingRun, TrainResult
from t5core.training.schedules import constant, inverse_sqrt, triangular

__all__ = ["AdaFactor", "TrainResult", "TrainingRun", "constant", "inverse_sqrt", "triangular"]
