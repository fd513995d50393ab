"""One call from a configuration to a finished run, on one process or several."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from stdet.config import StdetConfig, config_to_dict, load_config
from stdet.data.generated import generated_sequences
from stdet.data.sequences import load_sequences, load_source, require_disjoint
from stdet.device import choose_device
from stdet.errors import ConfigError
from stdet.training import distributed
from stdet.training.trainer import RESUME_NAME, Trainer, TrainResult

log = logging.getLogger(__name__)


def train(config: StdetConfig, *, run_dir: Path, overwrite: bool = False) -> TrainResult | None:
    """Train, or go on with a run that was killed.

    Args:
        config: The resolved configuration.
        run_dir: Folder of the run.
        overwrite: Delete what an earlier run left there.

    Returns:
        Where the weights are; None on processes other than the first.

    Raises:
        ConfigError: If the folder holds a run of another configuration.
        DataError: If the data cannot be used.
        TrainingError: If the loss is no longer finite.
    """
    if config.train.num_threads:
        torch.set_num_threads(config.train.num_threads)
    distributed.start_processes(choose_device(config.train.device))
    try:
        if distributed.process_rank() == 0:
            _prepare(config, run_dir, overwrite=overwrite)
        distributed.wait_for_all()
        generated = generated_sequences(
            config.data.num_generated,
            seed=config.train.seed,
            hot_spots_max=config.data.generated_hot_spots_max,
        )
        extra, drop = config.data.extra_sources, config.data.drop_invalid_boxes
        parts = [
            (config.data.weight, load_sequences(config.data, "train")),
            *((source.weight, load_source(source, drop_invalid_boxes=drop)) for source in extra),
            (config.data.generated_weight, generated),
        ]
        train_sequences = [sequence for _, part in parts for sequence in part]
        sources = [(weight, len(part)) for weight, part in parts if part]
        has_validation = config.data.validation_annotations or config.data.validation_sequences
        validation = load_sequences(config.data, "validation") if has_validation else []
        require_disjoint(train_sequences, validation)
        if not validation:
            log.warning(
                "No validation split (data.validation_sequences is empty): no best checkpoint "
                "and no operating point will be chosen."
            )
        trainer = Trainer(
            config,
            train_sequences=train_sequences,
            validation_sequences=validation,
            run_dir=run_dir,
            sources=sources if config.data.extra_sources else (),
        )
        if trainer.is_first:
            _describe(trainer, train_sequences=len(train_sequences), validation=len(validation))
        result = trainer.run()
        return result if trainer.is_first else None
    finally:
        distributed.stop_processes()


def _prepare(config: StdetConfig, run_dir: Path, *, overwrite: bool) -> None:
    """Clear the folder, or check that the run in it is the same one."""
    if overwrite and run_dir.exists():
        if any(run_dir.iterdir()) and not (run_dir / "config.yaml").exists():
            raise ConfigError(f"{run_dir}: holds no run; refusing to delete it. Choose another.")
        shutil.rmtree(run_dir)
    check_same_run(config, run_dir)


def check_same_run(config: StdetConfig, run_dir: Path) -> None:
    """Refuse a folder whose run has finished an epoch with another configuration.

    Raises:
        ConfigError: Naming the values that differ.
    """
    known = run_dir / "config.yaml"
    if not (run_dir / RESUME_NAME).exists() or not known.exists():
        return
    old = config_to_dict(load_config(known))  # Values that are newer than the run: the defaults.
    changed = sorted(_differences(old, config_to_dict(config)))
    if changed:
        raise ConfigError(
            f"{run_dir}: holds a run with other values of {', '.join(changed)}; choose another "
            "--run-dir, or delete it (train: --overwrite) to start anew."
        )


def _differences(old: Any, new: Any, path: str = "") -> set[str]:
    """Return the dotted names of values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            name
            for key in old.keys() | new.keys()
            for name in _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
        }
    return set() if old == new else {path}


def _describe(trainer: Trainer, *, train_sequences: int, validation: int) -> None:
    """Say what is about to happen."""
    config = trainer.config
    log.info(
        "Training %s on %s: %d windows of %d sequences, %d steps per epoch, %d epochs; "
        "%d validation sequences; seed %d; run folder %s.",
        config.model.name,
        trainer.device,
        len(trainer.dataset),
        train_sequences,
        len(trainer.batches),
        config.train.epochs,
        validation,
        config.train.seed,
        trainer.run_dir,
    )
