"""What a table should be read with: lines about data that was cut, short or unreadable."""

from orchestrator.engine.outcomes import Finished, Outcomes
from orchestrator.plan.plan import EVALUATED, LIKELIHOOD, Plan
from t5core.uris import masked


def notes_on(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns all lines that a table should be read with."""
    return (
        *left_out_text(plan, outcomes),
        *short_sources(plan, outcomes),
        *cut_examples(plan, outcomes),
        *cut_answers(plan, outcomes),
        *unreadable_outputs(plan, outcomes),
        *metric_notes(plan, outcomes),
        *chosen_checkpoints(plan, outcomes),
    )


def left_out_text(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line for each corpus of which reading skipped, mended or left out something."""
    told = []
    for key, stage in plan.stages.items():
        outcome = outcomes[key]
        if stage.kind != "corpus" or not isinstance(outcome, Finished):
            continue
        counts = {name: count for name, count in outcome.manifest.result.items() if ":" in name and count}
        if counts:
            corpus = stage.settings["corpus"]
            where = ", ".join(map(masked, corpus["paths"])) or corpus["source"]
            read = f"{outcome.manifest.result['documents']:,} documents of {where}"
            found = (f"{count:,} {name.replace(':', ' ').replace('_', ' ')}" for name, count in counts.items())
            told.append(f"text: {read}; beside them {', '.join(found)}")
    return tuple(told)


def cut_examples(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line about training examples that are longer than the scale's lengths."""
    shares: dict[str, float] = {}
    for key in plan.stages:
        outcome = outcomes[key]
        if isinstance(outcome, Finished):
            for task, share in outcome.manifest.result.get("cut", {}).items():
                shares[task] = max(shares.get(task, 0.0), share)
    told = [f"{task} {share:.0%}" for task, share in shares.items() if share >= 0.005]
    return (f"training examples that were cut to the scale's lengths: {', '.join(told)}",) if told else ()


def cut_answers(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line about right answers of whose likelihood only the beginning was taken."""
    told: dict[str, str] = {}
    for key, stage in plan.stages.items():
        outcome = outcomes[key]
        if stage.kind == LIKELIHOOD and isinstance(outcome, Finished):
            result, limit = outcome.manifest.result, stage.settings["likelihood"]["max_target_tokens"]
            told |= {
                task: f"{task} {count:,} of {result['examples'][task]:,} (above {limit:,} tokens)"
                for task, count in result["truncated"].items()
                if count
            }
    return (f"answers whose bits are those of their beginning: {', '.join(told.values())}",) if told else ()


def unreadable_outputs(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line about outputs that are nothing a target can be, of the row with the most for each task."""
    worst: dict[str, tuple[int, str]] = {}
    for row in plan.rows:
        for evaluated in map(outcomes.__getitem__, row.of_role(EVALUATED)):
            if isinstance(evaluated, Finished):
                for task, count in evaluated.manifest.result["invalid"].items():
                    worst[task] = max(worst.get(task, (0, "")), (count, row.called))
    told = [f"{task} {count} ({row})" for task, (count, row) in worst.items() if count]
    return (f"outputs that are no possible answer count as wrong; at most: {', '.join(told)}",) if told else ()


def metric_notes(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line for each task whose metric does not see its targets as they are."""
    told: dict[str, str] = {}
    for row in plan.rows:
        for evaluated in map(outcomes.__getitem__, row.of_role(EVALUATED)):
            if isinstance(evaluated, Finished):
                told |= evaluated.manifest.result.get("notes", {})
    return tuple(f"{task}: {note}" for task, note in told.items())


def chosen_checkpoints(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line where scores are those of the best of several checkpoints; of some rows only, it warns."""
    most: dict[str, int] = {}
    for row in plan.rows:
        for evaluated in map(outcomes.__getitem__, row.of_role(EVALUATED)):
            if isinstance(evaluated, Finished):
                at = evaluated.manifest.result.get("main_scores_at", {})
                most[row.called] = max([most.get(row.called, 1), *map(len, at.values())])
    chosen = [name for name, count in most.items() if count > 1]
    if not chosen:
        return ()
    some = "" if len(chosen) == len(most) else f" of {', '.join(chosen)}"
    against = "" if not some else ", which flatters them against the rows that had no choice"
    best = f"scores{some} are of each task's best of {max(most.values())} checkpoints"
    return (f"{best}, chosen by the examples that are reported: too high by luck, as the paper's are{against}",)


def short_sources(plan: Plan, outcomes: Outcomes) -> tuple[str, ...]:
    """Returns a line for each corpus that had less text than its part of the vocabulary's."""
    told = []
    for key, stage in plan.stages.items():
        outcome = outcomes[key]
        if stage.kind != "vocabulary" or not isinstance(outcome, Finished):
            continue
        drawn = outcome.manifest.result.get("sources", ())
        used, wanted = (sum(source[name] for source in drawn) for name in ("chars", "wanted_chars"))
        for source in drawn:
            if source["found_chars"] < source["wanted_chars"]:
                corpus = plan.stages[source["corpus"]].settings["corpus"]
                where = ", ".join(map(masked, corpus["paths"])) or corpus["source"]
                told.append(
                    f"vocabulary: {where} has {source['found_chars']:,} characters where its part would be "
                    f"{source['wanted_chars']:,}; to keep the proportions, {used:,} of {wanted:,} were trained on"
                )
    return tuple(told)
