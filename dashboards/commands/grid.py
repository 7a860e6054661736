"""``t5grid run``, ``plan`` and ``explain``: the studies of the catalogue from one command line.

The studies stand first, then the flags that every study has, and their own: they hold for all.
"""

import json
from collections.abc import Mapping, Sequence

from orchestrator.commands.console import exit_code, plain_console
from orchestrator.commands.grid import chosen_of, main, parse, planned
from orchestrator.commands.grid_plan import compared, device_of, grid_plan_json, render_grid_plan
from orchestrator.store import open_store
from studies.catalogue import CATALOGUE
from studies.scales import SCALES
from t5core.arguments import OneLineParser, real_number
from t5core.errors import ConfigError

_FORMS: Mapping[str, str] = {
    "run": "t5grid run STUDY,STUDY|all [flags]",
    "plan": "t5grid plan STUDY,STUDY|all [--price P] [--device D] [--diff OLD.json] [flags]",
    "explain": "t5grid explain STAGE|STUDY/ROW [flags]",
}


def grid_command(verb: str, argv: Sequence[str]) -> int:
    """Runs ``run``, ``plan`` or ``explain``; returns its exit code."""
    return exit_code(lambda: _command(verb, list(argv)))


def _command(verb: str, argv: list[str]) -> int:
    if argv and argv[0] in ("-h", "--help"):
        names = ", ".join(listed.name for listed in CATALOGUE)
        print(f"usage: {_FORMS[verb]}\n\nstudies: {names}\nflags: t5grid {verb} STUDY --help")
        return 0
    if not argv or argv[0].startswith("-"):
        raise ConfigError("arguments", " ".join(argv), f"what it is about comes first: {_FORMS[verb]}")
    about, *flags = argv
    match verb:
        case "run":
            return main(CATALOGUE, SCALES, about, flags, prog="t5grid run")
        case "plan":
            return _plan(about, flags)
        case _:
            from dashboards.commands.explain import explain

            return explain(about, flags)


def _plan_flags(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--price", metavar="P", help="what an hour of one device costs: money per row and in all")
    add("--device", metavar="D", help="count hours by its rate: cpu, H100, ... (default: one that was measured)")
    add("--diff", metavar="OLD.json", help="what is new, gone or changed since that plan, and by which field")


def _plan(names: str, flags: Sequence[str]) -> int:
    options = parse(chosen_of(names, CATALOGUE), SCALES, flags, prog="t5grid plan", more=_plan_flags)
    more = options.more
    price = None if more["price"] is None else real_number("price", more["price"], "give a number: what an hour costs")
    found = planned(names, CATALOGUE, SCALES, options)
    store = open_store(options.store)
    device = device_of(more["device"], price, store, sum(stage.cost for stage in found.plan.stages.values()))
    diff = None if more["diff"] is None else compared(found.plan, more["diff"])
    if options.json:
        values = grid_plan_json(found.plan, store, device, left_out=found.left_out, diff=diff)
        print(json.dumps(values, indent=1, ensure_ascii=False))
    else:
        console = plain_console(to_stderr=False)
        render_grid_plan(found.plan, store, device, console, left_out=found.left_out, diff=diff)
    return 0
