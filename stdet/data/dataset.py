"""ClipDataset: sampler, frames and transforms joined into training samples."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence as AbstractSequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from stdet.config import AugmentConfig, DataConfig, ModelConfig
from stdet.data.camera_motion import CameraMotion
from stdet.data.clip_sampler import ClipShape, Window, windows_of_sequence
from stdet.data.input_geometry import InputGeometry
from stdet.data.sequences import Sequence
from stdet.data.transforms import ClipAugmentation, ClipSample
from stdet.errors import ConfigError
from stdet.synthesis.injection import inject_targets
from stdet.types import UNKNOWN_TRACK_ID, Clip, ClipBatch, FloatArray, Targets

SampleKey = tuple[int, int]
"""(epoch, index of the window): together with the seed they fix a sample."""


class ClipDataset(Dataset[Clip]):
    """Windows of frames with the targets of their key frames.

    Indexed by ``SampleKey``, so that augmentation is new in every epoch and yet the same however
    many workers load it, and after a resume.

    Args:
        sequences: Contiguous sequences.
        shape: Shape of the windows.
        model: For the input's channels and size.
        size_divisor: Multiple that native input is padded to, pixels.
        augment: Augmentation, None for none.
        seed: Of the augmentation.
        cache_megabytes: Memory for decoded frames, in each worker.
    """

    def __init__(
        self,
        sequences: AbstractSequence[Sequence],
        *,
        shape: ClipShape,
        model: ModelConfig,
        size_divisor: int,
        augment: AugmentConfig | None,
        seed: int,
        cache_megabytes: int,
    ) -> None:
        """List the windows; no frame is read yet."""
        self.sequences = list(sequences)
        self.shape = shape
        self.model = model
        self.size_divisor = size_divisor
        self.augment = augment
        self.seed = seed
        self.cache = FrameCache(cache_megabytes)
        self.windows: list[tuple[int, Window]] = [
            (number, window)
            for number, sequence in enumerate(self.sequences)
            for window in windows_of_sequence(shape, len(sequence))
        ]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def __getitem__(self, sample_key: SampleKey) -> Clip:
        """Return one window, augmented by (seed, epoch, index)."""
        epoch, index = sample_key
        number, window = self.windows[index]
        with torch.random.fork_rng(devices=[]):
            # SeedSequence mixes the three numbers; a plain sum would repeat across epochs.
            entropy = np.random.SeedSequence([self.seed, epoch, index]).generate_state(
                2, np.uint64
            )
            torch.manual_seed(int(entropy[0] >> np.uint64(1)))
            return self._load(self.sequences[number], window)

    def _load(self, sequence: Sequence, window: Window) -> Clip:
        """Read the frames, gather the targets, augment and bring to the detector's size."""
        indices, is_padding = window.frame_indices, window.is_padding
        if self.augment and torch.rand(()).item() < self.augment.time_reversal:
            indices, is_padding = indices[::-1].copy(), is_padding[::-1].copy()
        grey = np.stack([self.cache.read(sequence, int(index)) for index in indices])
        frames = torch.from_numpy(grey)[:, None]
        sample = self._targets(sequence, indices, frames)
        if self.augment:
            sample = ClipAugmentation(self.augment)(self._inject(sample, indices))
        hw = (int(sample.frames.shape[-2]), int(sample.frames.shape[-1]))
        geometry = InputGeometry.fit(
            hw, input_hw=self.model.input_hw, size_divisor=self.size_divisor
        )
        boxes = geometry.boxes_to_input(sample.boxes_xyxy)
        frames = geometry.apply(sample.frames).expand(-1, self.model.in_channels, -1, -1)
        return Clip(
            frames=frames,
            frame_indices=torch.from_numpy(indices),
            is_padding=torch.from_numpy(is_padding),
            key_indices=torch.from_numpy(self.shape.keys),
            targets=tuple(
                Targets(
                    boxes_xyxy=boxes[sample.key_slots == slot],
                    class_ids=sample.class_ids[sample.key_slots == slot],
                    track_ids=sample.track_ids[sample.key_slots == slot],
                )
                for slot in range(len(self.shape.keys))
            ),
            sequence_name=sequence.name,
            original_hw=sequence.annotation.image_hw,
            to_original=torch.from_numpy(geometry.to_source),
        )

    def _targets(
        self, sequence: Sequence, indices: np.ndarray, frames: torch.Tensor
    ) -> ClipSample:
        """Collect the targets of the key frames. Ignored targets are left out."""
        truth = sequence.annotation
        rows, slots = [], []
        for slot, position in enumerate(self.shape.keys):
            at = truth.rows_at(int(indices[position]))
            here = np.arange(at.start, at.stop)[~truth.is_ignored[at]]
            rows.append(here)
            slots.append(np.full(len(here), slot))
        picked = np.concatenate(rows)
        return ClipSample(
            frames=frames,
            boxes_xyxy=torch.from_numpy(truth.boxes_xyxy[picked]),
            key_slots=torch.from_numpy(np.concatenate(slots).astype(np.int64)),
            class_ids=torch.from_numpy(truth.class_ids[picked]),
            track_ids=torch.from_numpy(truth.track_ids[picked]),
        )

    def _inject(self, sample: ClipSample, indices: np.ndarray) -> ClipSample:
        """Add synthetic targets, which move with the background, and their labels."""
        assert self.augment is not None
        most = self.augment.inject_targets_max
        if most == 0:
            return sample
        seed = int(torch.randint(1 << 62, ()).item())
        frames = sample.frames.numpy()
        motion = CameraMotion()
        injected = inject_targets(
            frames,
            np.cumsum([motion.push(frame[0]) for frame in frames], axis=0),
            self.shape.keys,
            num_targets=int(torch.randint(0, most + 1, ()).item()),
            num_negatives=int(torch.randint(0, self.augment.inject_negatives_max + 1, ()).item()),
            box_side=self.augment.min_box_px,
            rng=np.random.default_rng(seed),
            times=indices.astype(np.float64),
        )
        boxes = torch.from_numpy(injected.boxes_xyxy)
        slots = torch.from_numpy(injected.key_slots)
        return replace(
            sample,
            frames=torch.from_numpy(injected.frames),
            boxes_xyxy=torch.cat([sample.boxes_xyxy, boxes]),
            key_slots=torch.cat([sample.key_slots, slots]),
            class_ids=torch.cat([sample.class_ids, torch.zeros_like(slots)]),
            track_ids=torch.cat([sample.track_ids, torch.full_like(slots, UNKNOWN_TRACK_ID)]),
        )


