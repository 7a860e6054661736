"""A cleaned corpus of many files on many nodes: the steps of ``t5core.corpora.c4.stages`` as Ray tasks.

    result = run_corpus(paths, out, request, workers=8, report=print)

The steps exchange by hash through files in a folder that all nodes see (the output's, unless that is a store), so a
part of a step is a plain task with one CPU that takes names and gives counts; what it does is in ``corpus_steps``. The
driver keeps at most ``workers`` of them in flight, the largest first, hands out again what a dead worker had, and
writes the manifest last. Shards and counts are those of ``t5core clean``: order and drawing go by hashes of pages,
never by who did what when.

Why not Ray Data: its shuffle holds blocks in the object store, that is in memory before it is on disk, and its unit of
recovery is the lineage of a job, gone with the driver. Here every finished part outlives tasks, nodes and driver, and
memory is that of one part for each worker.
"""

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.corpus.steps import ATTEMPTS, PLAN, contents_of, do_part, found_result
from orchestrator.engine.on_ray.connect import connected
from t5core.corpora.c4.build import (
    Recipe,
    book_content,
    check_books,
    held_work,
    joined_content,
    manifest_of,
    shards_for,
    text_bytes,
)
from t5core.corpora.c4.output import Output
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.shards import Format, check_output, leftovers, write_manifest
from t5core.corpora.c4.tally import Tally
from t5core.corpora.places import Place, place_of
from t5core.errors import ConfigError

MAX_TRIES = 5
"""Of one part, when its workers die."""

REPORT_INTERVAL_S = 5.0
_MIN_PART_BYTES, _MAX_PART_BYTES = 1 << 20, 128 << 20
_PARTS = 256
_STEPS = {
    "pages": "reading and judging pages",
    "settled": "comparing URLs",
    "lost": "comparing spans",
    "shards": "writing shards",
}

T = TypeVar("T")
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class CorpusRequest:
    """A recipe before its input is known by content.

    Attributes:
        rules: and their lists.
        form: of the shards.
        shards: how many; None leaves it to the size of the input.
    """

    rules: Rules
    form: Format = "parquet"
    shards: int | None = None


@dataclass(frozen=True, kw_only=True)
class CorpusResult:
    """What came of it.

    Attributes:
        manifest: of the corpus, as it is in the folder; not there when it has no shards.
        workers: tasks at a time.
        started_at: Unix time in seconds.
        seconds: from there to the end.
        done: parts of steps that were done.
        found: parts that had been done before.
        deaths: workers that died.
        peak_bytes: of memory, of the largest worker, as its system counts it (resident, all of its life); 0 where
            nothing was done.
    """

    manifest: dict[str, Any]
    workers: int
    started_at: float
    seconds: float
    done: int
    found: int
    deaths: int
    peak_bytes: int


def run_corpus(
    paths: Sequence[Path | Place],
    out: Path | Output,
    request: CorpusRequest,
    *,
    books: Sequence[Path | Place] = (),
    work: Path | None = None,
    workers: int | None = None,
    address: str | None = None,
    report: Report | None = None,
) -> CorpusResult:
    """Cleans files into shards and a manifest in ``out``; goes on where an earlier run of the same was stopped.

    Args:
        paths: of the input, which all nodes see or can fetch.
        out: absolute folder, which all nodes see, or a store that all can write to.
        request: rules and form of the output.
        books: likewise, text that is taken whatever pages the request lists.
        work: absolute folder for the files between the steps, which all nodes see; None for ``out``.
        workers: tasks at a time; None for one for each CPU. It changes no byte of the output.
        address: of a running Ray, see ``connected``.
        report: gets lines of progress.

    Raises:
        ConfigError: the output holds another recipe's shards, or a node does not see it; a store as output and no
            ``work``; a worker dies at the same part again and again.
        DataError: pages were lost between nodes.
        OSError: the folder cannot be written.
    """
    started_at, started = time.time(), time.monotonic()
    out = out if isinstance(out, Output) else Output.of(out)
    base = work or out.folder
    if base is None:
        raise ConfigError(
            "out", out.shown, "the steps exchange files: give a folder for them that all nodes see: --work"
        )
    tell = report or (lambda line: None)
    with connected(address, num_cpus=workers) as connection:
        workers = workers or max(1, connection.cpus)
        tell(f"{len(paths) + len(books):,} files, {workers} workers on {connection.nodes} nodes")
        pool = _Pool(workers, tell)
        parts = parts_of(paths)
        listed_parts = len(parts)
        parts += parts_of(books)
        recipe, contents = _recipe(pool, parts, listed_parts, request)
        manifest = check_output(out, recipe.name)
        if manifest is None:
            with held_work(base, out, recipe) as folder:
                manifest = check_output(out, recipe.name)  # whoever held the folder before may have finished
                if manifest is None:
                    settings = _settings(out, folder, recipe, plan_of(recipe, parts, contents), tell)
                    manifest = _build(pool, {**settings, "listed_parts": listed_parts}, parts, recipe, out)
                shutil.rmtree(folder, ignore_errors=True)
        elif manifest["shards"]:
            tell(f"the corpus {recipe.name} is there already")
    return CorpusResult(
        manifest=manifest,
        workers=workers,
        started_at=started_at,
        seconds=time.monotonic() - started,
        done=pool.done,
        found=pool.found,
        deaths=pool.deaths,
        peak_bytes=pool.peak_bytes,
    )


