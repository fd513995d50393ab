"""Every configuration dataclass.

A configuration is defaults < YAML < ``--set key=value``. YAML files hold what differs from the
defaults; ``settings_file.py`` reads them. Components receive their own part, never the whole
``StdetConfig``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from stdet.files.settings_file import Layer, check_settings, read_settings, settings_to_dict
from stdet.files.yaml_file import dump_yaml

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

_MAX_INPUT_PIXELS = 32_000_000
"""Pixels of a frame as the network sees it; the largest of thermal cameras has 20 million."""

BoxKind = Literal["box", "point", "core"]
"""What a label's box says of the target; see ``DataConfig.boxes``."""

MissingReferences = Literal["first_frame", "later_frames"]
"""What replaces reference frames before a sequence; see ``TrainConfig.missing_references``."""


def _check_pattern(pattern: str | None) -> None:
    """Refuse a pattern that is no regular expression or finds neither sequence nor frame."""
    if pattern is None:
        return
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"sequence_pattern is no regular expression ({error})") from error
    if not groups or not groups <= {"sequence", "frame"}:
        raise ValueError(
            "sequence_pattern needs a group (?P<sequence>...), a group (?P<frame>[0-9]+) or both, "
            f"and no other named group; got {', '.join(sorted(groups)) or 'none'}"
        )


def _check_area(name: str, hw: tuple[int, int] | None) -> None:
    """Refuse a size that no memory holds, for every frame of a clip."""
    if hw and hw[0] * hw[1] > _MAX_INPUT_PIXELS:
        raise ValueError(f"{name} {list(hw)} is more than {_MAX_INPUT_PIXELS:,} pixels")


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class SourceConfig:
    """Further training material beside the main data set."""

    root: Path
    """Folder of the data set."""
    format: Literal["coco", "text", "videos", "mot", "centroids"]
    """Layout on disk; as ``data.format``."""
    annotations: Path
    """Annotation file or folder, relative to ``root``."""
    sequences: tuple[str, ...] = ()
    """Names to take; empty takes all."""
    excluded_sequences: tuple[str, ...] = ()
    """Names to leave out."""
    boxes: BoxKind = "box"
    """As ``data.boxes``."""
    sequence_pattern: str | None = None
    """As ``data.sequence_pattern``."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the windows of an epoch, relative to the other sources' weights."""
    max_frames: int | None = Field(default=None, gt=0)
    """Longer sequences are cut to this many frames around their middle; None takes all."""

    def __post_init__(self) -> None:
        """Check the pattern."""
        _check_pattern(self.sequence_pattern)


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class DataConfig:
    """Where sequences come from and how clips are cut from them."""

    root: Path = Path("data/daub")
    """Folder of the data set; relative paths start at the working directory."""
    format: Literal["coco", "text", "videos", "mot", "centroids"] = "coco"
    """Layout on disk: COCO JSON, text list, folder of videos with boxes, MOTChallenge folders,
    CSV of centroids."""
    boxes: BoxKind = "box"
    """What the boxes say, in training: `box` the target's extent; `point` only its centre, so that
    a target's box is ``train.augment.min_box_px`` wide at any zoom (DAUB); `core` that the target
    is a bright or dark core somewhere inside (loose boxes), which is measured in the frame."""
    sequence_pattern: str | None = None
    """Which sequence and frame an image is, where files do not state it and folders and names do
    not tell: a regular expression that is searched in the image's path, with a group
    `(?P<sequence>...)`, a group `(?P<frame>[0-9]+)` or both. None takes what files, folders and
    names say."""
    train_annotations: Path = Path("annotations/instances_train2017.json")
    """Annotation file of the training split, relative to ``root``. A folder for `mot`."""
    validation_annotations: Path | None = None
    """Annotation file of the validation split; None takes ``validation_sequences`` from train."""
    test_annotations: Path = Path("annotations/instances_test2017.json")
    """Annotation file of the test split, relative to ``root``."""
    train_sequences: tuple[str, ...] = ()
    """Names of the sequences to train on; empty takes all that are not for validation."""
    validation_sequences: tuple[str, ...] = ()
    """Names of the sequences of the training file that are held out for validation."""
    test_sequences: tuple[str, ...] = ()
    """Names of the sequences of the test file to score; empty takes all."""
    leaked_sequences: tuple[str, ...] = ()
    """Sequences of the test file that are copies of training frames; scores are given with and
    without them."""
    weight: float = Field(default=1.0, gt=0)
    """Share of this data set in the windows of an epoch where there are ``extra_sources``."""
    extra_sources: tuple[SourceConfig, ...] = ()
    """Further training material. Each source gets windows by its weight, whatever its size, and
    within a source a sequence by the square root of its length."""
    subsets: dict[str, str] = Field(default_factory=dict)
    """Further groups of sequences to give scores of: a title and the pattern of their names, such
    as `SCR 1 to 3: "scr1to3_*"`."""
    num_generated: int = Field(default=0, ge=0, le=10_000)
    """Generated sequences of 50 frames that are added to the training split."""
    generated_weight: float = Field(default=1.0, gt=0)
    """Share of the generated sequences in the windows of an epoch where there are
    ``extra_sources``."""
    generated_hot_spots_max: int = Field(default=2, ge=0, le=1000)
    """Most still hot spots in a generated sequence. They are unlabelled and look like hovering
    targets: many of them cost those (docs/decisions/0005)."""
    drop_invalid_boxes: bool = False
    """Leave out boxes that are NaN, empty or outside the frame instead of stopping."""
    max_megapixels: float = Field(default=32.0, gt=0)
    """Largest area of a frame, 10^6 pixels, of this data set and of ``extra_sources``: a file of a
    few kilobytes may declare a frame of gigabytes."""
    window_extra: int = Field(default=0, ge=0, le=256)
    """k: a window of T + k frames trains k + 1 key frames on shared per-frame features."""
    cache_megabytes: int = Field(default=2048, ge=0)
    """Memory for decoded frames in every loader process, in MB."""

    def __post_init__(self) -> None:
        """Check the pattern."""
        _check_pattern(self.sequence_pattern)


