"""Several studies as one plan: what ``t5grid run objectives,mixing`` and ``python studies/all.py`` do.

    names ──► studies ──► rows ──► one plan ──► stages on Ray, each once ──► a table and a report of each study

A stage that two studies need is one stage, whoever asked first. Each study's plan and report lie in the store under the
names that they have when the study runs alone, so ``t5grid report STUDY`` finds either. Flags hold for all of them.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.commands.console import exit_code, plain_console, say
from orchestrator.commands.finished import LEFT_TO_DO
from orchestrator.commands.flags import Options
from orchestrator.commands.plan_shown import show_plan
from orchestrator.commands.study import FREE_BYTES_WANTED, run_study, run_together
from orchestrator.engine.steering import held
from orchestrator.plan.cost import bytes_left
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, Study, globs_of, plan_of
from orchestrator.store import open_store
from t5core.arguments import OneLineParser
from t5core.errors import ConfigError

ALL = "all"
"""Stands for every study of a catalogue."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A study as a catalogue lists it.

    Attributes:
        name: of the study.
        study: the study; a function of the command line for one that has flags of its own.
        flags: adds these to the parser.
    """

    name: str
    study: Study | Callable[[Options], Study]
    flags: Callable[[OneLineParser], None] | None = None

    @classmethod
    def of(cls, study: Study) -> "Listed":
        """Lists a study without flags of its own."""
        return cls(name=study.name, study=study)

    def untouched_by(self, options: Options) -> bool:
        """Whether a command line says nothing of the study's own flags."""
        own = Options.parse("", [""], [], self.flags).more
        return all(options.more.get(name) == value for name, value in own.items())

    def made(self, options: Options) -> Study:
        """Returns the study for a command line."""
        return self.study if isinstance(self.study, Study) else self.study(options)


def main(
    catalogue: Sequence[Listed],
    scales: Mapping[str, Scale],
    names: str,
    argv: Sequence[str] | None = None,
    *,
    prog: str | None = None,
) -> int:
    """Runs some studies from the command line; returns the exit code.

    Args:
        catalogue: all studies that there are, in the order in which their tables come out.
        scales: by name.
        names: of the studies, with commas between them, or ``all``.
        argv: the flags; None for the process's own.
        prog: what the command is called.
    """

    def run() -> int:
        started_s = time.monotonic()
        chosen = chosen_of(names, catalogue)
        options = parse(chosen, scales, argv, prog=prog)
        studies = studies_of(chosen, options, catalogue)
        if len(studies) == 1:
            return run_study(studies[0], scales, options)
        return run_planned(planned(names, catalogue, scales, options), options, started_s)

    return exit_code(run)


def chosen_of(names: str, catalogue: Sequence[Listed]) -> tuple[Listed, ...]:
    """Returns the studies that a user names, in the catalogue's order.

    Raises:
        ConfigError: an unknown name, one that is there twice, none; two studies of the catalogue with one name.
    """
    known = [listed.name for listed in catalogue]
    _once(known, "two studies have this name: give one of them another")
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    _once(wanted, "it is there twice: name each study once")
    for name in wanted:
        if name not in (ALL, *known):
            way_out = f"there are {', '.join(known)}, and {ALL}"
            raise ConfigError("studies", name, way_out, choices=[*known, ALL])
    if not wanted or (ALL in wanted and len(wanted) > 1):
        raise ConfigError("studies", names, f"name studies, like {','.join(known[:2])}, or {ALL} alone")
    return tuple(listed for listed in catalogue if ALL in wanted or listed.name in wanted)


def parse(
    chosen: Sequence[Listed],
    scales: Mapping[str, Scale],
    argv: Sequence[str] | None,
    *,
    prog: str | None = None,
    more: Callable[[OneLineParser], None] | None = None,
) -> Options:
    """Reads the flags of some studies, their own among them; ``more`` adds others."""
    own = dict.fromkeys([listed.flags for listed in chosen if listed.flags] + ([more] if more else []))

    def add(parser: OneLineParser) -> None:
        for flags in own:
            flags(parser)

    title = f"One plan over {', '.join(listed.name for listed in chosen)}."
    return Options.parse(title, list(scales), argv, add, prog=prog)


def studies_of(chosen: Sequence[Listed], options: Options, catalogue: Sequence[Listed]) -> tuple[Study, ...]:
    """Returns the studies with the rows that ``--rows`` leaves, without those of which it leaves none.

    Raises:
        ConfigError: a part of ``--rows`` matches nothing; where it is a row of another study, that is said.
    """
    studies = tuple(listed.made(options) for listed in chosen)
    _once([study.name for study in studies], "two studies have this name: give one of them another")
    others = [listed for listed in catalogue if listed not in chosen]
    for glob in globs_of(options.rows) or [options.rows]:
        if not any(study.has(row.name, glob) for study in studies for row in study.rows):
            raise _no_row(glob, studies, others)
    globs = globs_of(options.rows)
    wanted = [s for s in studies if any(s.has(row.name, glob) for row in s.rows for glob in globs)]
    return tuple(study.select(options.rows) for study in wanted)


