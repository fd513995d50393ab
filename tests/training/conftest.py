"""A run so small that a test can afford several: 64 x 64 generated frames, three epochs."""

import pytest
from scenes import SyntheticConfig

from stdet.config import AugmentConfig, StdetConfig, TrainConfig


@pytest.fixture
def tiny_run(tmp_path, tiny_model, write_coco_split):
    """Write the data set and build its StdetConfig; keyword arguments go to TrainConfig."""
    sequences = [
        SyntheticConfig(name=name, seed=seed, num_frames=8, hw=(64, 64), num_targets=1)
        for seed, name in enumerate(("one", "two", "held_out"))
    ]
    data = write_coco_split(
        tmp_path / "data", sequences, validation_sequences=("held_out",), window_extra=1
    )

    def build(*, model=None, augment=None, **changes):
        values = {
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 0.05,
            "warmup_epochs": 0.5,
            "ema_decay": 0.9,
            "device": "cpu",
            "augment": augment or AugmentConfig(),
        }
        model = model or tiny_model(motion_loss=True, motion_channels=4)
        return StdetConfig(data=data, model=model, train=TrainConfig(**(values | changes)))

    return build