class FrameCache:
    """Least recently used decoded frames of one process, within a budget of bytes.

    Args:
        megabytes: Budget; 0 caches nothing.
    """

    def __init__(self, megabytes: int) -> None:
        """Start empty."""
        self.budget = megabytes * 2**20
        self.num_bytes = 0
        self.frames: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()

    def read(self, sequence: Sequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1]."""
        key = (sequence.name, index)
        raw = self.frames.get(key)
        if raw is None:
            raw = sequence.read_raw(index)
            self.frames[key] = raw
            self.num_bytes += raw.nbytes
            while self.num_bytes > self.budget:
                self.num_bytes -= self.frames.popitem(last=False)[1].nbytes
        else:
            self.frames.move_to_end(key)
        return sequence.to_float(raw)


def clip_shape(data: DataConfig, model: ModelConfig) -> ClipShape:
    """Return the window shape that a configuration asks for in training."""
    return ClipShape(
        num_frames=model.temporal.num_frames,
        frame_stride=model.temporal.frame_stride,
        num_future_frames=model.temporal.num_future_frames,
        window_extra=data.window_extra,
    )


def collate(clips: AbstractSequence[Clip]) -> ClipBatch:
    """Stack clips of equal size.

    Raises:
        ConfigError: If sizes differ; frames of several sizes need ``train.augment.crop_hw`` or
            ``model.input_hw``.
    """
    owners = {tuple(clip.frames.shape[-2:]): clip.sequence_name for clip in clips}
    if len(owners) > 1:
        listed = ", ".join(f"{w}x{h} ({name})" for (h, w), name in owners.items())
        raise ConfigError(
            f"clips of sizes {listed} cannot form a batch; set train.augment.crop_hw or "
            "model.input_hw."
        )
    return ClipBatch(
        frames=torch.stack([clip.frames for clip in clips]),
        key_indices=clips[0].key_indices,
        targets=tuple(target for clip in clips for target in clip.targets),
        clip_names=tuple(
            f"{clip.sequence_name}[{int(clip.frame_indices[0])}..{int(clip.frame_indices[-1])}]"
            for clip in clips
        ),
    )
