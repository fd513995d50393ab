"""ClipDataset: sampler, frames and transforms joined into training samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from stdet.config import AugmentConfig, DataConfig, MissingReferences, ModelConfig
from stdet.datasets.clip_sampler import (
    ClipFrames,
    ClipShape,
    Playback,
    Window,
    frames_of_clip,
    windows_of_sequence,
)
from stdet.datasets.clips import Clip, ClipBatch, Targets
from stdet.datasets.core_box import CORE_MARGIN_PX, core_box
from stdet.datasets.frame_cache import FrameCache
from stdet.datasets.input_geometry import InputGeometry
from stdet.datasets.sequence_registration import SequenceRegistration
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.tensor_input import boxes_to_input, detector_input
from stdet.datasets.transforms import ClipAugmentation, ClipSample
from stdet.errors import ConfigError
from stdet.registration.background_features import LAGS, background_features
from stdet.registration.registered_stream import RegisteredFrame
from stdet.registration.transform import Transform
from stdet.synthesis.injection import inject_targets
from stdet.synthesis.overlays import burn_in_overlays
from stdet.types import UNKNOWN_TRACK_ID, IntArray

Transforms = tuple[Transform | None, ...]
"""Of the background, from each of some reference frames to a frame."""

SampleKey = tuple[int, int]
"""(number of the draw, index of the window): together with the seed they fix a sample."""


class ClipDataset(Dataset[Clip]):
    """Windows of frames with the targets of their key frames.

    Indexed by ``SampleKey``, so that augmentation is new with every draw and yet the same however
    many workers load it, and after a resume.

    Args:
        sequences: Contiguous sequences.
        sources: Where they come from, by weight: (weight, how many of the sequences), in order;
            empty draws every window once an epoch.
        shape: Shape of the windows.
        model: For the input's channels and size.
        size_divisor: Multiple that native input is padded to, pixels.
        augment: Augmentation, None for none.
        seed: Of the augmentation.
        cache_megabytes: Memory for decoded frames, in each worker.
        missing_references: What replaces reference frames before a sequence.
        at_own_size: Leave frames at their own size, for ``to_input`` to bring whole batches to
            the detector's; boxes are those of the detector's size either way.
    """

    def __init__(
        self,
        sequences: Sequence[LabelledSequence],
        *,
        shape: ClipShape,
        model: ModelConfig,
        size_divisor: int,
        augment: AugmentConfig | None,
        seed: int,
        cache_megabytes: int,
        sources: Sequence[tuple[float, int]] = (),
        missing_references: MissingReferences = "first_frame",
        at_own_size: bool = False,
    ) -> None:
        """List the windows; no frame is read yet."""
        self.sequences = list(sequences)
        self.shape = shape
        self.model = model
        self.size_divisor = size_divisor
        self.augment = augment
        self.seed = seed
        self.missing_references = missing_references
        self.at_own_size = at_own_size
        self.injects = augment is not None and augment.inject_targets_max > 0
        self.registration = SequenceRegistration(
            self.sequences if model.background or self.injects else [],
            FrameCache(cache_megabytes),
            replaces_bad_pixels=model.background,
        )
        self.windows: list[tuple[int, Window]] = [
            (number, window)
            for number, sequence in enumerate(self.sequences)
            for window in windows_of_sequence(shape, len(sequence))
        ]

        self.window_weights = _window_weights(self.windows, sources)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def __getitem__(self, sample_key: SampleKey) -> Clip:
        """Return one window, augmented by (seed, draw, index)."""
        draw, index = sample_key
        number, window = self.windows[index]
        with torch.random.fork_rng(devices=[]):
            # SeedSequence mixes the three numbers; a plain sum would repeat.
            entropy = np.random.SeedSequence([self.seed, draw, index]).generate_state(2, np.uint64)
            torch.manual_seed(int(entropy[0] >> np.uint64(1)))
            return self._load(self.sequences[number], window)

    def _load(self, sequence: LabelledSequence, window: Window) -> Clip:
        """Read the frames, gather the targets, augment and bring to the detector's size."""
        shape = self.shape
        playback = self._draw_playback()
        clip = frames_of_clip(
            shape,
            window,
            sequence.annotation.num_frames,
            lags=LAGS if self.model.background else (),
            missing=self.missing_references,
            has_long_term=self.model.long_term,
            playback=playback,
        )
        key_rows = clip.window_rows[shape.keys]
        sample = self._read(sequence, clip, key_rows)
        if self.augment:
            augmentation = ClipAugmentation(
                self.augment,
                fixed_box_size=sequence.boxes == "point",
                margin_px=2 * CORE_MARGIN_PX if sequence.boxes == "core" else 0.0,
            )
            times = clip.frame_indices / playback.frame_step
            sample = self._inject(augmentation.geometric(sample), times, key_rows)
            sample = replace(sample, frames=augmentation.photometric(sample.frames))
            sample = self._burn_in(sample, times)
        frames = sample.frames[clip.window_rows]
        if self.model.background:
            frames = torch.cat(
                [frames, _background_features(sample, clip, has_long_term=self.model.long_term)],
                dim=1,
            )
        geometry = self._geometry(frames)
        boxes = boxes_to_input(sample.boxes_xyxy, geometry)
        return Clip(
            frames=frames if self.at_own_size else self._fitted(frames),
            frame_indices=torch.from_numpy(clip.frame_indices[clip.window_rows]),
            is_padding=torch.from_numpy(clip.is_padding[clip.window_rows]),
            key_indices=torch.from_numpy(shape.keys),
            targets=tuple(_targets_at(sample, boxes, slot) for slot in range(len(shape.keys))),
            sequence_name=sequence.name,
            original_hw=sequence.annotation.image_hw,
            to_original=torch.from_numpy(geometry.to_source),
        )

    def to_input(self, frames: torch.Tensor) -> torch.Tensor:
        """Bring a batch's frames (B, W, C, H, W) to the detector, on the device they are on."""
        if not self.at_own_size:
            return frames
        fitted = self._fitted(frames.flatten(0, 1))
        return fitted.reshape(*frames.shape[:2], *fitted.shape[1:])

    def _fitted(self, frames: torch.Tensor) -> torch.Tensor:
        """Bring frames (N, 1 + M, H, W), grey and M background features, to the detector."""
        return detector_input(
            frames[:, :1],
            frames[:, 1:] if self.model.background else None,
            geometry=self._geometry(frames),
            in_channels=self.model.in_channels,
        )

    def _geometry(self, frames: torch.Tensor) -> InputGeometry:
        """Fit the geometry to frames (..., H, W)."""
        hw = (int(frames.shape[-2]), int(frames.shape[-1]))
        return InputGeometry.fit(hw, input_hw=self.model.input_hw, size_divisor=self.size_divisor)

    def _draw_playback(self) -> Playback:
        """Draw direction, frame rate and a lost frame."""
        if self.augment is None:
            return Playback()
        strides = self.augment.frame_strides
        is_reversed = torch.rand(()).item() < self.augment.time_reversal
        frame_step = strides[int(torch.randint(0, len(strides), ()).item())]
        lost_before = None
        if torch.rand(()).item() < self.augment.frame_drop:
            oldest = -self.shape.num_past_frames * self.shape.frame_stride
            if self.model.background:
                oldest -= LAGS[-1]
            lost_before = int(torch.randint(oldest, self.shape.window_extra + 1, ()).item())
        return Playback(frame_step=frame_step, is_reversed=is_reversed, lost_before=lost_before)

    def _read(
        self, sequence: LabelledSequence, clip: ClipFrames, key_rows: IntArray
    ) -> ClipSample:
        """Read frames and the targets of the key frames."""
        indices = clip.frame_indices
        grey = np.stack([self.registration.read(sequence, int(index)) for index in indices])
        truth = sequence.annotation
        rows, slots = [], []
        for slot, row in enumerate(key_rows):
            at = truth.rows_at(int(indices[row]))
            here = np.arange(at.start, at.stop)
            rows.append(here)
            slots.append(np.full(len(here), slot))
        picked, slot_of = np.concatenate(rows), np.concatenate(slots).astype(np.int64)
        boxes = truth.boxes_xyxy[picked]
        if sequence.boxes == "core":
            frames = grey[key_rows[slot_of]]
            cores = [
                box if truth.is_ignored[row] else core_box(frame, box)
                for row, frame, box in zip(picked, frames, boxes, strict=True)
            ]
            boxes = np.array(cores, np.float32).reshape(-1, 4)
        return ClipSample(
            frames=torch.from_numpy(grey)[:, None],
            motion=self.registration.motion(sequence, indices) if self.injects else (),
            transforms=self._transforms(sequence, clip) if self.model.background else (),
            boxes_xyxy=torch.from_numpy(boxes),
            key_slots=torch.from_numpy(slot_of),
            class_ids=torch.from_numpy(truth.class_ids[picked]),
            track_ids=torch.from_numpy(truth.track_ids[picked]),
            is_ignored=torch.from_numpy(truth.is_ignored[picked]),
        )

    def _transforms(
        self, sequence: LabelledSequence, clip: ClipFrames
    ) -> tuple[tuple[Transform | None, ...], ...]:
        """Return the transforms to each position of the window from its reference frames.

        Those of long-term reference frames come last.
        """
        found = []
        for row, *rows in zip(
            clip.window_rows, clip.reference_rows, clip.long_term_rows, strict=True
        ):
            starts = clip.frame_indices[np.concatenate(rows)]
            pairs = np.stack([starts, np.full_like(starts, clip.frame_indices[row])], axis=-1)
            found.append(self.registration.transforms(sequence, pairs))
        return tuple(found)

    def _burn_in(self, sample: ClipSample, times: NDArray[np.float64]) -> ClipSample:
        """Draw overlays into some clips."""
        assert self.augment is not None
        if torch.rand(()).item() >= self.augment.overlay_probability:
            return sample
        rng = np.random.default_rng(int(torch.randint(1 << 62, ()).item()))
        drawn = burn_in_overlays(sample.frames[:, 0].numpy(), times, rng)
        return replace(sample, frames=torch.from_numpy(drawn)[:, None])

    def _inject(
        self, sample: ClipSample, times: NDArray[np.float64], key_rows: IntArray
    ) -> ClipSample:
        """Add synthetic targets, which move with the background, and their labels.

        Args:
            sample: Frames and their labels.
            times: (M,), of each frame, in frames; equal where one is repeated.
            key_rows: (K,), rows of the key frames.
        """
        assert self.augment is not None
        most = self.augment.inject_targets_max
        if most == 0:
            return sample
        seed = int(torch.randint(1 << 62, ()).item())
        # A frame that is repeated as padding stays one frame, as it does in a stream.
        clock, rows, copies = np.unique(times, return_index=True, return_inverse=True)
        since_keys = _since_middle([sample.motion[row] for row in rows], copies[key_rows])
        injected = inject_targets(
            sample.frames.numpy()[rows],
            lambda place_xy: np.stack([one.apply(place_xy) for one in since_keys]),
            copies[key_rows],
            num_targets=int(torch.randint(0, most + 1, ()).item()),
            num_negatives=int(torch.randint(0, self.augment.inject_negatives_max + 1, ()).item()),
            box_side=self.augment.min_box_px,
            rng=np.random.default_rng(seed),
            times=clock,
        )
        boxes = torch.from_numpy(injected.boxes_xyxy)
        slots = torch.from_numpy(injected.key_slots)
        return replace(
            sample,
            frames=torch.from_numpy(injected.frames[copies]),
            boxes_xyxy=torch.cat([sample.boxes_xyxy, boxes]),
            key_slots=torch.cat([sample.key_slots, slots]),
            class_ids=torch.cat([sample.class_ids, torch.zeros_like(slots)]),
            track_ids=torch.cat([sample.track_ids, torch.full_like(slots, UNKNOWN_TRACK_ID)]),
            is_ignored=torch.cat([sample.is_ignored, torch.zeros_like(slots, dtype=torch.bool)]),
        )


