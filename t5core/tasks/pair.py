"""One example as the model sees it."""

from dataclasses import dataclass, field

from t5core.metrics import Context


@dataclass(frozen=True, kw_only=True)
class TextPair:
    """Text in, text out; ``context`` is what the scorer has to know besides the target, a JSON object."""

    inputs: str
    targets: str
    context: Context = field(default_factory=dict)
