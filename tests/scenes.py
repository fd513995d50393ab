"""Small generated sequences for tests: clear targets that stay in view, and nothing to fool."""

from dataclasses import dataclass

from stdet.synthesis import SceneConfig
from stdet.synthesis import generate as generate_scene
from stdet.synthesis.settings import NO_DISTRACTORS


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """What a test wants to vary."""

    name: str = "synthetic"
    seed: int = 0
    num_frames: int = 60
    hw: tuple[int, int] = (256, 256)
    fps: float = 25.0
    bit_depth: int = 8
    num_targets: int = 3
    num_hot_spots: int = 0
    box_min_px: float = 8.0

    def scene(self) -> SceneConfig:
        """Return the settings of the engine."""
        return SceneConfig(
            num_frames=self.num_frames,
            hw=self.hw,
            fps=self.fps,
            background={"kinds": ["horizon"], "contrast_range": [0.05, 0.08]},
            camera={"motions": ["pan"], "speed_range": [0.1, 0.2], "jitter_range": [0.0, 0.1]},
            targets={
                "num_range": [self.num_targets, self.num_targets],
                "size_range": [1.5, 2.5],
                "scr_range": [5.0, 9.0],
                "speed_range": [0.0, 2.0 / self.num_frames],
                "dark_probability": 0.0,
                "behind_probability": 0.0,
                "visible_probability": 1.0,
                "box_min_px": self.box_min_px,
            },
            distractors=NO_DISTRACTORS
            | {"hot_spots_range": [self.num_hot_spots, self.num_hot_spots]},
            sensor={
                "noise_range": [0.008, 0.012],
                "h264_probability": 0.0,
                "bit_depth": self.bit_depth,
            },
        )


def generate(config: SyntheticConfig):
    """Return frames (T, H, W) and their truth."""
    made = generate_scene(config.scene(), seed=config.seed, name=config.name)
    return made.frames, made.truth
