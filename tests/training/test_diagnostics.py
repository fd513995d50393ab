import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stdet.config import save_config
from stdet.datasets.splits import load_sequences
from stdet.inference.checkpoint import load_weights
from stdet.models.build import build_detector, num_input_channels
from stdet.training.diagnostics import draw_features, measure_gradients
from stdet.training.run import train
from stdet.training.trainer import Trainer


def _trainer(config, tmp_path):
    sequences = load_sequences(config.data, "train")
    return Trainer(
        config, train_sequences=sequences, validation_sequences=[], run_dir=tmp_path / "run"
    )


def _measure(config, tmp_path, prepare=lambda module: module):
    trainer = _trainer(config, tmp_path)
    prepare(trainer.step_module)
    batch = next(iter(trainer.loader))
    places = (trainer.context, trainer.keys)
    return trainer, batch, measure_gradients(trainer.step_module, batch, places)


def _model(tiny_model, **pyramid):
    return tiny_model(num_stages=4, motion_loss=True, motion_channels=4, pyramid=pyramid)


def _losses(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k != "validation_s"} for x in lines]


def test_training_with_diagnostics_gives_the_same_numbers(tiny_run, tmp_path):
    plain, watched = tmp_path / "plain", tmp_path / "watched"
    train(tiny_run(epochs=2), run_dir=plain)
    train(tiny_run(epochs=2, diagnostics=True), run_dir=watched)
    assert _losses(watched) == _losses(plain)
    wanted = load_weights(plain / "last.safetensors").state
    found = load_weights(watched / "last.safetensors").state
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_run_leaves_a_line_an_image_and_scalars_for_every_epoch(tiny_run, tmp_path):
    run_dir = tmp_path / "run"
    train(tiny_run(epochs=2, diagnostics=True), run_dir=run_dir)
    records = [
        json.loads(line) for line in (run_dir / "diagnostics.jsonl").read_text().splitlines()
    ]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[0]["sources"].keys() == {"detection", "motion"}
    images = sorted((run_dir / "features").iterdir())
    assert [path.name for path in images] == ["epoch0001.png", "epoch0002.png"]
    assert np.asarray(Image.open(images[0])).std() > 0
    events = EventAccumulator(str(run_dir)).Reload()
    tag = "gradients/sources/detection/parts/shortcut"
    assert [event.step for event in events.Scalars(tag)] == [1, 2]
    assert events.Scalars(tag)[0].value == pytest.approx(
        records[0]["sources"]["detection"]["parts"]["shortcut"], rel=1e-6
    )
    assert "features" in events.Tags()["images"]


def test_resumed_run_ends_with_the_same_diagnostics(tiny_run, tmp_path, monkeypatch):
    config = tiny_run(epochs=2, diagnostics=True)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config, run_dir=whole)
    original, calls = Trainer._save, []

    def dying(self):
        calls.append(None)
        if len(calls) == 2:  # The second epoch is measured, but its resume file is not written.
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", dying)
        with pytest.raises(KeyboardInterrupt):
            train(config, run_dir=killed)
    train(config, run_dir=killed)
    name = "diagnostics.jsonl"
    assert (killed / name).read_text() == (whole / name).read_text()


def test_shares_add_up_and_norms_are_those_of_autograd(tiny_run, tiny_model, tmp_path):
    config = tiny_run(model=_model(tiny_model, dgr={"type": "consistency"}))
    trainer, batch, found = _measure(config, tmp_path)
    assert found["sources"].keys() == {"detection", "motion", "consistency"}
    for source in found["sources"].values():
        assert sum(source["parts"].values()) == pytest.approx(1)
        assert sum(source["levels"].values()) == pytest.approx(1)
    assert sum(found["source_shares"].values()) == pytest.approx(1)
    module = trainer.step_module.train()
    terms = module.losses(batch.frames, trainer.context, trainer.keys, batch.targets)
    terms.motion.backward()
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    norm = torch.cat([grad.flatten() for grad in grads]).norm().item()
    motion = found["sources"]["motion"]
    assert motion["norm"] == pytest.approx(norm, rel=1e-4)
    # The motion loss sits on the pyramid: temporal module and head get nothing from it.
    assert motion["parts"]["head"] == motion["parts"]["temporal"] == 0
    stage = torch.cat([p.grad.flatten() for p in module.detector.backbone.stages[1].parameters()])
    total = norm * 0 + sum(
        _part_norm(module, prefixes)
        for prefixes in (
            ("detector.backbone.stem",), ("detector.backbone.stages.0",),
            ("detector.backbone.stages.1",), ("detector.backbone.stages.2",),
            ("detector.neck.shortcut",), ("detector.neck.pyramid",), ("prior",),
        )
    )  # fmt: skip
    assert motion["parts"]["C3"] == pytest.approx(stage.norm().item() / total, rel=1e-4)