def _once(names: Sequence[str], way_out: str) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ConfigError("studies", twice, way_out)


def _no_row(glob: str, studies: Sequence[Study], others: Sequence[Listed]) -> ConfigError:
    """Says that a glob matches no row, and where there is a row that it would match."""
    elsewhere = [listed.name for listed in others if _would_have(listed, glob)]
    asked = ", ".join(study.name for study in studies)
    if elsewhere:
        way_out = f"a row of {' and '.join(elsewhere)}, and what is asked for is {asked}: add the study"
        return ConfigError("rows", glob, way_out)
    names = [f"{study.name}/{row.name}" for study in studies for row in study.rows]
    choices = names if "/" in glob else [name.partition("/")[2] for name in names]
    return ConfigError("rows", glob, f"matches no row of {asked}", choices=choices)


def _would_have(listed: Listed, glob: str) -> bool:
    study = listed.made(Options.parse("", [""], [], listed.flags))
    return any(study.has(row.name, glob) for row in study.rows)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Some studies expanded into one plan.

    Attributes:
        studies: of the plan.
        scale: with the flags of the command line.
        left_out: study of ``all`` that cannot be planned with these flags -> why.
    """

    studies: tuple[Study, ...]
    scale: Scale
    plan: Plan
    left_out: Mapping[str, str]

    def said(self) -> dict[str, str]:
        """Returns a line on the studies that were left out, if some were."""
        left = "; ".join(f"{name} ({why})" for name, why in self.left_out.items())
        return {"left out": left} if left else {}


def plan_over(
    studies: Sequence[Study], scales: Mapping[str, Scale], options: Options, optional: Collection[str] = ()
) -> Planned:
    """Returns one plan over the rows of all studies.

    Args:
        studies: in the order in which their rows stand in it.
        scales: by name.
        options: the command line.
        optional: names of studies that are left out where they cannot be planned.

    Raises:
        ConfigError: as ``Options.scale_of`` and ``plan_of``; seeds by the order of rows, over several studies.
    """
    seeds, rates = options.number_of_seeds, options.learning_rates
    if seeds.most is not None and len(studies) > 1:
        way_out = "seeds are added by the order of one study's rows: give a number for several studies"
        raise ConfigError("seeds", options.seeds, way_out)
    found: list[tuple[Study, Scale, Plan]] = []
    trouble: dict[str, ConfigError] = {}
    for study in studies:
        try:
            scale = options.scale_of(scales, study)
            more = seeds.first_more(study.baseline, study.own_seeds(scale, seeds.each))
            plan = plan_of(study, scale, seeds.each, first_seed=options.first_seed, more_seeds=more, rates=rates)
        except ConfigError as error:
            if study.name not in optional:
                raise
            trouble[study.name] = error
        else:
            found.append((study, scale, plan))
    if not found:  # what is wrong with all of them is no matter of one study
        raise next(iter(trouble.values()))
    whole = found[0][2]
    for _, _, plan in found[1:]:
        whole = whole.extended(plan)
    left_out = {name: str(error) for name, error in trouble.items()}
    return Planned(studies=tuple(study for study, _, _ in found), scale=found[0][1], plan=whole, left_out=left_out)


def planned(names: str, catalogue: Sequence[Listed], scales: Mapping[str, Scale], options: Options) -> Planned:
    """Returns the plan over the studies that a user names.

    Of ``all``, a study that cannot be planned with these flags is left out: on text of one's own, say, the corpora need
    lists. Where flags of its own are given it is wanted, and what is wrong with it is an error.
    """
    chosen = chosen_of(names, catalogue)
    optional = [listed.name for listed in chosen if names.strip() == ALL and listed.untouched_by(options)]
    return plan_over(studies_of(chosen, options, catalogue), scales, options, optional)


def run_planned(p: Planned, options: Options, started_s: float) -> int:
    """Checks, runs and compares what was planned of several studies; raises ConfigError for what cannot be run."""
    store = open_store(options.store)
    console = plain_console(to_stderr=options.json)
    finished = held(p.plan, store)
    if options.finished_only and len(finished) < len(p.plan.stages):
        return LEFT_TO_DO
    if options.plan:
        return show_plan(p.plan, store, console, as_json=options.json)
    if len(finished) < len(p.plan.stages):
        store.check_writable(FREE_BYTES_WANTED + bytes_left(p.plan, finished))
    say(console, **p.said())
    return run_together(p.studies, p.scale, p.plan, finished, store, options, console, started_s).code