def parts_of(paths: Sequence[Path | Place]) -> list[list[Place]]:
    """Returns the files in groups of neighbours with about as much text; it depends on the files alone.

    Raises:
        ConfigError: a file that cannot be read.
    """
    sizes = []
    places = list(map(place_of, paths))
    for path in places:
        try:
            sizes.append(text_bytes(path))
        except OSError as error:
            raise ConfigError("files", str(path), f"cannot be read: {error.strerror or error}") from error
    limit = max(_MIN_PART_BYTES, min(_MAX_PART_BYTES, sum(sizes) // _PARTS))
    parts: list[list[Place]] = []
    held = limit
    for path, size in zip(places, sizes, strict=True):
        if held + size > limit:
            parts.append([])
            held = 0
        parts[-1].append(path)
        held += size
    return parts


def plan_of(recipe: Recipe, parts: Sequence[Sequence[Place]], contents: Sequence[Sequence[str]]) -> str:
    """Returns a digest of what the files between the steps follow from; the names of files are in the output."""
    files = [
        [[path.name, content] for path, content in zip(part, known, strict=True)]
        for part, known in zip(parts, contents, strict=True)
    ]
    return hashlib.sha256(json.dumps([recipe.name, files]).encode()).hexdigest()[:16]


def _recipe(
    pool: "_Pool", parts: Sequence[Sequence[Place]], listed_parts: int, request: CorpusRequest
) -> tuple[Recipe, list[list[str]]]:
    contents: list[list[str]] = [[] for _ in parts]
    jobs = [(number, (part,)) for number, part in enumerate(parts)]

    def keep(number: int, found: list[str]) -> None:
        contents[number] = found if number < listed_parts else list(map(book_content, found))

    pool.run("hashing files", contents_of, jobs, keep)
    recipe = Recipe(
        rules=request.rules,
        content=joined_content(content for part in contents for content in part),
        form=request.form,
        shards=request.shards or shards_for([path for part in parts for path in part]),
    )
    return recipe, contents


def _settings(out: Output, folder: Path, recipe: Recipe, plan: str, tell: Report) -> dict[str, Any]:
    """Makes the folder for the files between the steps, or takes the one that is there if it is of the same plan."""
    file = folder / PLAN
    try:
        same = json.loads(file.read_text(encoding="utf-8"))["plan"] == plan
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        draft = folder / f"{PLAN}.part"
        draft.write_text(json.dumps({"plan": plan}), encoding="utf-8")
        draft.replace(file)
    else:
        tell(f"going on with the unfinished corpus {recipe.name}")
        shutil.rmtree(folder / ATTEMPTS, ignore_errors=True)
    return {
        "out": out.address,
        "work": str(folder),
        "recipe": recipe.name,
        "plan": plan,
        "rules": recipe.rules.to_dict(),
        "partitions": recipe.shards,
        "form": recipe.form,
    }


def _build(
    pool: "_Pool", settings: dict[str, Any], parts: Sequence[Sequence[Place]], recipe: Recipe, out: Output
) -> dict[str, Any]:
    import ray

    tally = Tally()
    shards: dict[int, dict[str, Any]] = {}

    def keep(number: int, result: dict[str, Any]) -> None:
        tally.add(Tally.from_dict(result["tally"]))
        pool.peak_bytes = max(pool.peak_bytes, result.get("peak_bytes", 0))
        if result["shard"] is not None:
            shards[number] = result["shard"]

    shared = ray.put(settings)
    by_size = sorted(range(len(parts)), key=lambda number: -sum(map(text_bytes, parts[number])))
    for step, what in _STEPS.items():
        if step == "lost" and not recipe.rules.config.span_sentences:
            continue
        todo: list[tuple[int, tuple[Any, ...]]] = []
        earlier = pool.found
        for number in by_size if step == "pages" else range(recipe.shards):
            result = found_result(settings, step, number)
            if result is None:
                files = parts[number] if step == "pages" else []
                todo.append((number, (shared, step, number, files)))
            else:
                pool.found += 1
                keep(number, result)
        pool.run(what, do_part, todo, keep, found=pool.found - earlier)
    check_books(tally, out, Path(settings["work"]))
    manifest = manifest_of(recipe, tally, [shards[number] for number in sorted(shards)])
    if shards:
        for name in leftovers(out, recipe.name):  # of a one-machine run that was killed
            out.remove(name)
        write_manifest(out, manifest, Path(settings["work"]))
    return manifest


class _Pool:
    """At most ``workers`` tasks in flight; what a dead worker had is handed out again."""

    def __init__(self, workers: int, tell: Report) -> None:
        self._workers, self._tell = workers, tell
        self.done = self.found = self.deaths = self.peak_bytes = 0

    def run(
        self,
        what: str,
        function: Callable[..., T],
        jobs: Iterable[tuple[int, tuple[Any, ...]]],
        keep: Callable[[int, T], None],
        found: int = 0,
    ) -> None:
        """Runs ``function`` on all jobs and gives each result to ``keep`` as it comes.

        Args:
            what: the jobs do, for people.
            function: a module's, imported by the workers.
            jobs: (number, arguments).
            keep: takes (number, result).
            found: jobs that are done already, for people.

        Raises:
            ConfigError: as the function; or a worker dies at the same job again and again.
        """
        import ray

        waiting = deque((number, given, 1) for number, given in jobs)
        total, finished, told_at = len(waiting) + found, found, time.monotonic()
        started = told_at
        task = ray.remote(function).options(
            num_cpus=1, max_retries=0, scheduling_strategy="SPREAD", name=f"t5grid-corpus: {what}"
        )
        flying: dict[Any, tuple[int, tuple[Any, ...], int]] = {}
        try:
            while waiting or flying:
                while waiting and len(flying) < self._workers:
                    job = waiting.popleft()
                    flying[task.remote(*job[1])] = job
                ready, _ = ray.wait(list(flying), num_returns=1, timeout=REPORT_INTERVAL_S)
                for reference in ready:
                    number, given, tries = flying.pop(reference)
                    try:
                        result = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise (error.cause if isinstance(error.cause, ConfigError | OSError) else error) from None
                    except ray.exceptions.RayError as error:
                        self._died(what, number, tries, error)
                        waiting.appendleft((number, given, tries + 1))
                    else:
                        keep(number, result)
                        finished += 1
                        self.done += function is do_part
                if time.monotonic() - told_at >= REPORT_INTERVAL_S and (waiting or flying):
                    told_at = time.monotonic()
                    self._tell(f"{what}: {finished:,} of {total:,}, {told_at - started:.0f} s")
        finally:
            for reference in flying:
                ray.cancel(reference, force=True)
        before = f", {found:,} of them before" if found else ""
        self._tell(f"{what}: {finished:,} of {total:,}{before}, {time.monotonic() - started:.1f} s")

    def _died(self, what: str, number: int, tries: int, error: Exception) -> None:
        self.deaths += 1
        name = type(error).__name__
        if tries >= MAX_TRIES:
            way_out = f"its worker died {tries} times ({name}): short of memory? Give fewer --workers or more --shards"
            raise ConfigError("corpus", f"{what}, part {number}", way_out) from error
        self._tell(f"{what}: the worker at part {number} died ({name}); another one does it")
