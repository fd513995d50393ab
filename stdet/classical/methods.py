"""The classical methods by name: which there are, where they operate, and how one is built.

This module imports nothing heavy, so that `--help` can name the methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from stdet.classical.detector import RegisteredMethod, SingleFrameMethod

Method = Literal["tophat", "lcm", "framediff", "rpca"]
"""Morphological top-hat, local contrast, registered differences, low rank plus sparse."""

METHODS: tuple[Method, ...] = get_args(Method)

OPERATING_POINTS: dict[Method, float] = {
    "tophat": 0.54,
    "lcm": 0.54,
    "framediff": 0.63,
    "rpca": 0.75,
}
"""Score thresholds with the best F1 on DAUB data13 and data14 together (`benchmarks/classical.py`
prints them), by track-before-detect scores. Registration and bad pixels of the last two were
chosen on all development footage (`docs/decisions/0011-registration-and-bad-pixels.md`)."""


def build_method(method: Method) -> SingleFrameMethod | RegisteredMethod:
    """Return a method, loaded when it is asked for."""
    from stdet.classical.detector import RegisteredMethod, SingleFrameMethod
    from stdet.classical.frame_difference import frame_difference
    from stdet.classical.local_contrast import patch_contrast
    from stdet.classical.low_rank import low_rank_residual
    from stdet.classical.top_hat import top_hat
    from stdet.registration.background_features import LAGS

    if method == "tophat":
        return SingleFrameMethod(respond=top_hat)
    if method == "lcm":
        return SingleFrameMethod(respond=patch_contrast)
    if method == "framediff":
        return RegisteredMethod(respond=frame_difference, lags=LAGS)
    return RegisteredMethod(respond=low_rank_residual, lags=LAGS)
