import re
from itertools import islice

from t5core.corpora.embedded import content_digest, find_docstrings, harvest

CODE = '''# a comment
"""Module."""
import os

TEMPLATE = """
not one
"""


class Thing:
    """A thing."""

    def method(self,
               x=1):  # why
        r\'\'\'Raw \\d text.\'\'\'
        return {"a": """no"""}

    async def later(self) -> None:

        """Says \\"so\\"."""
'''


def test_docstrings_are_found_with_their_names():
    assert list(find_docstrings(CODE)) == [
        ("Module.", ""),
        ("A thing.", "Thing"),
        ("Raw \\d text.", "method"),
        ('Says "so".', "later"),
    ]


def test_the_harvest_is_the_same_twice_and_names_its_sources():
    first = list(islice(harvest(200), 150))
    assert first == list(islice(harvest(200), 150))
    assert len({document.text for document in first}) > 140
    for document in first:
        assert len(document.text) >= 200
        assert re.match(r"[\w.-]+:", document.source) and document.source.startswith(document.group)
        assert not document.source.startswith("t5grid:")


def test_another_python_is_another_text(monkeypatch):
    """Wheels of one version hold other files for another Python: numpy's do."""
    digests = []
    for python in ((3, 11, 7), (3, 12, 1), (3, 13, 0)):
        monkeypatch.setattr("t5core.corpora.embedded.sys.version_info", python)
        digests.append(content_digest())
    assert len(set(digests)) == 3


def test_the_digest_stands_for_what_is_installed_not_for_the_process(monkeypatch):
    digest = content_digest()
    assert re.fullmatch(r"[0-9a-f]{16}", digest)
    monkeypatch.syspath_prepend("/somewhere/else")
    assert content_digest() == digest


def test_progress_is_reported_per_distribution():
    told = []
    next(harvest(200, told.append))
    assert told and set(told[0]) == {"distribution"}
