"""Generated infrared sequences with exact truth: settings and a seed in, frames and truth out.

from stdet.synthesis import SceneConfig, generate
made = generate(SceneConfig(num_frames=50), seed=7)
made.frames, made.truth, made.masks, made.rows
"""

from stdet.synthesis.plan import Plan, RealBackground, plan_sequence, resolve_scene
from stdet.synthesis.sequence import Synthesised, TargetRow, generate
from stdet.synthesis.settings import SceneConfig, draw_scene

__all__ = [
    "Plan",
    "RealBackground",
    "SceneConfig",
    "Synthesised",
    "TargetRow",
    "draw_scene",
    "generate",
    "plan_sequence",
    "resolve_scene",
]