@dataclass(config=_STRICT, frozen=True, kw_only=True)
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
    gain_range: tuple[float, float] = (1.0, 1.0)
    """Contrast factor about the clip's mean, drawn log-uniformly."""
    offset_range: tuple[float, float] = (0.0, 0.0)
    """Brightness added, in units of the full scale."""
    gamma_range: tuple[float, float] = (1.0, 1.0)
    """Exponent, drawn log-uniformly."""
    noise_max: float = Field(default=0.0, ge=0)
    """Standard deviation of white noise is drawn from [0, this], in units of the full scale."""
    inject_targets_max: int = Field(default=0, ge=0, le=1000)
    """Up to so many synthetic moving targets are drawn into a clip and labelled."""
    inject_negatives_max: int = Field(default=0, ge=0, le=1000)
    """Up to so many still spots, bad pixels and burnt-in texts are drawn beside them, unlabelled.
    Still spots look like hovering targets: many of them cost those (docs/decisions/0005)."""
    min_box_px: float = Field(default=0.0, ge=0)
    """Boxes grow about their centre to at least this side after scaling and injection, pixels."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("scale_range", "gain_range", "gamma_range"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} needs 0 < low <= high, got [{low}, {high}]")
        if self.offset_range[0] > self.offset_range[1]:
            raise ValueError(f"offset_range needs low <= high, got {list(self.offset_range)}")
        if not self.frame_strides or min(self.frame_strides) < 1:
            raise ValueError(f"frame_strides needs values >= 1, got {list(self.frame_strides)}")
        if self.crop_hw and min(self.crop_hw) < 1:
            raise ValueError(f"crop_hw needs positive sides, got {list(self.crop_hw)}")
        _check_area("crop_hw", self.crop_hw)


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class BackboneConfig:
    """CSPDarknet: stem, dark2 .. dark5."""

    depth: float = Field(default=0.33, gt=0, le=8)
    """Multiplies the number of bottlenecks (3, 9, 9, 3)."""
    width: float = Field(default=0.50, ge=1 / 32, le=8)
    """Multiplies the channels (64, 128, 256, 512, 1024)."""
    num_stages: Literal[3, 4, 5] = 5
    """Stages including the stem; 5 ends at C5 (stride 32), 4 at C4, 3 at C3."""


Down = Literal["space_to_depth", "strided_conv", "max_pool", "blur_pool"]
"""Downsampling of the shortcut; see ``models/necks/bp_fpn.py``."""
Join = Literal["add", "concat"]
"""How the shortcut joins."""
DgrKind = Literal[
    "none",
    "lateral_scale",
    "topdown_scale",
    "straight_through",
    "gate",
    "consistency",
    "balance",
    "project",
]
"""Member of the family of gradient routings; see ``models/necks/dgr.py`` for each equation."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class GilsConfig:
    """Gradient-isolated low-level shortcut of BP-FPN."""

    enabled: bool = True
    """False leaves only the directional gradient regularisation."""
    down: Down = "space_to_depth"
    """The learned downsampling of the shallow feature map."""
    join: Join = "add"
    """How the downsampled map joins the output level."""
    isolated: bool = True
    """False lets the gradient flow back into the shallow map: the control of an ablation."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class DgrConfig:
    """Directional gradient regularisation of BP-FPN."""

    type: DgrKind = "none"
    """Member of the family; see ``models/necks/dgr.py`` for each equation."""
    scale: float = Field(default=0.5, ge=0, le=1)
    """a of `lateral_scale` and `topdown_scale`: gradients are multiplied by it; 0 detaches."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class PyramidConfig:
    """Per-frame pyramid; yields one level."""

    type: Literal["fpn", "high_resolution", "hourglass", "bp_fpn"] = "fpn"
    """Plain top-down FPN, FPN with an output one octave finer, hourglass FPN, or BP-FPN."""
    output_stride: Literal[4, 8, 16] = 8
    """feature_stride of the plain FPN's output in input pixels; `high_resolution` has half."""
    channels: int | None = Field(default=None, gt=0, le=8192)
    """Channels of the output level; None keeps those of the backbone level of its stride."""
    hourglass_repeats: int = Field(default=1, ge=1, le=16)
    """Ways down and up again after the first way up; used by `hourglass` only."""
    gils: GilsConfig = GilsConfig()
    """Used by `bp_fpn` only."""
    dgr: DgrConfig = DgrConfig()
    """Used by `bp_fpn` only."""

    @property
    def feature_stride(self) -> int:
        """feature_stride of the level that the head sees, in input pixels."""
        return self.output_stride // (2 if self.type == "high_resolution" else 1)

    @property
    def has_consistency_loss(self) -> bool:
        """Whether training adds the loss of DGR's `consistency`."""
        return self.type == "bp_fpn" and self.dgr.type == "consistency"


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class TemporalConfig:
    """Fusion of T per-frame feature maps into those of the key frame."""

    type: Literal["motion_coupling"] = "motion_coupling"
    """Module: the published motion coupling; see ``models/temporal``."""
    num_frames: int = Field(default=5, ge=2, le=64)
    """T."""
    frame_stride: int = Field(default=1, ge=1)
    """Source frames per step of the clip."""
    num_future_frames: int = Field(default=0, ge=0)
    """Frames of the clip after the key frame; 0 is causal, with the key frame last."""
    expansion: float = Field(default=2.0, gt=0, le=16)
    """Hidden channels of each two-convolution block of `motion_coupling`, as a multiple of the
    channels."""
    residual: bool = False
    """Add the key frame's own features to those of `motion_coupling`; not part of the published
    module."""

    def __post_init__(self) -> None:
        """Check that the key frame lies within the clip."""
        if self.num_future_frames >= self.num_frames:
            raise ValueError(
                f"num_future_frames {self.num_future_frames} must be below num_frames "
                f"{self.num_frames}"
            )


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class HeadConfig:
    """YOLOX decoupled head."""

    channels: int = Field(default=256, gt=0, le=8192)
    """Width of the head."""
    num_convs: int = Field(default=2, ge=1, le=64)
    """3x3 convolutions in each of the two branches."""
    num_classes: int = Field(default=1, ge=1, le=10_000)
    """Classes."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class ModelConfig:
    """The detector."""

    name: str = "unnamed"
    """Shown in tables and stored with the weights."""
    in_channels: Literal[1, 3] = 3
    """1 for grey input, 3 to repeat grey three times as published."""
    background: bool = False
    """Give the network three more channels: what moves against the registered background,
    how far it stands out there, and how far in the frame itself
    (``background_features.py``). Not part of the published method."""
    input_hw: tuple[int, int] | None = None
    """Letterbox size (height, width) in pixels; None keeps the native resolution."""
    pixel_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Subtracted, per channel, in units of the full scale."""
    pixel_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Divided by, per channel."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone."""
    pyramid: PyramidConfig = PyramidConfig()
    """Pyramid."""
    temporal: TemporalConfig = TemporalConfig()
    """Temporal fusion."""
    head: HeadConfig = HeadConfig()
    """Head."""
    motion_loss: bool = False
    """Build the training-only cross-slice ConvLSTM of the motion loss."""
    motion_channels: int = Field(default=64, gt=0, le=1024)
    """Hidden channels of that ConvLSTM."""

    def __post_init__(self) -> None:
        """Check what spans several fields."""
        if len(self.pixel_mean) != self.in_channels or len(self.pixel_std) != self.in_channels:
            raise ValueError(
                f"pixel_mean and pixel_std need {self.in_channels} values (in_channels), got "
                f"{len(self.pixel_mean)} and {len(self.pixel_std)}"
            )
        if min(self.pixel_std) <= 0:
            raise ValueError(f"pixel_std needs positive values, got {list(self.pixel_std)}")
        deepest = 2**self.backbone.num_stages
        if self.pyramid.output_stride >= deepest:
            raise ValueError(
                f"pyramid.output_stride {self.pyramid.output_stride} needs a deeper backbone than "
                f"num_stages {self.backbone.num_stages} (stride {deepest})"
            )
        if self.input_hw and any(side < 1 or side % deepest for side in self.input_hw):
            raise ValueError(
                f"input_hw {list(self.input_hw)} must be positive multiples of {deepest}"
            )
        _check_area("input_hw", self.input_hw)


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation."""

    seed: int = Field(default=0, ge=0)
    """Fixes initial weights, order of clips and augmentation."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training windows."""
    epoch_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the windows, drawn anew each epoch."""
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
    """Send frames to the device at their own size and bring them to ``model.input_hw`` there,
    which spares loader and bus where that size is larger; all frames then need one size."""
    channels_last: bool = False
    """Keep the channels of a pixel together in memory, which convolutions of GPUs prefer."""
    num_threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 leaves PyTorch's choice."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between validations; the last epoch is always validated."""
    diagnostics: bool = False
    """Measure gradients by level and source, and draw features, after every epoch."""
    missing_references: MissingReferences = "first_frame"
    """With ``model.background``, what replaces reference frames that would lie before a sequence:
    its first frame, as for the weights that ship, or later frames, as in every stream."""
    augment: AugmentConfig = AugmentConfig()
    """Augmentation."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class PostprocessConfig:
    """Head outputs to detections."""

    confidence: float | None = Field(default=None, ge=0, le=1)
    """Operating point: detections below this score begin no track (see
    ``tracker.continue_share``) and do not count in P/R/F1 and Pd/Fa. None takes the one stored
    with the weights, chosen on validation or set by the recipe."""
    score_floor: float = Field(default=0.001, ge=0, le=1)
    """Detections that the detector scores below this are dropped; scores of paths may be lower."""
    nms_iou: float = Field(default=0.4, gt=0, le=1)
    """Overlap above which the weaker of two boxes is dropped."""
    max_detections: int = Field(default=300, ge=1, le=100_000)
    """Per frame."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class TrackerConfig:
    """Scores by paths; a constant-velocity Kalman filter; association by centre distance."""

    lookahead: int | None = Field(default=5, ge=0)
    """Detections are scored by the path they lie on, in all earlier frames and this many later
    ones, which delays the output by as many frames. None keeps the detector's own scores."""
    confirm_hits: int = Field(default=1, ge=1)
    """M: a track is confirmed after M hits ..."""
    confirm_window: int = Field(default=1, ge=1)
    """N: ... within N frames. The score of a path has counted hits already: 0.5 takes four in a
    row of score 0.999, or seven of 0.9. With ``lookahead`` None and a loose operating point, 3
    within 5 keeps clutter out (docs/decisions/0015)."""
    max_coast: int = Field(default=2, ge=0)
    """Frames that a confirmed track goes on without a detection, on its prediction."""
    max_lost: int = Field(default=20, ge=0)
    """Frames without a detection after which a confirmed track is forgotten. Beyond ``max_coast``
    it is not shown; found again, it has its id back."""
    continue_share: float = Field(default=0.7, gt=0, le=1)
    """Detections from this share of the operating point on continue a track that is shown; those
    below the operating point start none."""
    measurement_std_px: float = Field(default=1.0, gt=0)
    """Standard deviation of a detected centre, pixels."""
    acceleration_std_px: float = Field(default=1.0, gt=0)
    """Standard deviation of the white acceleration, pixels per frame squared."""
    initial_speed_std_px: float = Field(default=4.0, gt=0)
    """Standard deviation of a new track's velocity, pixels per frame."""
    gate_sigma: float = Field(default=4.0, gt=0)
    """Largest Mahalanobis distance of an association, standard deviations."""
    gate_px: float = Field(default=30.0, gt=0)
    """Largest centre distance of an association, pixels."""
    size_smoothing: float = Field(default=0.3, gt=0, le=1)
    """Weight of the newest box size in the smoothed size."""

    def __post_init__(self) -> None:
        """Check that confirmation can happen, and that what is shown is not forgotten."""
        if self.confirm_hits > self.confirm_window:
            raise ValueError(
                f"confirm_hits {self.confirm_hits} cannot exceed confirm_window "
                f"{self.confirm_window}"
            )
        if self.max_coast > self.max_lost:
            raise ValueError(f"max_coast {self.max_coast} cannot exceed max_lost {self.max_lost}")


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class EvaluationConfig:
    """Rules of the metrics."""

    pd_radius_px: float = Field(default=3.0, gt=0)
    """A detection hits when its centre lies strictly closer than this, pixels."""
    track_gate_px: float = Field(default=8.0, gt=0)
    """Largest centre distance at which a track and a truth match, pixels."""
    link_gate_px: float = Field(default=30.0, gt=0)
    """Largest step when truth without identities is linked into trajectories, pixels."""
    roc_max_false_alarms_per_frame: float = Field(default=1.0, gt=0)
    """The partial area under the ROC ends here, false alarms per frame."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class StdetConfig:
    """Everything a run needs to know."""

    data: DataConfig = DataConfig()
    """Data."""
    model: ModelConfig = ModelConfig()
    """Model."""
    train: TrainConfig = TrainConfig()
    """Training."""
    postprocess: PostprocessConfig = PostprocessConfig()
    """Postprocessing."""
    tracker: TrackerConfig = TrackerConfig()
    """Tracker."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation."""

    def __post_init__(self) -> None:
        """Check what spans several sections."""
        kinds = [self.data.boxes, *(source.boxes for source in self.data.extra_sources)]
        if "point" in kinds and self.train.augment.min_box_px == 0:
            raise ValueError(
                "boxes: point gives targets boxes of train.augment.min_box_px, which is 0; set it"
            )


