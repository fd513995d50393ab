import pytest
from scenes import SyntheticConfig

from stdet.config import AugmentConfig, StdetConfig, TrainConfig
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import score_sequences
from stdet.inference.checkpoint import load_detector
from stdet.inference.detector import Detector
from stdet.inference.trained_network import network_of_weights
from stdet.training.trainer import Trainer


@pytest.mark.slow
def test_tiny_model_learns_one_sequence_by_heart(tmp_path, tiny_model, write_coco_split):
    # Of a seed whose two targets stay 40 px apart: those of some seeds cross, under one box.
    scene = SyntheticConfig(
        seed=5, num_frames=16, hw=(64, 64), num_targets=2, num_hot_spots=2, name="scene"
    )
    data = write_coco_split(tmp_path / "data", [scene], window_extra=3)
    model = tiny_model(width=1 / 8, temporal={"residual": True}, pyramid={"channels": 16})
    config = StdetConfig(
        data=data,
        model=model,
        train=TrainConfig(
            epochs=100,
            batch_size=1,
            optimizer="adamw",
            learning_rate=4e-3,
            momentum=0.9,
            weight_decay=0.0,
            ema_decay=0.0,
            warmup_epochs=1,
            validate_every=1000,
            device="cpu",
            augment=AugmentConfig(horizontal_flip=0.0),
        ),
    )
    sequences = load_sequences(data, "train")
    run_dir = tmp_path / "run"
    trainer = Trainer(config, train_sequences=sequences, validation_sequences=[], run_dir=run_dir)
    result = trainer.run()

    detector, weights = load_detector(str(result.last_weights))
    trained = Detector.from_network(network_of_weights(detector, weights, device="cpu"))
    scored = score_sequences(trained, weights.config, sequences, title="by heart")
    assert scored.summary()["pd"] == 1.0
    assert scored.summary()["false_alarms_per_frame"] == 0.0
    assert scored.map50 > 0.9
