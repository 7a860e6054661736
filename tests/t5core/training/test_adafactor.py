import pytest
import torch
from torch import nn

from t5core.config import OptimizerConfig
from t5core.errors import ConfigError
from t5core.training import AdaFactor


def test_only_matrices_with_two_large_sides_are_factored():
    shapes = {"large": (128, 130), "narrow": (127, 500), "vector": (300,)}
    optimizer = AdaFactor((name, nn.Parameter(torch.ones(shape))) for name, shape in shapes.items())
    assert {name: tuple(m.shape) for name, m in optimizer.moments.items()} == {
        "large/rows": (128,),
        "large/columns": (130,),
        "narrow/full": (127, 500),
        "vector/full": (300,),
    }


def test_the_decay_starts_at_0_and_grows_with_the_step():
    optimizer = AdaFactor([])
    assert optimizer.decay(0) == 0.0
    assert optimizer.decay(1) == pytest.approx(1 - 2**-0.8)
    assert optimizer.decay(524_287) == pytest.approx(1 - 2.0 ** (-19 * 0.8))


def test_a_first_update_has_the_size_of_the_rate_times_the_parameters_own():
    p = nn.Parameter(torch.full((50,), 2.0))
    p.grad = torch.full((50,), 1e-5)
    AdaFactor([("p", p)]).step(torch.tensor(0.01), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), 2.0 - 0.01 * 2.0))


def test_a_parameter_of_zeros_can_leave_zero():
    p = nn.Parameter(torch.zeros(50))
    p.grad = torch.ones(50)
    AdaFactor([("p", p)]).step(torch.tensor(1.0), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), -1e-3))


def test_without_parameter_scale_the_rate_is_absolute():
    p = nn.Parameter(torch.full((50,), 2.0))
    p.grad = torch.ones(50)
    config = OptimizerConfig(multiply_by_parameter_scale=False)
    AdaFactor([("p", p)], config).step(torch.tensor(0.5), torch.tensor(0.0))
    torch.testing.assert_close(p.detach(), torch.full((50,), 1.5))


def test_parameters_without_a_gradient_stay_and_gradients_are_dropped():
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    used.grad = torch.ones(3)
    AdaFactor([("used", used), ("unused", unused)]).step(torch.tensor(0.1), torch.tensor(0.0))
    assert torch.equal(unused.detach(), torch.ones(3))
    assert not torch.equal(used.detach(), torch.ones(3))
    assert used.grad is None


def test_a_state_taken_over_goes_on_in_the_same_bits_and_a_gap_in_it_is_noticed():
    torch.manual_seed(0)
    config = OptimizerConfig(min_dim_size_to_factor=2)
    start = {"matrix": torch.randn(4, 6), "vector": torch.randn(5)}
    grads = [{name: torch.randn_like(value) for name, value in start.items()} for _ in range(6)]

    def advance(parameters, optimizer, steps):
        for i in steps:
            for name, p in parameters.items():
                p.grad = grads[i][name].clone()
            optimizer.step(torch.tensor(0.01), torch.tensor(optimizer.decay(i)))

    straight = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    first = AdaFactor(straight.items(), config)
    advance(straight, first, range(3))
    resumed = {name: nn.Parameter(p.detach().clone()) for name, p in straight.items()}
    second = AdaFactor(resumed.items(), config)
    second.load_moments({name: moment.clone() for name, moment in first.moments.items()})
    advance(straight, first, range(3, 6))
    advance(resumed, second, range(3, 6))
    assert all(torch.equal(straight[name], resumed[name]) for name in start)
    with pytest.raises(KeyError, match="vector/full"):
        second.load_moments({"matrix/rows": torch.zeros(4), "matrix/columns": torch.zeros(6)})


def trained(step, *, given=lambda p: [("p", p)], **options):
    """A small matrix after six steps, as ``step(optimizer, i)`` takes them."""
    torch.manual_seed(1)
    p = nn.Parameter(torch.randn(4, 6))
    optimizer = AdaFactor(given(p), **options)
    for i in range(6):
        p.grad = torch.randn(4, 6)
        step(optimizer, i)
    return p.detach()


