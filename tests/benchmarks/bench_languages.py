"""How fast each identifier tells languages, and how often the fast one says what the paper's does.

    python -m tests.benchmarks.bench_languages [FILE ...]

The pages of files (as ``t5core clean`` reads them), or the documents of ``bench_clean``, which are English. What counts
is the decision of the rule as it is by default: whether a page stays as English. The question is agreement with the
paper's identifier, not truth. Leaves with exit code 1 when the fast one is not 20 times as fast.
"""

import sys
import time
from collections import Counter

from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.language import language_verdict
from t5core.corpora.captures import find_captures, read_pages
from tests.benchmarks.bench_clean import documents

MARK = 20.0
PAGES = 2_000
SHORT_CHARS = 1_000  # under it, names and code weigh more than words


def pages_of(paths: list[str]) -> list[str]:
    """The texts, at most PAGES of them, taken evenly."""
    if paths:
        texts = [page.text for place in find_captures(paths) for page in read_pages(place, Counter())]
    else:
        texts = documents()
    return texts[:: max(1, len(texts) // PAGES)]


def main(argv: list[str]) -> int:
    texts = pages_of(argv)
    print(f"{len(texts):,} pages, {sum(map(len, texts)) / 1e6:.1f} million characters, one core")
    verdicts, rates = {}, {}
    for identifier in ("langdetect", "resiliparse"):
        config = C4Config(identifier=identifier)
        language_verdict(texts[0], config)  # its profiles are loaded
        started = time.process_time()
        verdicts[identifier] = [language_verdict(text, config) for text in texts]
        rates[identifier] = len(texts) / (time.process_time() - started)
        kept = sum(verdict is None for verdict in verdicts[identifier])
        print(f"{identifier:12} {rates[identifier]:>9,.0f} pages/s, {kept:,} stay as English")
    decisions = [
        (len(text), slow is None, fast is None)
        for text, slow, fast in zip(texts, verdicts["langdetect"], verdicts["resiliparse"], strict=True)
    ]
    for what, short in ((f"under {SHORT_CHARS:,} characters", True), ("of more", False)):
        mine = [(slow, fast) for size, slow, fast in decisions if (size < SHORT_CHARS) == short]
        same = sum(slow == fast for slow, fast in mine)
        only_slow = sum(slow and not fast for slow, fast in mine)
        print(
            f"pages {what}: same decision on {same:,} of {len(mine):,} ({same / max(1, len(mine)):.2%}); "
            f"only langdetect keeps {only_slow:,}, only resiliparse {len(mine) - same - only_slow:,}"
        )
    speed = rates["resiliparse"] / rates["langdetect"]
    print(f"{speed:.0f}x as fast (mark: {MARK:.0f}x)")
    return int(speed < MARK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
