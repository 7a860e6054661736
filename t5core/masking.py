"""What of an address or a message may be shown: no user, no password, no secret parameter.

A password may hold any sign, also where it ought to be written otherwise (``%40`` for ``@``), so everything up to the
last ``@`` is hidden. That may hide a path's ``@`` as well; only where addresses commonly have one (a revision on the
hub, an object's name) it is shown, unless a colon says that there is a password.

>>> masked("postgresql://ann:s3/c r@t@db.example/mlflow")
'postgresql://***@db.example/mlflow'
>>> masked("hf://datasets/allenai/c4@main/en/a.json.gz")
'hf://datasets/allenai/c4@main/en/a.json.gz'
"""

import re

_WITH_PATHS = "s3a?|gs|gcs|hf|az|adl|abfss?|hdfs|webhdfs|file|local|memory|github|oss|dbfs"
# (1) places in stores: a user stands before the first slash, or a colon before the @; (2) all others
_ANY = r"(?:(?!\s\S*://)[^\n])"  # up to the next of several addresses
_USER_INFO = re.compile(
    rf"(\b(?:{_WITH_PATHS})://)((?:(?!@){_ANY})*:{_ANY}*|(?:(?!/){_ANY})*)@"
    rf"|(\b(?!(?:{_WITH_PATHS})://)[a-z][\w+.-]*://)({_ANY}*)@",
    re.I,
)
_NAME = (
    r"password|ssl_?password|passwd|passphrase|pwd|secret|sig|signature|auth|authorization|credentials?|odbc_connect|"
    r"(?:(?:access|api|auth|bearer|client|deploy|id|job|oauth|private|refresh|sas|session|user)[_-]?)?token|"
    r"(?:(?:access|account|api|app|auth|client|private|secret|storage|subscription)[_-]?)?key|"
    r"(?:access|api|app|auth|client|consumer|oauth)[_-]?secret|secret[_-]?access[_-]?key|(?:aws)?access[_-]?key[_-]?id|"
    r"x-(?:amz|goog)-(?:signature|credential|security-token)"
)
_SECRET_PARAMETER = re.compile(rf"([?&;#](?:{_NAME})=)[^&;\s]*", re.I)
_SECRET_PARAMETER_OF_ADDRESS = re.compile(rf"([?&;#](?:{_NAME})=)[^&;\n]*", re.I)
_ADDRESS = re.compile(r"[a-z][\w+.-]*://", re.I)
_BROKEN_ADDRESS = re.compile(r"^([a-z][\w+.-]*(?::/{0,2}|/{1,2}))?(?=[^@\n]*:)[^\n]*@", re.I)


def masked(text: str) -> str:
    """Returns ``text``, a URI or a message that holds some, with user, password and secret parameters as ``***``."""
    secret = _SECRET_PARAMETER_OF_ADDRESS if _ADDRESS.match(text) else _SECRET_PARAMETER
    return secret.sub(r"\1***", _USER_INFO.sub(lambda match: f"{match[1] or match[3]}***@", text))


def masked_address(text: str) -> str:
    """Returns what was given for an address, masked, also where it is none: ``ann:secret@host``, ``mysql:/ann:...``."""
    return masked(text) if _ADDRESS.match(text) else _BROKEN_ADDRESS.sub(lambda match: f"{match[1] or ''}***@", text)


def without_user(uri: str) -> str:
    """Returns a URI without user and password: what may be written down where others read it, and still works.

    >>> without_user("s3://ann:secret@bucket/results")
    's3://bucket/results'
    """
    given = user_info(uri)
    return uri if given is None else uri.replace(f"://{given}@", "://", 1)


_HOST_FIRST = re.compile(r"[\w.-]*(?:\[[0-9a-f:]+\])?(?::\d+)?(?:[/?#]|$)", re.I)


def user_info(uri: str) -> str | None:
    """Returns what stands before a URI's host, None where nothing does.

    Where a host and a port, or a host alone, stand before the first slash, an ``@`` behind it belongs to the path:
    ``http://host:5000/x@y``.
    """
    rest = uri.partition("://")[2]
    if "@" not in rest or not _ADDRESS.match(uri):
        return None
    host_first = _HOST_FIRST.match(rest)
    if host_first and "@" not in host_first[0]:
        return None
    before_query = rest.partition("?")[0]
    return (before_query if "@" in before_query else rest).rpartition("@")[0]
