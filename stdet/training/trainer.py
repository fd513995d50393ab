"""The epoch loop, readable top to bottom."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from stdet.config import StdetConfig
from stdet.datasets.clip_dataset import ClipDataset, clip_shape, collate
from stdet.datasets.clips import ClipBatch
from stdet.datasets.sequences import LabelledSequence
from stdet.errors import CheckpointError, TrainingError
from stdet.evaluation.from_model import Scored, score_sequences
from stdet.inference.checkpoint import git_commit, load_state, load_weights, save_weights
from stdet.inference.detector import Detector
from stdet.inference.device import choose_device
from stdet.inference.trained_network import network_of_detector
from stdet.inference.weights_files import DEFAULT_CONFIDENCE, find_weights
from stdet.models.build import build_consistency, build_detector, build_motion_prior
from stdet.processes.progress import ProgressBar
from stdet.processes.workers import explain_worker_death, start_worker
from stdet.training import distributed
from stdet.training.diagnostics import Diagnostics
from stdet.training.epoch_batches import EpochBatches
from stdet.training.losses import LOSS_NAMES
from stdet.training.optimizer import MovingAverage, build_optimizer, build_schedule
from stdet.training.resume import load_resume, save_resume, take_state
from stdet.training.run_folder import BEST_NAME, LAST_NAME, RESUME_NAME
from stdet.training.run_log import RunLog
from stdet.training.step import TrainingStep

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Where a finished run left its results.

    Attributes:
        best_weights: The epoch with the best validation mAP50; None without validation.
        last_weights: The last epoch.
        best: Validation of the best epoch.
    """

    best_weights: Path | None
    last_weights: Path
    best: dict[str, Any]