def told(optimizer, i):
    optimizer.step(torch.tensor(0.01), torch.tensor(optimizer.decay(i)))


def test_numbers_do_as_well_as_tensors():
    by_numbers = trained(lambda optimizer, i: optimizer.step(0.01, optimizer.decay(i)))
    torch.testing.assert_close(by_numbers, trained(told), rtol=0, atol=1e-7)


def test_steps_that_are_not_told_a_decay_are_counted():
    counted = trained(lambda optimizer, i: optimizer.step(0.01))
    assert torch.equal(counted, trained(lambda optimizer, i: optimizer.step(0.01, optimizer.decay(i))))

    def from_step_10(optimizer, i):
        optimizer.steps = max(optimizer.steps, 10)
        optimizer.step(0.01)
        assert optimizer.steps == 11 + i

    assert torch.equal(trained(from_step_10), trained(lambda o, i: o.step(0.01, o.decay(10 + i))))


@pytest.mark.parametrize("given", [lambda p: {"p": p}, lambda p: [p], lambda p: iter([("q", p)])])
def test_parameters_come_named_or_alone(given):
    assert torch.equal(trained(told, given=given), trained(told))


def test_settings_can_be_given_one_by_one():
    by_name = AdaFactor([nn.Parameter(torch.ones(4, 6))], OptimizerConfig(epsilon2=0.1), min_dim_size_to_factor=0)
    assert by_name.config == OptimizerConfig(epsilon2=0.1, min_dim_size_to_factor=0)
    assert set(by_name.moments) == {"0/rows", "0/columns"}
    with pytest.raises(ConfigError, match="min_dim_to_factor"):
        AdaFactor([], min_dim_to_factor=0)


@pytest.mark.parametrize("limit", [0, 128])
def test_a_compiler_can_take_the_arithmetic_whole(limit):
    torch.manual_seed(2)
    start, grad = torch.randn(4, 6), torch.randn(4, 6)
    plain, compiled = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    for p, wrap in ((plain, lambda f: f), (compiled, lambda f: torch.compile(f, backend="eager", fullgraph=True))):
        optimizer = AdaFactor([p], min_dim_size_to_factor=limit)
        update = wrap(optimizer.update)
        for i in range(3):
            p.grad = grad.clone()
            update(torch.tensor(0.01), torch.tensor(optimizer.decay(i)))
    torch.testing.assert_close(compiled.detach(), plain.detach(), rtol=0, atol=1e-6)


def test_it_is_a_torch_optimizer_with_groups_schedulers_and_a_state_of_its_own():
    """What torch's and Hugging Face's loops ask of one."""

    def made():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.Linear(6, 2))
        groups = [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[1].parameters()}]
        return model, AdaFactor(groups, lr=0.01)

    def run(model, optimizer, scheduler, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.ones(3, 4)).square().mean().backward()
            optimizer.step()
            scheduler.step()

    def scheduled(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

    straight, optimizer = made()
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.01]
    run(straight, optimizer, scheduled(optimizer), 5)
    assert optimizer.steps == 5
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02 / 6, 0.01 / 6])

    half, before = made()
    scheduler = scheduled(before)
    run(half, before, scheduler, 2)
    resumed, after = made()
    resumed.load_state_dict(half.state_dict())
    later = scheduled(after)
    after.load_state_dict(before.state_dict())
    assert after.steps == 2
    later.load_state_dict(scheduler.state_dict())
    run(resumed, after, later, 3)
    for one, other in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert all(torch.equal(v, after.moments[name]) for name, v in optimizer.moments.items())


def test_a_step_takes_a_function_that_computes_the_loss_anew():
    p = nn.Parameter(torch.ones(3))
    optimizer = AdaFactor([p], lr=0.5)

    def closure():
        loss = p.square().sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 3.0
    assert optimizer.steps == 1 and float(p[0].detach()) == 0.5
