"""The epoch loop, readable top to bottom."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Sampler
from torch.utils.tensorboard import SummaryWriter

from stdet.checkpoint import git_commit, save_weights
from stdet.config import StdetConfig, save_config
from stdet.data.dataset import ClipDataset, SampleKey, clip_shape, collate
from stdet.data.sequences import Sequence
from stdet.device import choose_device
from stdet.errors import TrainingError
from stdet.models.build import build_consistency, build_detector, build_motion_prior
from stdet.pipeline import StreamingDetector
from stdet.progress import ProgressBar
from stdet.scoring import Scored, score_sequences
from stdet.training import distributed
from stdet.training.diagnostics import Diagnostics
from stdet.training.losses import LOSS_NAMES
from stdet.training.optimizer import MovingAverage, build_optimizer, build_schedule
from stdet.training.resume import load_resume, save_resume
from stdet.training.step import TrainingStep
from stdet.types import ClipBatch

log = logging.getLogger(__name__)

RESUME_NAME = "resume.pt"
BEST_NAME = "best.safetensors"
LAST_NAME = "last.safetensors"
METRICS_NAME = "metrics.jsonl"


class EpochBatches(Sampler[list[SampleKey]]):
    """This process's share of every joint batch of an epoch.

    The order depends on (seed, epoch) alone: a permutation of the windows, or with weights draws
    with replacement. The last batch is filled from the start of the order, so that every batch has
    the same size. Every draw has its own number, so that a window drawn twice is augmented anew.
    """

    def __init__(
        self, num_windows: int, config: StdetConfig, *, weights: Tensor | None = None
    ) -> None:
        """Work out the number of batches."""
        self.weights = weights
        train = config.train
        self.num_windows = num_windows
        self.seed = train.seed
        self.batch_size = train.batch_size
        self.num_used = max(round(num_windows * train.epoch_fraction), 1)
        self.epoch = 0
        self.rank, self.num_processes = distributed.process_rank(), distributed.num_processes()
        if self.batch_size % self.num_processes:
            raise TrainingError(
                f"train.batch_size {self.batch_size} cannot be shared by {self.num_processes} "
                "processes; make it a multiple."
            )

    def __len__(self) -> int:
        """Return the number of joint batches in an epoch."""
        return -(-self.num_used // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Yield the keys of one batch after the other."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.weights is None:
            drawn = torch.randperm(self.num_windows, generator=generator)[: self.num_used]
        else:
            drawn = torch.multinomial(
                self.weights, self.num_used, replacement=True, generator=generator
            )
        order = drawn.tolist()
        wanted = len(self) * self.batch_size
        order = (order * (wanted // len(order) + 1))[:wanted]
        for start in range(0, wanted, self.batch_size):
            batch = order[start : start + self.batch_size]
            keys = [(self.epoch * wanted + start + at, index) for at, index in enumerate(batch)]
            yield keys[self.rank :: self.num_processes]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Where a finished run left its results.

    Attributes:
        best_weights: The epoch with the best validation mAP50.
        last_weights: The last epoch.
        best: Validation of the best epoch.
    """

    best_weights: Path
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
        CheckpointError: If the run folder holds a resume file that cannot be read.
    """

    def __init__(
        self,
        config: StdetConfig,
        *,
        train_sequences: AbstractSequence[Sequence],
        validation_sequences: AbstractSequence[Sequence],
        run_dir: Path,
        sources: AbstractSequence[tuple[float, int]] = (),
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
        detector = build_detector(config.model)
        self.dataset = ClipDataset(
            train_sequences,
            shape=clip_shape(config.data, config.model),
            model=config.model,
            size_divisor=detector.size_divisor,
            augment=config.train.augment,
            seed=config.train.seed,
            cache_megabytes=config.data.cache_megabytes,
            sources=sources,
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
        if (run_dir / RESUME_NAME).exists():
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
            self.dataset.measured.share()
        self.loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=self.batches,
            num_workers=train.num_workers,
            # Decoded frames and their displacements stay with the workers.
            persistent_workers=train.num_workers > 0,
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
        )
        self.parallel: nn.Module = self.step_module
        if distributed.num_processes() > 1:
            self.parallel = DistributedDataParallel(self.step_module, broadcast_buffers=False)
        shape = self.dataset.shape
        self.references = torch.from_numpy(shape.references).to(self.device)
        self.keys = torch.from_numpy(shape.keys).to(self.device)
        self.diagnostics: Diagnostics | None = None
        if train.diagnostics:
            self.diagnostics = Diagnostics(
                self.dataset,
                num_workers=train.num_workers,
                references=self.references,
                keys=self.keys,
                device=self.device,
                run_dir=self.run_dir,
            )

    def run(self) -> TrainResult:
        """Train to the last epoch.

        Raises:
            TrainingError: If the loss is no longer finite.
        """
        if self.is_first:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            save_config(self.config, self.run_dir / "config.yaml")
            self._trim_metrics()
            if self.diagnostics is not None:
                self.diagnostics.trim(self.epoch)
        writer = SummaryWriter(str(self.run_dir)) if self.is_first else None
        while self.epoch < self.config.train.epochs:
            terms = self._train_epoch(writer)
            self.epoch += 1
            if self.diagnostics is not None:
                self.diagnostics.measure(self.step_module, self.epoch, writer)
            if self.is_first:
                self._finish_epoch(terms, writer)
            distributed.wait_for_all()
        if writer is not None:
            writer.close()
        return TrainResult(
            best_weights=self.run_dir / BEST_NAME,
            last_weights=self.run_dir / LAST_NAME,
            best=self.best,
        )

    def _trim_metrics(self) -> None:
        """Drop the lines of epochs that ended after the last resume file; they are run again."""
        path = self.run_dir / METRICS_NAME
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text("".join(lines[: self.epoch]), encoding="utf-8")

    def _train_epoch(self, writer: SummaryWriter | None) -> Tensor:
        """Train one epoch and return the mean loss terms, (7,)."""
        self.step_module.train()
        self.batches.epoch = self.epoch
        title = f"epoch {self.epoch + 1}/{self.config.train.epochs}"
        total = torch.zeros(len(LOSS_NAMES))
        with ProgressBar(title, len(self.batches), is_quiet=not self.is_first) as bar:
            for number, batch in enumerate(self.loader):
                terms = self._train_batch(batch)
                total += terms
                bar.advance(_describe_terms(terms))
                if writer is not None:
                    step = self.epoch * len(self.batches) + number
                    for name, value in zip(LOSS_NAMES, terms.tolist(), strict=True):
                        writer.add_scalar(f"loss/{name}", value, step)
        return total / len(self.batches)

    def _train_batch(self, batch: ClipBatch) -> Tensor:
        """Take one optimizer step and return the joint batch's loss terms, (7,) on the CPU."""
        frames = self.dataset.to_input(batch.frames.to(self.device, non_blocking=True))
        targets = [target.to(self.device) for target in batch.targets]
        with torch.autocast(
            self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
        ):
            loss, terms = self.parallel(frames, self.references, self.keys, targets)
        terms = distributed.mean_over_processes(terms).cpu()
        if not terms.isfinite().all():
            raise TrainingError(
                f"loss is not finite in epoch {self.epoch + 1}, step "
                f"{self.schedule.last_epoch + 1}, clips {', '.join(batch.clip_names)}: "
                f"{_describe_terms(terms)}. Lower "
                "train.learning_rate, or use train.precision=fp32; the last finished epoch is in "
                f"{self.run_dir / RESUME_NAME}."
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

    def _finish_epoch(self, terms: Tensor, writer: SummaryWriter | None) -> None:
        """Validate, write weights, resume file and the lines of the log."""
        train = self.config.train
        record: dict[str, Any] = {"epoch": self.epoch}
        record |= {f"loss_{n}": v for n, v in zip(LOSS_NAMES, terms.tolist(), strict=True)}
        is_due = self.epoch % train.validate_every == 0 or self.epoch == train.epochs
        if is_due and self.validation_sequences:
            started = time.monotonic()
            streaming = StreamingDetector(
                self.average.module,
                model=self.config.model,
                config=self.config.postprocess,
                device=self.device,
            )
            result = score_sequences(
                streaming,
                self.config,
                self.validation_sequences,
                title=f"validating epoch {self.epoch}",
            )
            record |= result.summary()
            record["validation_s"] = round(time.monotonic() - started, 1)
            self._keep_best(result, record)
            if writer is not None:
                for name, value in result.summary().items():
                    writer.add_scalar(f"validation/{name}", value, self.epoch)
        with (self.run_dir / METRICS_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        log.info("%s", _describe_record(record))
        self._save()

    def _keep_best(self, result: Scored, record: dict[str, Any]) -> None:
        """Write the best weights if this epoch's mAP50 is the highest so far."""
        if not self.best or result.map50 >= self.best["map50"]:
            self.best = {"epoch": self.epoch, **result.summary()}
            self._save_weights(BEST_NAME, result.confidence)

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
        state = load_resume(self.run_dir / RESUME_NAME)
        self.step_module.load_state_dict(state["modules"])
        self.average.module.load_state_dict(state["average"])
        self.average.num_updates = state["num_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
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