class Trainer:
    """One training run.

    Args:
        config: The resolved configuration.
        train_sequences: What to learn from.
        validation_sequences: What to choose the checkpoint on; never a test split.
        sources: Of the training sequences; see ``ClipDataset``.
        run_dir: Folder of the run; created.

    Raises:
        CheckpointError: If the run folder holds a resume file that cannot be read, or the initial
            weights are missing or of another architecture.
    """

    def __init__(
        self,
        config: StdetConfig,
        *,
        train_sequences: Sequence[LabelledSequence],
        validation_sequences: Sequence[LabelledSequence],
        run_dir: Path,
        sources: Sequence[tuple[float, int]] = (),
    ) -> None:
        """Build everything, and go back to the last finished epoch if there is one."""
        self.config = config
        self.run_dir = run_dir
        self.validation_sequences = validation_sequences
        self.device = choose_device(config.train.device)
        self.is_first = distributed.process_rank() == 0
        # Taken once: the working tree may move on while the run lasts.
        self.commit = git_commit()
        torch.manual_seed(config.train.seed)
        is_resumed = (run_dir / RESUME_NAME).exists()
        detector = build_detector(config.model)
        if config.train.initial_weights is not None and not is_resumed:
            load_state(detector, load_weights(find_weights(config.train.initial_weights)))
        self.dataset = ClipDataset(
            train_sequences,
            shape=clip_shape(config.data, config.model),
            model=config.model,
            size_divisor=detector.size_divisor,
            augment=config.train.augment,
            seed=config.train.seed,
            cache_megabytes=config.data.cache_megabytes,
            sources=sources,
            missing_references=config.train.missing_references,
            at_own_size=config.train.letterbox_on_device,
        )
        self.step_module = TrainingStep(
            detector,
            build_motion_prior(config.model),
            build_consistency(config.model, detector),
            motion_weight=config.train.motion_loss_weight,
            consistency_weight=config.train.consistency_loss_weight,
        ).to(self.device)
        if config.train.channels_last:
            self.step_module.to(memory_format=torch.channels_last)
        if distributed.num_processes() > 1:
            distributed.join_batch_norms(self.step_module)
        self.average = MovingAverage(self.step_module.detector, config.train.ema_decay)
        self.batches = EpochBatches(len(self.dataset), config, weights=self.dataset.window_weights)
        self._build_optimisation()
        self.epoch = 0
        self.best: dict[str, Any] = {}
        if is_resumed:
            self._resume()

    def _build_optimisation(self) -> None:
        """Build optimizer, schedule, loader and the scaler of fp16."""
        train = self.config.train
        self.optimizer = build_optimizer(
            self.step_module,
            train,
            key_frames_per_step=train.batch_size * (self.config.data.window_extra + 1),
        )
        self.schedule = build_schedule(self.optimizer, train, steps_per_epoch=len(self.batches))
        self.autocast_dtype = choose_precision(train.precision, self.device)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.autocast_dtype is torch.float16
        )
        if train.num_workers:
            self.dataset.registration.share()
        self.loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=self.batches,
            num_workers=train.num_workers,
            # Decoded frames stay with the workers.
            persistent_workers=train.num_workers > 0,
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=start_worker,
        )
        self.parallel: nn.Module = self.step_module
        if distributed.num_processes() > 1:
            self.parallel = DistributedDataParallel(self.step_module, broadcast_buffers=False)
        shape = self.dataset.shape
        self.context = torch.from_numpy(shape.context).to(self.device)
        self.keys = torch.from_numpy(shape.keys).to(self.device)
        self.diagnostics: Diagnostics | None = None
        if train.diagnostics:
            self.diagnostics = Diagnostics(
                self.dataset,
                num_workers=train.num_workers,
                context=self.context,
                keys=self.keys,
                device=self.device,
                run_dir=self.run_dir,
            )

    def run(self, *, settle: Callable[[], Path] | None = None) -> TrainResult:
        """Train to the last epoch.

        Args:
            settle: Called when the first checkpoint stands; returns where the run is from then on.

        Raises:
            TrainingError: If the loss is no longer finite.
        """
        run_log = None
        if self.is_first:
            run_log = RunLog(self.run_dir, self.config, num_epochs=self.epoch)
            if self.diagnostics is not None:
                self.diagnostics.trim(self.epoch)
        with contextlib.closing(run_log) if run_log else contextlib.nullcontext():
            while self.epoch < self.config.train.epochs:
                terms = self._train_epoch(run_log)
                self.epoch += 1
                if self.diagnostics is not None:
                    self.diagnostics.measure(
                        self.step_module, self.epoch, run_log.writer if run_log else None
                    )
                if run_log is not None:
                    self._finish_epoch(terms, run_log)
                    if settle is not None:
                        self._move_to(settle(), run_log)
                        settle = None
                distributed.wait_for_all()
        if self.is_first:
            self._warn_of_useless_weights()
        return TrainResult(
            best_weights=self.run_dir / BEST_NAME if self.best else None,
            last_weights=self.run_dir / LAST_NAME,
            best=self.best,
        )

    def _warn_of_useless_weights(self) -> None:
        """Say where validation has chosen nothing that `stdet track` could use."""
        if not self.best:
            return
        if self.best["map50"] == 0:
            log.warning(
                "No validated epoch found a target (mAP50 0): the weights are of no use yet. "
                "Train longer, or look at the data with `stdet data check`."
            )
        if self.best["confidence"] is None:
            log.warning(
                "Validation gives no usable operating point, none is stored: `stdet track` takes "
                "%g.",
                DEFAULT_CONFIDENCE,
            )

    def _move_to(self, run_dir: Path, run_log: RunLog) -> None:
        """Go on in another folder, into which the files of the run were copied."""
        self.run_dir = run_dir
        run_log.move_to(run_dir)
        if self.diagnostics is not None:
            self.diagnostics.run_dir = run_dir

    def _train_epoch(self, run_log: RunLog | None) -> Tensor:
        """Train one epoch and return the mean loss terms, (7,)."""
        self.step_module.train()
        self.batches.epoch = self.epoch
        title = f"epoch {self.epoch + 1}/{self.config.train.epochs}"
        total = torch.zeros(len(LOSS_NAMES))
        with (
            explain_worker_death("lower train.num_workers or data.cache_megabytes"),
            ProgressBar(title, len(self.batches), is_quiet=not self.is_first) as bar,
        ):
            for number, batch in enumerate(self.loader):
                terms = self._train_batch(batch)
                total += terms
                bar.advance(_describe_terms(terms))
                if run_log is not None:
                    step = self.epoch * len(self.batches) + number
                    values = dict(zip(LOSS_NAMES, terms.tolist(), strict=True))
                    run_log.scalars("loss", values, step)
        return total / len(self.batches)

    def _train_batch(self, batch: ClipBatch) -> Tensor:
        """Take one optimizer step and return the joint batch's loss terms, (7,) on the CPU."""
        frames = self.dataset.to_input(batch.frames.to(self.device, non_blocking=True))
        targets = [target.to(self.device) for target in batch.targets]
        with torch.autocast(
            self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
        ):
            loss, terms = self.parallel(frames, self.context, self.keys, targets)
        terms = distributed.mean_over_processes(terms).cpu()
        if not terms.isfinite().all():
            raise TrainingError(
                f"loss is not finite in epoch {self.epoch + 1}, step "
                f"{self.schedule.last_epoch + 1}, clips {', '.join(batch.clip_names)}: "
                f"{_describe_terms(terms)}. Lower train.learning_rate, or use "
                "train.precision=fp32"
                + (f"; {self.run_dir / RESUME_NAME} has the last epoch." if self.epoch else ".")
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.step_module.parameters(), self.config.train.clip_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.average.update(self.step_module.detector)
        return terms

    def _finish_epoch(self, terms: Tensor, run_log: RunLog) -> None:
        """Validate, write weights, resume file and the lines of the log."""
        train = self.config.train
        record: dict[str, Any] = {"epoch": self.epoch}
        record |= {f"loss_{n}": v for n, v in zip(LOSS_NAMES, terms.tolist(), strict=True)}
        is_due = self.epoch % train.validate_every == 0 or self.epoch == train.epochs
        if is_due and self.validation_sequences:
            started = time.monotonic()
            result = self._validate()
            record |= result.summary()
            record["validation_s"] = round(time.monotonic() - started, 1)
            self._keep_best(result)
            run_log.scalars("validation", result.summary(), self.epoch)
        run_log.epoch(record)
        log.info("%s", _describe_record(record))
        self._save()

    def _validate(self) -> Scored:
        """Score the averaged weights on the validation split."""
        network = network_of_detector(
            self.average.module,
            model=self.config.model,
            config=self.config.postprocess,
            device=self.device,
        )
        try:
            return score_sequences(
                Detector.from_network(network, latency=self.config.tracker.latency),
                self.config,
                self.validation_sequences,
                title=f"validating epoch {self.epoch}",
            )
        except CheckpointError as error:
            raise TrainingError(
                f"validation of epoch {self.epoch}: {error} Lower train.learning_rate, or use "
                "train.precision=fp32."
            ) from error

    def _keep_best(self, result: Scored) -> None:
        """Write the best weights if this epoch's mAP50 is the highest so far."""
        if self.best and result.map50 < self.best["map50"]:
            return
        summary: dict[str, float | None] = {**result.summary()}
        is_chosen = self.config.postprocess.confidence is None
        if is_chosen and not 0 < result.confidence < 1:
            # Nothing was hit, or nothing tells targets from clutter: such a threshold would make
            # every later run silent, or drown it.
            summary["confidence"] = None
        self.best = {"epoch": self.epoch, **summary}
        self._save_weights(BEST_NAME, summary["confidence"])

    def _save_weights(self, name: str, confidence: float | None) -> None:
        config = self.config
        if confidence is not None:
            config = replace(
                config, postprocess=replace(config.postprocess, confidence=confidence)
            )
        info = {
            "commit": self.commit,
            "seed": config.train.seed,
            "epoch": self.epoch,
            "validation": self.best,
            "torch": torch.__version__,
        }
        save_weights(self.run_dir / name, self.average.module.state_dict(), config, info)

    def _save(self) -> None:
        """Write the last weights and everything that a resume needs."""
        self._save_weights(LAST_NAME, self.best.get("confidence"))
        save_resume(
            self.run_dir / RESUME_NAME,
            {
                "epoch": self.epoch,
                "best": self.best,
                "commit": self.commit,
                "modules": self.step_module.state_dict(),
                "average": self.average.module.state_dict(),
                "num_updates": self.average.num_updates,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "scaler": self.scaler.state_dict(),
            },
        )

    def _resume(self) -> None:
        """Go back to the last finished epoch."""
        path = self.run_dir / RESUME_NAME
        state = load_resume(path)
        parts = {
            "modules": self.step_module,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
        }
        take_state(path, parts, state)
        self.average.num_updates = state["num_updates"]
        self.epoch, self.best, self.commit = state["epoch"], state["best"], state["commit"]
        log.info("Resuming %s after epoch %d.", self.run_dir, self.epoch)


def choose_precision(name: str, device: torch.device) -> torch.dtype | None:
    """Return the autocast type, None for plain fp32."""
    if name == "auto":
        use_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if use_bf16 else None
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def _describe_terms(terms: Tensor) -> str:
    """Say the loss terms in one short line."""
    values = dict(zip(LOSS_NAMES, terms.tolist(), strict=True))
    extra = "".join(f" {n} {values[n]:.3f}" for n in ("motion", "consistency") if values[n])
    return (
        f"loss {values['total']:.3f} box {values['box']:.3f} obj {values['objectness']:.3f} "
        f"cls {values['classification']:.3f}{extra}"
    )


def _describe_record(record: dict[str, Any]) -> str:
    """Say an epoch's record in one line."""
    text = f"epoch {record['epoch']}: loss {record['loss_total']:.3f}"
    if "map50" in record:
        text += (
            f", mAP50 {record['map50']:.4f}, Pd {record['pd']:.4f}, "
            f"Fa {record['false_alarms_per_frame']:.4f}/frame, IDF1 {record['idf1']:.4f} "
            f"at score {record['confidence']:.3f}"
        )
    return text
