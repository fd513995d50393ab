"""The limit on the area of a frame, one for images and videos.

A file of a few kilobytes may declare a frame of gigabytes. The size in its header is compared with
the limit before a pixel is decoded; who has frames that large raises it (`--max-megapixels`,
`data.max_megapixels`). `stdet synth` has no such option: its frames are far smaller.
"""

from __future__ import annotations

from stdet.errors import DataError

MAX_MEGAPIXELS = 32.0
"""Default limit in 10^6 pixels; the largest thermal sensors have about 20."""

RAISE_IT = (
    "raise it with --max-megapixels (stdet track, stdet data check) or data.max_megapixels "
    "(settings); elsewhere make the frames smaller"
)


def check_area(
    hw: tuple[int, int],
    where: object,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    advice: str = RAISE_IT,
) -> None:
    """Check the size that a header declares, before anything is decoded.

    Args:
        hw: Height and width, pixels.
        where: The file, and the place in it, for the message.
        max_megapixels: The largest area allowed, 10^6 pixels.
        advice: What to do where the frame is really that large.

    Raises:
        DataError: If the frame has no pixels or too many.

    Example:
        >>> check_area((13300, 13300), "bomb.png")
        Traceback (most recent call last):
            ...
        stdet.errors.DataError: bomb.png: declares frames of 13300x13300 (176.9 megapixels), the
        limit is 32; raise it with --max-megapixels (stdet track, stdet data check) or
        data.max_megapixels (settings); elsewhere make the frames smaller.
    """
    height, width = hw
    if height < 1 or width < 1:
        raise DataError(f"{where}: declares frames of {width}x{height}; export it again.")
    megapixels = height * width / 1e6
    if megapixels > max_megapixels:
        raise DataError(
            f"{where}: declares frames of {width}x{height} ({megapixels:.4g} megapixels), the "
            f"limit is {max_megapixels:g}; {advice}."
        )
