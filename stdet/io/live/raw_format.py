"""Raw frames without a header: what the user says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from stdet.errors import ConfigError, shown
from stdet.io.frame_source import RawImage

DTYPES = {"gray8": "u1", "gray16le": "<u2", "gray16be": ">u2"}
"""Names of the pixel formats, and what they are in NumPy."""

_PATTERN = re.compile(r"0*([1-9]\d{0,4})x0*([1-9]\d{0,4}):(\w+)(?:@(\d{1,4}(?:\.\d{1,6})?))?")


@dataclass(frozen=True, kw_only=True)
class RawFormat:
    """How raw frames lie in a stream of bytes: row by row, without padding.

    Attributes:
        hw: Height and width, pixels.
        pixels: A key of ``DTYPES``.
        fps: Frames per second, None where not stated.
    """

    hw: tuple[int, int]
    pixels: str
    fps: float | None

    @classmethod
    def parse(cls, text: str) -> RawFormat:
        """Read ``WIDTHxHEIGHT:PIXELS@FPS``; ``@FPS`` may be left out.

        Raises:
            ConfigError: If it is something else.

        Example:
            >>> RawFormat.parse("640x512:gray16le@25")
            RawFormat(hw=(512, 640), pixels='gray16le', fps=25.0)
        """
        found = _PATTERN.fullmatch(text)
        fps = None if found is None or found[4] is None else float(found[4])
        if found is None or found[3] not in DTYPES or fps == 0:
            raise ConfigError(
                f"--raw {shown(text)}: expected WIDTHxHEIGHT:PIXELS@FPS, such as "
                f"640x512:gray16le@25; PIXELS is one of {', '.join(DTYPES)}."
            )
        return cls(hw=(int(found[2]), int(found[1])), pixels=found[3], fps=fps)

    @property
    def bits(self) -> int:
        """Bits per pixel."""
        return 8 if self.pixels == "gray8" else 16

    @property
    def num_bytes(self) -> int:
        """Bytes of a frame."""
        return self.hw[0] * self.hw[1] * self.bits // 8

    def image(self, data: bytes) -> RawImage:
        """Return the levels of a frame, uint8 or uint16 (H, W)."""
        levels = np.frombuffer(data, DTYPES[self.pixels]).reshape(self.hw)
        return levels if self.bits == 8 else levels.astype(np.uint16)