def _targets_at(sample: ClipSample, boxes_xyxy: torch.Tensor, slot: int) -> Targets:
    """Return the targets of one key frame, of boxes in input pixels."""
    is_here = sample.key_slots == slot
    is_target = is_here & ~sample.is_ignored
    return Targets(
        boxes_xyxy=boxes_xyxy[is_target],
        class_ids=sample.class_ids[is_target],
        track_ids=sample.track_ids[is_target],
        ignored_xyxy=boxes_xyxy[is_here & sample.is_ignored],
    )


def _since_middle(motion: list[Transform], key_rows: IntArray) -> list[Transform]:
    """Return the background's transforms since the mean over the key frames."""
    mean = np.mean([motion[row].matrix for row in key_rows], axis=0)
    back = Transform(mean).inverse()
    return [one @ back for one in motion]


def _background_features(
    sample: ClipSample, clip: ClipFrames, *, has_long_term: bool
) -> torch.Tensor:
    """Compute the background features of every frame of the window, (W, C, H, W)."""
    images = sample.frames[:, 0].numpy()

    def registered(row: int, rows: IntArray, transforms: Transforms) -> RegisteredFrame:
        return RegisteredFrame(
            image=images[row],
            steps=tuple((clip.times[rows] - clip.times[row]).tolist()),
            references=tuple(images[at] for at in rows),
            transforms=transforms,
        )

    features = []
    for row, rows, long_term_rows, transforms in zip(
        clip.window_rows, clip.reference_rows, clip.long_term_rows, sample.transforms, strict=True
    ):
        near = registered(row, rows, transforms[: len(rows)])
        if has_long_term:
            far = registered(row, long_term_rows, transforms[len(rows) :])
            near = replace(near, long_term=far if len(long_term_rows) else near)
        features.append(background_features(near))
    return torch.from_numpy(np.stack(features))


def clip_shape(data: DataConfig, model: ModelConfig) -> ClipShape:
    """Return the window shape that a configuration asks for in training."""
    return ClipShape.of(model.temporal, window_extra=data.window_extra)


def _window_weights(
    windows: list[tuple[int, Window]], sources: Sequence[tuple[float, int]]
) -> torch.Tensor | None:
    """Return the probability of drawing each window, (M,), or None without weighted sources.

    A source is drawn by its weight, a sequence of it by the square root of its number of windows,
    so that one long video does not drown the others, and a window of it evenly.
    """
    if not sources:
        return None
    counts = np.bincount([number for number, _ in windows])
    owner = np.repeat(np.arange(len(sources)), [count for _, count in sources])
    share = np.sqrt(counts)
    source_total = np.bincount(owner, weights=share)
    weight = np.array([weight for weight, _ in sources])
    per_window = weight[owner] * share / source_total[owner] / counts
    return torch.from_numpy(per_window[[number for number, _ in windows]] / weight.sum())


def collate(clips: Sequence[Clip]) -> ClipBatch:
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
