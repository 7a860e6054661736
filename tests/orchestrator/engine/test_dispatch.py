"""The state machine behind every run of a plan: refusals, and plans that grow."""

from orchestrator.engine.dispatch import Assignment, Dispatcher, Stop, Wait
from orchestrator.engine.events import StageFinished
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage


def test_a_refusal_is_the_reason_also_of_what_waited_for_the_stopped_lanes() -> None:
    corpus, tasks = Stage.of("corpus", "c"), Stage.of("tasks", "t")
    tokens = Stage.of("tokens", "k", inputs={"corpus": corpus})
    plan = Plan.of("s", "tiny", [(PlannedRow(name="row"), {"corpus": corpus, "tasks": tasks, "tokens": tokens})])
    dispatcher = Dispatcher(plan, set(), num_lanes=2, max_attempts=2)
    for lane in ("a", "b"):
        dispatcher.join(lane, lane)
        dispatcher.take(lane, lane, 0, preparatory="too")
    dispatcher.failed("b", "b", tasks.key, "their data changed", 0.0, retry=False)
    dispatcher.interrupted("a", "a", corpus.key, 0.0)
    dispatcher.no_lanes_left()
    reports = dispatcher.reports()
    assert dispatcher.is_over() and reports[tasks.key].refused
    assert {reports[key].because for key in (corpus.key, tokens.key)} == {tasks.key}


def test_a_lane_takes_every_look_at_a_model_before_it_goes_on_to_another() -> None:
    rows = []
    for name in "ab":
        pretrain = Stage.of("pretrain", name, cost=5.0, row=name)
        finetune = Stage.of("finetune", name, cost=3.0, inputs={"pretrain": pretrain}, row=name)
        looks = {kind: Stage.of(kind, name, inputs={"trained": finetune}) for kind in ("evaluate", "likelihood")}
        rows.append((PlannedRow(name=name), {"pretrain": pretrain, "finetune": finetune, **looks}))
    dispatcher = Dispatcher(Plan.of("s", "tiny", rows), set(), num_lanes=1, max_attempts=1)
    dispatcher.join("lane", "first")
    taken = []
    for turn in range(8):
        given = dispatcher.take("lane", "first", turn, preparatory="too")
        assert isinstance(given, Assignment)
        taken.append(f"{given.stage.kind} {given.stage.name}")
        dispatcher.started("lane", "first", given.stage.key)
        dispatcher.finished("lane", "first", given.stage.key, 1.0, cached=False)
    looks = ["pretrain", "finetune", "evaluate", "likelihood"]
    assert taken == [f"{kind} {row}" for row in "ab" for kind in looks]


def test_a_plan_that_may_grow_keeps_its_lanes_until_it_is_sealed() -> None:
    first, second = Stage.of("pretrain", "a", seed=0), Stage.of("pretrain", "b", seed=1)
    third = Stage.of("finetune", "c", inputs={"pretrain": second})
    plan = Plan.of("s", "tiny", [(PlannedRow(name="row"), {"pretrain": first})])
    dispatcher = Dispatcher(plan, {first.key}, num_lanes=1, max_attempts=1, open_ended=True)
    dispatcher.join("a", "a")
    fresh, cursor = dispatcher.events(0)
    assert [event.key for event in fresh if isinstance(event, StageFinished)] == [first.key], "what was there is told"
    assert isinstance(dispatcher.take("a", "a", 0, preparatory="too"), Wait) and not dispatcher.is_over()
    more = Plan.of("s", "tiny", [(PlannedRow(name="row"), {"pretrain": second, "finetune": third})])
    dispatcher.extend(more, {second.key})
    assert [event.key for event in dispatcher.events(cursor)[0]] == [second.key]
    given = dispatcher.take("a", "a", 0, preparatory="too")
    assert isinstance(given, Assignment) and given.stage == third and given.inputs == {"pretrain": second}
    dispatcher.started("a", "a", third.key)
    dispatcher.failed("a", "a", third.key, "broken", 0.0, retry=False)
    fourth = Stage.of("evaluate", "d", inputs={"trained": third})
    dispatcher.extend(
        Plan.of("s", "tiny", [(PlannedRow(name="x"), {"p": second, "f": third, "e": fourth})]), {second.key}
    )
    assert dispatcher.reports()[fourth.key].because == third.key, "what reads a failed stage is skipped"
    dispatcher.seal()
    assert dispatcher.is_over() and isinstance(dispatcher.take("a", "a", 1, preparatory="too"), Stop)
