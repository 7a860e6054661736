r"""The rules of C4, the paper's corpus: which lines and pages of a crawl are text to learn from.

In: pages and a recipe. Out: shards and a manifest. Never: text that goes without being counted (what is read is what is
removed and what is kept, to the byte), or a model that judges.

>>> clean_page("One line of plain text here.\nHome | About\nAnother line, also with an end. Is it? Yes!")
('One line of plain text here.\nAnother line, also with an end. Is it? Yes!', {'line-passed': 2, ...})
"""

from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.rules import clean_page

__all__ = ["C4Config", "clean_page"]
