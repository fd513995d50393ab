"""What the classical methods are made of: a response map of a frame, with or without others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stdet.registration.registered_stream import RegisteredFrame
from stdet.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class SingleFrameMethod:
    """A method that looks at single frames.

    Attributes:
        respond: Response map of a frame in [0, 1], both float32 (H, W): high where a target may
            be, in units of its local RMS.
    """

    respond: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True)
class RegisteredMethod:
    """A method that compares a frame with its reference frames.

    Attributes:
        respond: Response map of a registered frame, float32 (H, W), as above; zeros where there
            are too few reference frames for the method.
        lags: Frames from a frame back to its reference frames, increasing.
    """

    respond: Callable[[RegisteredFrame], FloatArray]
    lags: tuple[int, ...]
