"""URIs as they may be shown: no error, log line, tag or table of ours carries a password.

>>> masked("postgresql://ann:secret@db.example/mlflow")
'postgresql://***@db.example/mlflow'
"""

import re

_USER_INFO = re.compile(r"://[^/\s]*@")
_USER_INFO_WITH_SLASH = re.compile(r"://[^\s/@:]*:[^\s@]*@")
_SECRET_PARAMETER = re.compile(r"([?&;](?:password|passwd|pwd|token|secret|sig|signature|access_?key)=)[^&;\s]*", re.I)


def masked(text: str) -> str:
    """Returns ``text``, a URI or a message that holds some, with user, password and secret parameters as ``***``."""
    for pattern in (_USER_INFO, _USER_INFO_WITH_SLASH):
        text = pattern.sub("://***@", text)
    return _SECRET_PARAMETER.sub(r"\1***", text)
