"""URIs as they may be shown; see ``t5core.uris``."""

from t5core.uris import masked

__all__ = ["masked"]
