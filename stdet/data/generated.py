"""Generated sequences as training material beside real ones; off by default.

Six short segments show few backgrounds and one target at a time. Generated scenes add skies,
treelines and ground under a moving camera, and several targets at once. They hold no still hot
spots: real targets hover, and a network told that still spots are clutter loses them
(``docs/decisions/0005-generated-scenes.md``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stdet.data.memory_source import MemorySource
from stdet.data.sequences import Sequence
from stdet.data.synthetic import SyntheticConfig, generate

NUM_FRAMES = 40
"""Length of a generated sequence, frames."""


def generated_sequences(num_sequences: int, *, seed: int) -> list[Sequence]:
    """Generate sequences of 40 frames of 256x256, each with its own scene, camera and targets.

    Args:
        num_sequences: How many; 0 for none.
        seed: Fixes all of them.
    """
    sequences = []
    for number in range(num_sequences):
        config = _draw(np.random.default_rng([seed, number]), f"generated_{seed}_{number}")
        images, truth = generate(config)
        assert images.dtype == np.uint8
        source = MemorySource(config.name, images.astype(np.uint8, copy=False), fps=config.fps)
        sequences.append(
            Sequence(
                group="generated", annotation=truth, source=source, files=(Path(config.name),)
            )
        )
    return sequences


def _draw(rng: np.random.Generator, name: str) -> SyntheticConfig:
    """Draw one scene. Peaks are in noise deviations, so weak noise comes with higher ratios."""
    noise = float(rng.uniform(1.0, 4.0))
    weakest = float(rng.uniform(12.0, 20.0)) / noise
    return SyntheticConfig(
        name=name,
        seed=int(rng.integers(1 << 31)),
        num_frames=NUM_FRAMES,
        num_targets=int(rng.integers(1, 5)),
        speed_range=(0.2, 3.0),
        contrast_range=(weakest, 4 * weakest),
        target_sigma_range=(0.5, 1.8),
        noise_std=noise,
        drift_xy=(float(rng.uniform(-1, 1)), float(rng.uniform(-0.3, 0.3))),
        jitter_px=float(rng.uniform(0, 0.4)),
        horizon=float(np.clip(rng.uniform(-0.2, 1.2), 0, 1)),
        num_hot_spots=0,
    )