def load_config(
    path: str | Path | None, overrides: Sequence[str] = (), *, changes: Sequence[Layer] = ()
) -> StdetConfig:
    """Read a YAML file and apply ``key=value`` overrides.

    Args:
        path: YAML file; ``include`` names files read before it. None for the defaults.
        overrides: Such as ``train.learning_rate=1e-4``; values are read as YAML.
        changes: Further values, laid over these.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: If a file is missing or not YAML, or any key or value is wrong; all of them
            are listed, unknown keys with the nearest known one.
    """
    return read_settings(StdetConfig, path, overrides, changes=changes)


def config_from_dict(values: dict[str, Any], *, where: str) -> StdetConfig:
    """Check a nested dict of values; ``where`` names its origin in errors.

    Raises:
        ConfigError: Listing every unknown key and wrong value.
    """
    return check_settings(StdetConfig, values, where=where)


def config_to_dict(config: StdetConfig) -> dict[str, Any]:
    """Return the configuration as plain values that JSON and YAML can hold."""
    return settings_to_dict(config)


def config_to_yaml(config: StdetConfig) -> str:
    """Return every value, defaults included, as YAML that ``load_config`` reads."""
    return dump_yaml(config_to_dict(config))


def save_config(config: StdetConfig, path: Path) -> None:
    """Write ``config_to_yaml``."""
    path.write_text(config_to_yaml(config), encoding="utf-8")
