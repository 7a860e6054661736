r"""The rules of C4, the paper's corpus: which lines and pages of a crawl are text to learn from.

>>> clean_page("One line of plain text here.\nHome | About\nAnother line, also with an end. Is it? Yes!")
('One line of plain text here.\nAnother line, also with an end. Is it? Yes!', {'line-passed': 2, ...})
"""

from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.rules import clean_page

__all__ = ["C4Config", "clean_page"]
