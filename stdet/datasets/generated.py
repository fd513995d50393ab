"""Generated sequences as training material beside real ones; off by default.

Scenes are drawn from broad ranges (``stdet.synthesis.SceneConfig``) of backgrounds, cameras,
targets, distractors and sensors. A sequence is generated whole when it is first looked at, from
its seed, in whatever process asks for it; only seeds travel to the loader's processes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.datasets.sequences import LabelledSequence
from stdet.io.frame_source import (
    EIGHT_BIT_SCALE,
    ClosesOnExit,
    Frame,
    IntensityScale,
    RawImage,
    frame_range,
    measure_intensity,
)
from stdet.synthesis import RealBackground, SceneConfig, generate
from stdet.types import SequenceAnnotation

GENERATED_GROUP = "generated"
"""Group of all generated sequences."""


class GeneratedSource(ClosesOnExit):
    """Frames that are generated on first use, as a ``FrameSource``.

    Pickled before that use, it carries its settings and its seed, not its frames.

    Args:
        config: Ranges of the scene.
        seed: Fixes the sequence.
        name: Of the sequence.
        background: Real frames, where ``config`` asks for them.
    """

    def __init__(
        self,
        config: SceneConfig,
        *,
        seed: int,
        name: str,
        background: RealBackground | None = None,
    ) -> None:
        """Remember what to generate."""
        self.config = config
        self.seed = seed
        self.name = name
        self.background = background
        self.path = Path(name)
        self.hw = config.hw
        self.fps: float | None = config.fps
        self.bit_depth: int = config.sensor.bit_depth
        self.num_declared: int | None = config.num_frames
        self.gaps: frozenset[int] = frozenset()
        self._made: tuple[NDArray[np.uint8] | NDArray[np.uint16], SequenceAnnotation] | None = None
        self._scale: IntensityScale | None = None

    @property
    def truth(self) -> SequenceAnnotation:
        """The truth of the whole sequence."""
        return self._generate()[1]

    def _generate(self) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], SequenceAnnotation]:
        """Return frames and truth, generated on the first call and kept."""
        if self._made is None:
            made = generate(
                self.config, seed=self.seed, name=self.name, background=self.background
            )
            self._made = made.frames, made.truth
        return self._made

    @property
    def scale(self) -> IntensityScale:
        """The map of levels to [0, 1]."""
        if self.bit_depth == 8:
            return EIGHT_BIT_SCALE
        if self._scale is None:
            self._scale = measure_intensity(
                self.read, self.config.num_frames, container_bits=self.bit_depth
            ).scale
        return self._scale

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames start .. stop - 1."""
        for index in frame_range(self.config.num_frames, start, stop):
            yield Frame(index=index, pixels=self.read(index))

    def read(self, index: int) -> RawImage:
        """Return one frame, uint8 or uint16 (H, W)."""
        image: RawImage = self._generate()[0][index]
        return image


class GeneratedSequence(LabelledSequence):
    """A sequence whose frames and truth are generated on first use.

    Args:
        source: What to generate.
    """

    def __init__(self, source: GeneratedSource) -> None:
        """Take the place of the dataclass's fields; the truth waits for the frames."""
        object.__setattr__(self, "group", GENERATED_GROUP)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "files", (Path(source.name),))

    @property
    def annotation(self) -> SequenceAnnotation:
        """The truth."""
        return self._generated.truth

    @property
    def name(self) -> str:
        """The name of the sequence."""
        return self._generated.name

    def __len__(self) -> int:
        """Return the number of frames, which is known before they are generated."""
        return self._generated.config.num_frames

    @property
    def _generated(self) -> GeneratedSource:
        assert isinstance(self.source, GeneratedSource)
        return self.source


def generated_sequences(
    num_sequences: int,
    *,
    seed: int,
    config: SceneConfig | None = None,
    hot_spots_max: int | None = None,
) -> list[LabelledSequence]:
    """List sequences, each with its own scene, camera, targets and sensor; none is drawn yet.

    Args:
        num_sequences: How many; 0 for none.
        seed: Fixes all of them.
        config: Ranges; None for the broad ones of ``SceneConfig``.
        hot_spots_max: Most still hot spots in a sequence, None for what ``config`` says. They are
            hard negatives that look like hovering targets; see ``docs/decisions/0005``.

    Example:
        >>> [sequence.name for sequence in generated_sequences(2, seed=5)]
        ['generated_5_0', 'generated_5_1']
    """
    ranges = config or SceneConfig()
    if hot_spots_max is not None:
        distractors = dataclasses.replace(ranges.distractors, hot_spots_range=(0, hot_spots_max))
        ranges = dataclasses.replace(ranges, distractors=distractors)
    return [
        GeneratedSequence(
            GeneratedSource(
                ranges, seed=sequence_seed(seed, number), name=f"generated_{seed}_{number}"
            )
        )
        for number in range(num_sequences)
    ]


def sequence_seed(seed: int, number: int) -> int:
    """Return the seed of one of many sequences; neighbours share no stream of chance."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
