"""Training: AdaFactor, schedules, the step, the loop, checkpoints.

In: a model, a feed, a device, a config. Out: a folder with metrics and with checkpoints that a run goes on from. Never:
text, tasks or scores; a step behind a loss that is no number; anything loaded by running it.
"""

from t5core.training.adafactor import AdaFactor
from t5core.training.loop import TrainingRun, TrainResult
from t5core.training.schedules import constant, inverse_sqrt, linear, triangular

__all__ = ["AdaFactor", "TrainResult", "TrainingRun", "constant", "inverse_sqrt", "linear", "triangular"]
