"""Fine-tuning methods of section 3.5.1 in whole runs: adapters, gradual unfreezing."""

import pytest
import torch
from small_run import MODEL, TRAIN, CopyFeed, Stopped, StoppingFeed, run_in

from t5core.config import TrainConfig
from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.adapters import adapter_parameters, with_adapters
from t5core.training import checkpoint
from t5core.training.trainable import num_trainable

DEEP = MODEL.replace(
    d_model=8, d_kv=4, num_heads=2, d_ff=8, vocab_size=48, num_encoder_layers=12, num_decoder_layers=12
)
BEFORE = 50  # pre-training's steps, where the counter goes on


def weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(before, after) -> set[str]:
    return {name for name in after if name not in before or not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A pre-trained checkpoint of the small model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("pretrained")
    run_in(folder, TRAIN.replace(steps=4)).run()
    return checkpoint.load(folder / "final")


@pytest.mark.parametrize("trainable", ["adapters_and_norms", "adapters"])
def test_adapters_train_and_what_they_were_added_to_does_not(pretrained, tmp_path, trainable):
    start = pretrained.model()
    model = with_adapters(start, adapter_size=16, seed=3)
    before, new = weights(model), adapter_parameters(model)
    assert len(new) == 3 * 4  # a norm and two matrices in each of 2 + 2 blocks
    assert {name: before[name] for name in before if name not in new}.keys() == weights(start).keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(start).items())
    config = TRAIN.replace(trainable=trainable, steps=5, checkpoint_every=2)
    more = {"moments": pretrained.optimizer(), "new": new, "first_step": 4}
    run = run_in(tmp_path / "straight", config, model=model, **more)
    norms = {name for name in before if "norm" in name}
    expected = new if trainable == "adapters" else new | norms
    moments = run.step.optimizer.moments
    assert {name.split("/")[0] for name in moments} == expected
    assert not any(moments[name].any() for name in moments if name.split("/")[0] in new)  # there were none before
    run.run()
    final = checkpoint.load(tmp_path / "straight" / "final").model()
    assert final.config.adapter_size == 16
    assert changed(before, weights(final)) == expected
    assert num_trainable(final.config, config) == sum(p.numel() for n, p in weights(final).items() if n in expected)

    again = with_adapters(start, adapter_size=16, seed=3)
    with pytest.raises(Stopped):
        run_in(tmp_path / "stopped", config, model=again, feed=StoppingFeed(3, config), **more).run()
    run_in(tmp_path / "stopped", config, model=again, **more).run()
    assert changed(weights(final), weights(checkpoint.load(tmp_path / "stopped" / "final").model())) == set()


def test_only_what_is_new_may_miss_its_moments(pretrained, tmp_path):
    model = with_adapters(pretrained.model(), adapter_size=16, seed=3)
    with pytest.raises(KeyError, match="adapter"):
        run_in(tmp_path, model=model, moments=pretrained.optimizer())
    fewer = {name: moment for name, moment in pretrained.optimizer().items() if "final_norm" not in name}
    with pytest.raises(KeyError, match="final_norm"):
        run_in(tmp_path, model=model, moments=fewer, new=adapter_parameters(model))


def test_a_model_gets_adapters_once(pretrained):
    model = with_adapters(pretrained.model(), adapter_size=4, seed=0)
    assert not model.training
    with pytest.raises(ConfigError, match="adapter_size=8: the model has adapters already: 4"):
        with_adapters(model, adapter_size=8, seed=0)


def layers_of(names: set[str], stack: str) -> set[int]:
    return {int(name.split(".")[2]) for name in names if name.startswith(f"{stack}.blocks.")}


def gradual(layers: int, episodes: int) -> tuple[TrainConfig, T5]:
    """A run of one step an episode."""
    config = TRAIN.replace(trainable="gradual", unfreezing_episodes=episodes, steps=episodes, checkpoint_every=100)
    model = DEEP.replace(num_encoder_layers=layers, num_decoder_layers=layers)
    return config, T5(model).initialise(0)


@pytest.mark.parametrize(("layers", "episodes"), [(12, 12), (2, 12), (2, 2), (3, 2)])
def test_in_each_episode_exactly_the_top_layers_change(tmp_path, layers, episodes):
    """Episode n of N trains the top ceil((n + 1) L / N) layers of both stacks, the embedding always."""
    config, model = gradual(layers, episodes)
    run = run_in(tmp_path, config, model=model)
    for now in range(episodes):
        before = weights(model)
        run.step(CopyFeed(config).batch(now), now)
        names = changed(before, weights(model))
        trained = -(-(now + 1) * layers // episodes)
        top = set(range(layers - trained, layers))
        for stack in ("encoder", "decoder"):
            assert layers_of(names, stack) == top, (now, stack)
            expected = {name for name in before if name.startswith(stack) and layers_of({name}, stack) & top}
            expected.add(f"{stack}.final_norm.weight")
            if trained == layers:
                expected.add(f"{stack}.position_bias.weight")
            assert {name for name in names if name.startswith(stack)} == expected, (now, stack)
        assert "embedding.weight" in names
    # by the end all have been trained
    assert num_trainable(model.config, config) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("at", [3, 5, 9])
def test_a_run_that_was_stopped_amid_its_episodes_ends_in_the_bits_of_one_that_was_not(tmp_path, at):
    config = TRAIN.replace(trainable="gradual", unfreezing_episodes=4, steps=12, checkpoint_every=2)
    run_in(tmp_path / "straight", config).run()
    with pytest.raises(Stopped):
        run_in(tmp_path / "stopped", config, feed=StoppingFeed(at, config)).run()
    run_in(tmp_path / "stopped", config).run()
    for name in (checkpoint.MODEL_FILE, checkpoint.OPTIMIZER_FILE):
        first, second = ((tmp_path / which / "final" / name).read_bytes() for which in ("straight", "stopped"))
        assert first == second


def test_fresh_moments_decay_by_the_runs_own_steps_and_the_rest_goes_on(pretrained, tmp_path):
    """The first step's decay is 0: the moments are the gradient's own squares, whatever step the counter is at."""
    config = TRAIN.replace(steps=3, fresh_moments=True, schedule=TRAIN.schedule.replace(warmup_steps=1))
    fresh = run_in(tmp_path / "fresh", config, model=pretrained.model(), first_step=BEFORE)
    decays = []
    inner = fresh.step.optimizer.step
    fresh.step.optimizer.step = lambda rate, decay: (decays.append(float(decay)), inner(rate, decay))[1]
    fresh.run()
    assert decays == pytest.approx([0.0, 1 - 2**-0.8, 1 - 3**-0.8])
    assert fresh.step.learning_rate(0) == pytest.approx(0.03 / BEFORE**0.5)
    assert checkpoint.load(tmp_path / "fresh" / "final").state["total_step"] == BEFORE + 3


def test_a_run_with_fresh_moments_that_was_killed_goes_on_with_its_own(pretrained, tmp_path):
    config = TRAIN.replace(steps=7, fresh_moments=True, checkpoint_every=3)
    run_in(tmp_path / "straight", config, model=pretrained.model(), first_step=BEFORE).run()
    with pytest.raises(Stopped):
        feed = StoppingFeed(5, config)
        run_in(tmp_path / "stopped", config, feed=feed, model=pretrained.model(), first_step=BEFORE).run()
    run_in(tmp_path / "stopped", config, model=pretrained.model(), first_step=BEFORE).run()
    straight, stopped = (checkpoint.load(tmp_path / name / "final") for name in ("straight", "stopped"))
    assert straight.state["sha256"] == stopped.state["sha256"]
