"""One call from a configuration to a finished run, on one process or several."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from stdet.config import StdetConfig
from stdet.datasets.splits import load_training
from stdet.inference.device import choose_device
from stdet.training import distributed
from stdet.training.run_folder import NEW_NAME, hold_run_folder, settle
from stdet.training.split_checks import check_splits
from stdet.training.trainer import Trainer, TrainResult

log = logging.getLogger(__name__)


def train(
    config: StdetConfig, *, run_dir: str | Path, overwrite: bool = False
) -> TrainResult | None:
    """Train, or go on with a run that was killed.

    Args:
        config: The resolved configuration.
        run_dir: Folder of the run.
        overwrite: Start anew. An earlier run stays until the first checkpoint of this one stands.

    Returns:
        Where the weights are; None on processes other than the first.

    Raises:
        ConfigError: If the folder holds a run of another configuration.
        DataError: If the data cannot be used.
        TrainingError: If the loss is no longer finite.
    """
    run_dir = Path(run_dir)
    if config.train.num_threads:
        torch.set_num_threads(config.train.num_threads)
    distributed.start_processes(choose_device(config.train.device))
    is_first = distributed.process_rank() == 0
    try:
        with (
            hold_run_folder(config, run_dir, overwrite=overwrite)
            if is_first
            else contextlib.nullcontext()
        ):
            distributed.wait_for_all()
            trainer = _build(config, run_dir / NEW_NAME if overwrite else run_dir)
            if is_first:
                _describe(trainer, run_dir=run_dir)
            result = trainer.run(settle=_settling(run_dir) if overwrite and is_first else None)
        return result if is_first else None
    finally:
        distributed.stop_processes()


def _build(config: StdetConfig, run_dir: Path) -> Trainer:
    """Read and check the data, and build the trainer; nothing is written."""
    training = load_training(config.data)
    check_splits(config, training.sequences, training.validation)
    if not training.validation:
        log.warning(
            "No validation split (data.validation and data.validation_sequences are empty): no "
            "best checkpoint and no operating point will be chosen."
        )
    sources = [(source.weight, len(source.sequences)) for source in training.sources]
    return Trainer(
        config,
        train_sequences=training.sequences,
        validation_sequences=training.validation,
        run_dir=run_dir,
        sources=sources if len(config.data.train) > 1 else (),
    )


def _settling(run_dir: Path) -> Callable[[], Path]:
    """Return what puts the new run in the place of the old one."""

    def settle_here() -> Path:
        settle(run_dir)
        return run_dir

    return settle_here


def _describe(trainer: Trainer, *, run_dir: Path) -> None:
    """Say what is about to happen."""
    config = trainer.config
    log.info(
        "Training %s on %s: %d windows of %d sequences, %d steps per epoch, %d epochs; "
        "%d validation sequences; seed %d; run folder %s.",
        config.model.name,
        trainer.device,
        len(trainer.dataset),
        len(trainer.dataset.sequences),
        len(trainer.batches),
        config.train.epochs,
        len(trainer.validation_sequences),
        config.train.seed,
        run_dir,
    )
