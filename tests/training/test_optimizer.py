import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from stdet.config import TrainConfig
from stdet.models.build import build_detector, build_motion_prior
from stdet.training.optimizer import (
    EMA_RAMP_STEPS,
    MovingAverage,
    build_optimizer,
    build_schedule,
)
from stdet.training.step import TrainingStep


@pytest.fixture
def step_module(tiny_model):
    config = tiny_model(motion_loss=True, motion_channels=4)
    return TrainingStep(build_detector(config), build_motion_prior(config), motion_weight=1.0)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_every_parameter_is_in_exactly_one_group(step_module, kind):
    optimizer = build_optimizer(step_module, TrainConfig(optimizer=kind), key_frames_per_step=64)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in step_module.parameters()}


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_batch_norm_and_biases_do_not_decay_and_convolutions_do(step_module, kind):
    config = TrainConfig(optimizer=kind, weight_decay=0.02)
    optimizer = build_optimizer(step_module, config, key_frames_per_step=64)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    seen = set()
    for module in step_module.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert decay[id(module.weight)] == decay[id(module.bias)] == 0
            seen.add("norm")
        elif isinstance(module, nn.Conv2d):
            assert decay[id(module.weight)] == 0.02
            if module.bias is not None:
                assert decay[id(module.bias)] == 0
                seen.add("bias")
    assert seen == {"norm", "bias"}
    assert decay[id(step_module.detector.temporal.pair_weights)] == 0


def test_rate_of_sgd_grows_with_the_batch_and_that_of_adamw_does_not(step_module):
    rates = {
        (kind, keys): build_optimizer(
            step_module, TrainConfig(optimizer=kind, learning_rate=0.01), key_frames_per_step=keys
        ).param_groups[0]["lr"]
        for kind in ("sgd", "adamw")
        for keys in (16, 64)
    }
    assert rates == pytest.approx(
        {("sgd", 16): 0.0025, ("sgd", 64): 0.01, ("adamw", 16): 0.01, ("adamw", 64): 0.01}
    )


def test_momentum_reaches_both_optimizers(step_module):
    config = TrainConfig(momentum=0.8)
    sgd = build_optimizer(step_module, config, key_frames_per_step=64)
    assert (sgd.param_groups[0]["momentum"], sgd.param_groups[0]["nesterov"]) == (0.8, True)
    config = TrainConfig(momentum=0.8, optimizer="adamw")
    adamw = build_optimizer(step_module, config, key_frames_per_step=64)
    assert adamw.param_groups[0]["betas"] == (0.8, 0.999)


def _rates(**changes):
    """The rate of every step and the one after the last, as fractions of the peak."""
    config = TrainConfig(epochs=5, **changes)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = build_schedule(optimizer, config, steps_per_epoch=4)
    rates = [optimizer.param_groups[0]["lr"] / 2.0]
    for _ in range(20):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"] / 2.0)
    return rates


def test_schedule_rises_linearly_to_the_peak_and_falls_on_a_cosine_to_the_end():
    rates = _rates(warmup_epochs=1.0, final_rate_fraction=0.1)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[12] == pytest.approx(0.1 + 0.9 * 0.5)  # Half-way between step 4 and step 20.
    assert rates[20] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[4:]))


def test_schedule_without_warm_up_starts_at_the_peak():
    assert _rates(warmup_epochs=0)[0] == 1


def test_warm_up_longer_than_the_run_only_rises():
    rates = _rates(warmup_epochs=50)
    assert all(a < b for a, b in pairwise(rates[:20]))
    assert rates[19] < 1


def _layer(value):
    norm = nn.BatchNorm2d(1)
    nn.init.constant_(norm.weight, value)
    norm.running_mean.fill_(value)
    return norm


def test_moving_average_follows_its_formula():
    average = MovingAverage(_layer(0.0), 0.9)
    wanted = 0.0
    for update in range(1, 6):
        average.update(_layer(float(update)))
        decay = 0.9 * (1 - math.exp(-update / EMA_RAMP_STEPS))
        wanted = decay * wanted + (1 - decay) * update
        assert average.module.weight.item() == pytest.approx(wanted, rel=1e-6)
        assert average.module.running_mean.item() == pytest.approx(wanted, rel=1e-6)
    assert average.num_updates == 5


def test_moving_average_copies_counters_and_does_not_touch_the_weights():
    layer = _layer(1.0)
    average = MovingAverage(layer, 0.5)
    layer.num_batches_tracked.fill_(7)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    average.update(layer)
    assert average.module.num_batches_tracked == 7
    assert layer.weight.item() == 3.0
    assert layer.training
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())


def test_moving_average_of_decay_zero_is_the_weights():
    average = MovingAverage(_layer(0.0), 0.0)
    average.update(_layer(5.0))
    assert average.module.weight.item() == 5.0
