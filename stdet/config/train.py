"""Optimisation and augmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stdet.config.checks import STRICT, check_area

MissingReferences = Literal["first_frame", "later_frames"]
"""What replaces reference frames before a sequence; see ``TrainConfig.missing_references``."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class AugmentConfig:
    """Clip-consistent augmentation: drawn once per clip, applied to all its frames."""

    crop_hw: tuple[int, int] | None = None
    """Random crop (height, width) in pixels, None for the whole frame; padded where too small."""
    target_crop_probability: float = Field(default=0.5, ge=0, le=1)
    """Share of crops that are drawn so as to hold a target of one of the key frames."""
    horizontal_flip: float = Field(default=0.5, ge=0, le=1)
    """Probability."""
    vertical_flip: float = Field(default=0.0, ge=0, le=1)
    """Probability."""
    transpose: float = Field(default=0.0, ge=0, le=1)
    """Probability of swapping the axes (needs a square crop)."""
    time_reversal: float = Field(default=0.0, ge=0, le=1)
    """Probability of playing the window backwards."""
    frame_strides: tuple[int, ...] = (1,)
    """Frame-rate change: every n-th frame is seen, n drawn from these."""
    frame_drop: float = Field(default=0.0, ge=0, le=1)
    """Probability that one frame of the clip's past was lost by the camera."""
    polarity: float = Field(default=0.0, ge=0, le=1)
    """Probability of swapping hot and cold."""
    scale_range: tuple[float, float] = (1.0, 1.0)
    """Zoom factor, drawn log-uniformly."""
    target_px_range: tuple[float, float] | None = None
    """Zoom to a size of targets drawn log-uniformly from these, pixels; half of the clips keep
    their size, and larger targets have no label there: networks that look at several scales find
    them at a coarser one. None: no zoom."""
    gain_range: tuple[float, float] = (1.0, 1.0)
    """Contrast factor about the clip's mean, drawn log-uniformly."""
    offset_range: tuple[float, float] = (0.0, 0.0)
    """Brightness added, in units of the full scale."""
    gamma_range: tuple[float, float] = (1.0, 1.0)
    """Exponent, drawn log-uniformly."""
    noise_max: float = Field(default=0.0, ge=0)
    """Standard deviation of white noise is drawn from [0, this], in units of the full scale."""
    jpeg_probability: float = Field(default=0.0, ge=0, le=1)
    """Probability that the frames of a clip are saved as JPEG, at a quality from 25 to 95."""
    inject_targets_max: int = Field(default=0, ge=0, le=1000)
    """Maximum number of synthetic moving targets injected per clip, with labels."""
    inject_negatives_max: int = Field(default=0, ge=0, le=1000)
    """Maximum number of still spots, bad pixels and burnt-in texts injected per clip, without
    labels. Still spots look like hovering targets: many of them cost those
    (docs/decisions/0005)."""
    overlay_probability: float = Field(default=0.0, ge=0, le=1)
    """Probability of text, reticles and marks burnt into a clip (``synthesis/overlays.py``)."""
    min_box_px: float = Field(default=0.0, ge=0)
    """Boxes grow about their centre to at least this side after scaling and injection, pixels."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("scale_range", "gain_range", "gamma_range"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} needs 0 < low <= high, got [{low}, {high}]")
        if self.target_px_range and not 0 < self.target_px_range[0] <= self.target_px_range[1]:
            raise ValueError(
                f"target_px_range needs 0 < low <= high, got {list(self.target_px_range)}"
            )
        if self.offset_range[0] > self.offset_range[1]:
            raise ValueError(f"offset_range needs low <= high, got {list(self.offset_range)}")
        if not self.frame_strides or min(self.frame_strides) < 1:
            raise ValueError(f"frame_strides needs values >= 1, got {list(self.frame_strides)}")
        if self.crop_hw and min(self.crop_hw) < 1:
            raise ValueError(f"crop_hw needs positive sides, got {list(self.crop_hw)}")
        check_area("crop_hw", self.crop_hw)


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation."""

    seed: int = Field(default=0, ge=0)
    """Fixes initial weights, order of clips and augmentation."""
    initial_weights: str | None = None
    """Where to start from: name of shipped weights, or a file, of the same ``model``. None starts
    from random weights."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training windows."""
    epoch_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the windows, drawn anew each epoch."""
    epoch_windows: int | None = Field(default=None, ge=1)
    """Windows of an epoch as a number in place of a share, so that a recipe makes as many steps
    whatever footage is left out."""
    batch_size: int = Field(default=4, ge=1, le=65_536)
    """Windows per step over all processes together."""
    num_workers: int = Field(default=0, ge=0, le=256)
    """Loader processes per training process; 0 loads in the training process."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """Peak rate for a batch of 64 key frames with `sgd` (scaled linearly), as is with `adamw`."""
    momentum: float = Field(default=0.937, ge=0, lt=1)
    """Of SGD; beta1 of AdamW."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """On convolution weights only, not on BatchNorm and biases."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs of linear rise from 0."""
    final_rate_fraction: float = Field(default=0.05, ge=0, le=1)
    """Cosine ends at this share of the peak rate."""
    ema_decay: float = Field(default=0.9999, ge=0, lt=1)
    """Of the averaged weights that are validated and saved; 0 turns averaging off."""
    clip_grad_norm: float = Field(default=10.0, gt=0)
    """Largest joint gradient norm."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Autocast type; `auto` takes bf16 on GPUs that have it and fp32 elsewhere."""
    motion_loss_weight: float = Field(default=1.0, ge=0)
    """Weight of the motion loss where ``model.motion_loss`` builds it."""
    consistency_loss_weight: float = Field(default=0.1, ge=0)
    """Weight of the loss of ``model.pyramid.dgr.type`` `consistency`."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    letterbox_on_device: bool = False
    """Send frames to the device at their own size and bring them to ``model.input_hw`` there. This
    spares loader and bus where that size is larger. All frames then need one size."""
    channels_last: bool = False
    """Keep the channels of a pixel together in memory, which convolutions of GPUs prefer."""
    num_threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 leaves PyTorch's choice."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between validations; the last epoch is always validated."""
    diagnostics: bool = False
    """Measure gradients by level and source, and draw features, after every epoch."""
    missing_references: MissingReferences = "first_frame"
    """With ``model.background``, what replaces reference frames that would lie before a sequence.
    `first_frame`: its first frame, as for the weights that ship. `later_frames`: as in streams."""
    augment: AugmentConfig = AugmentConfig()
    """Augmentation."""

    def __post_init__(self) -> None:
        """Check what excludes each other."""
        if self.epoch_windows is not None and self.epoch_fraction != 1:
            raise ValueError(
                "epoch_windows and epoch_fraction exclude each other; set one of them"
            )