def _part_norm(module, prefixes):
    grads = [
        p.grad.flatten()
        for name, p in module.named_parameters()
        if name.startswith(prefixes) and p.grad is not None
    ]
    return torch.cat(grads).norm().item()


def test_levels_hand_their_gradients_on_and_an_isolated_shortcut_hands_nothing(
    tiny_run, tiny_model, tmp_path, started
):
    shares = {}
    for is_isolated in (True, False):
        config = tiny_run(model=_model(tiny_model, gils={"isolated": is_isolated}))
        found = _measure(config, tmp_path, started)[2]["sources"]["detection"]
        assert list(found["levels"]) == ["C1 by shortcut", "C2", "C3", "C4"]
        assert -1 <= found["cosines"]["C2 and C3"] <= 1
        shares[is_isolated] = found
    assert shares[True]["levels"]["C1 by shortcut"] == 0
    assert shares[True]["cosines"]["C1 by shortcut and C2"] is None
    assert shares[True]["parts"]["shortcut"] > 0
    assert shares[False]["levels"]["C1 by shortcut"] > 0
    assert shares[False]["cosines"]["C1 by shortcut and C2"] is not None


def test_detached_laterals_hand_nothing(tiny_run, tiny_model, tmp_path):
    model = _model(tiny_model, dgr={"type": "lateral_scale", "scale": 0.0})
    levels = _measure(tiny_run(model=model), tmp_path)[2]["sources"]["detection"]["levels"]
    assert levels == {"C1 by shortcut": 0, "C2": 0, "C3": 0, "C4": 1}


@pytest.mark.parametrize("kind", ["fpn", "high_resolution", "hourglass"])
def test_other_pyramids_are_measured_too(tiny_run, tiny_model, tmp_path, kind):
    found = _measure(tiny_run(model=_model(tiny_model, type=kind)), tmp_path)[2]
    first = "C1" if kind == "high_resolution" else "C2"
    assert next(iter(found["sources"]["detection"]["levels"])) == first
    assert "shortcut" not in found["sources"]["detection"]["parts"]


def test_measuring_leaves_weights_statistics_and_random_numbers_alone(tiny_run, tmp_path):
    trainer = _trainer(tiny_run(), tmp_path)
    before = {name: value.clone() for name, value in trainer.step_module.state_dict().items()}
    batch = next(iter(trainer.loader))
    state = torch.random.get_rng_state()
    measure_gradients(trainer.step_module, batch, (trainer.context, trainer.keys))
    draw_features(trainer.step_module, batch.frames[0, :1])
    assert torch.equal(torch.random.get_rng_state(), state)
    after = trainer.step_module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(p.grad is None for p in trainer.step_module.parameters())


def test_image_shows_the_frame_and_three_maps(tiny_run, tmp_path):
    trainer = _trainer(tiny_run(), tmp_path)
    grid = draw_features(trainer.step_module, next(iter(trainer.loader)).frames[0, :1])
    # Four tiles of 256 px (64 px frame x 4, 16 px maps x 16) with 4 px between, 18 px of title.
    assert grid.shape == (18 + 256, 4 * (256 + 4))
    assert grid.dtype == np.uint8


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tiny_run, tmp_path):
    config_path = tmp_path / "config.yaml"
    save_config(tiny_run(epochs=1, learning_rate=0.005, diagnostics=True), config_path)
    found = {}
    for name, launcher in {
        "one": [],
        "two": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    }.items():
        command = ["-m", "stdet", "train", str(config_path), "--run-dir", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, *launcher, *command],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (line,) = (tmp_path / name / "diagnostics.jsonl").read_text().splitlines()
        found[name] = json.loads(line)["sources"]["detection"]
    for kind in ("parts", "levels"):
        assert found["two"][kind] == pytest.approx(found["one"][kind], rel=1e-3, abs=1e-4)
    assert found["two"]["norm"] == pytest.approx(found["one"]["norm"], rel=1e-3)


def test_picture_of_the_frame_is_its_grey_channel(tiny_model):
    model = replace(tiny_model(), background=True)
    step = SimpleNamespace(detector=build_detector(model))
    frame = torch.rand(1, num_input_channels(model), 32, 32)
    other = frame.clone()
    other[:, 1:] += 3
    tiles = [draw_features(step, image)[:, :256] for image in (frame, other)]
    np.testing.assert_array_equal(tiles[0], tiles[1])
    assert len(np.unique(tiles[0])) > 100
