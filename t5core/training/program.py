"""What a device compiles, wraps or shards: a model and its loss as one module, from ids to three sums.

Everything that a step computes before the gradient is in ``forward``, so that data parallelism, sharding and compilers
see one module whose parameters are the model's.
"""

from torch import Tensor, nn

from t5core.model import T5, Dropout, ModelInputs
from t5core.training.loss import projected_token_losses


class LossProgram(nn.Module):
    """A model with its training loss.

    Args:
        z_loss: weight of ``log(Z)^2``.
        loss_chunk_bytes: see ``Device``.
    """

    def __init__(self, model: T5, z_loss: float, loss_chunk_bytes: int) -> None:
        super().__init__()
        self.model = model
        self.z_loss = z_loss
        self.loss_chunk_bytes = loss_chunk_bytes

    def forward(self, batch: ModelInputs, dropout: Dropout | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the summed training loss, the summed cross-entropy (no gradient) and the number of target tokens."""
        hidden_BTD = self.model.hidden(batch, dropout)
        return projected_token_losses(
            hidden_BTD, self.model.output_weight, batch.asked_BT, self.z_loss, self.loss_chunk_bytes, self.model.lay
        )
