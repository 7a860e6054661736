"""How many documents per second one core cleans by C4's rules, beside datatrove's C4 quality filter.

    python -m tests.benchmarks.bench_clean

Same documents, same core, in turns, by CPU time: the READMEs of the installed packages, which are full of lines that
are no sentences, and the prose of their docstrings. Language identification is left out. datatrove runs with the
paper's thresholds (its own are others) and splits sentences by the same Punkt as we do; where spaCy is installed, also
with that, as it does by default. Then on how many documents both agree, and why they do not on the others. Leaves with
exit code 1 when ours stays below twice its documents per second.
"""

import importlib.metadata
import itertools
import statistics
import sys
import time
from collections import Counter

import punkt

from t5core.corpora import embedded
from t5core.corpora.c4 import clean_page
from t5core.corpora.c4.bad_words import finder, published_words

DOCSTRINGS, MIN_CHARS = 6_000, 400
ROUNDS = 5
MARK = 2.0


def documents() -> list[str]:
    """Texts as they come, sorted."""
    readmes = {str(d.metadata.get_payload() or "") for d in importlib.metadata.distributions()}
    prose = {document.text for document in itertools.islice(embedded.harvest(MIN_CHARS), DOCSTRINGS)}
    return sorted(text for text in readmes | prose if len(text) >= MIN_CHARS)


def cpu_seconds(clean, texts):
    started = time.process_time()
    results = [clean(text) for text in texts]
    return time.process_time() - started, results


def datatroves(language=None):
    """Returns a function like ``clean_page`` that asks datatrove."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Punkt(WordTokenizer):
        punkt = punkt.tokenizer_for("english")

        def span_tokenize(self, text):
            return list(self.punkt.span_tokenize(text))

        def sent_tokenize(self, text):
            return self.punkt.tokenize(text)

        def word_tokenize(self, text):
            raise NotImplementedError

    quality = C4QualityFilter(min_num_sentences=3, min_words_per_line=5, language=language or Punkt())

    def clean(text):
        document = Document(text=text, id="")
        return document.text if quality.filter(document) is True else None

    return clean


def why_not_same(ours, theirs):
    """The first difference between two cleaned texts, in words."""
    if ours is None or theirs is None:
        return "kept by one only: ' as an end mark, citation marks counted as words, other sentences"
    one, other = ours.split("\n"), theirs.split("\n")
    extra = [line for line in other if line not in one] + [line for line in one if line not in other]
    if any(line.endswith("'") for line in extra):
        return "lines that end in ', which datatrove keeps"
    return "lines of five words with a citation mark among them, which datatrove keeps"


def main():
    texts = documents()
    size = sum(map(len, texts))
    print(f"{len(texts):,} documents, {size / 1e6:.1f} million characters, CPU time of one core")
    search = finder(published_words("en"), "en")
    contestants = {"t5core": clean_page, "t5core with bad words": lambda text: clean_page(text, bad_words=search)}
    try:
        contestants["datatrove, Punkt"] = datatroves()
    except ImportError as error:
        print(f"datatrove cannot be imported ({error}): no ratio")
    else:
        try:
            import spacy  # noqa: F401
        except ImportError:
            pass
        else:
            contestants["datatrove, spaCy"] = datatroves("eng")
    seconds = {name: [] for name in contestants}
    results = {}
    for clean in contestants.values():
        clean(texts[0])  # what is loaded once
    for _ in range(ROUNDS):
        for name, clean in contestants.items():
            spent, results[name] = cpu_seconds(clean, texts)
            seconds[name].append(spent)
    medians = {name: statistics.median(spent) for name, spent in seconds.items()}
    for name, spent in medians.items():
        print(f"{name:24} {len(texts) / spent:>10,.0f} documents/s {size / spent / 1e6:>8.1f} MB/s")
    missed = False
    for name in contestants:
        if not name.startswith("datatrove"):
            continue
        ratio = medians[name] / medians["t5core"]
        missed |= ratio < MARK
        print(f"{ratio:.2f}x of {name} (mark: {MARK:g}x)")
        pairs = [(ours[0], theirs) for ours, theirs in zip(results["t5core"], results[name], strict=True)]
        reasons = Counter(why_not_same(*pair) for pair in pairs if pair[0] != pair[1])
        print(f"  same decision and text on {len(pairs) - reasons.total():,} of {len(pairs):,} documents")
        for reason, count in reasons.most_common():
            print(f"  {count:,}: {reason}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
