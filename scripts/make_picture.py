"""Draw the picture of the README: a frame of the generated sample with its tracks.

python scripts/make_picture.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample" / "sample.mp4"
PICTURE = ROOT / "docs" / "picture.png"
SHOWN = 115
CROP = (0, 190, 512, 512)
"""Left, top, right, bottom of what is kept, pixels; the sky above holds no target."""


def main() -> None:
    """Track the sample with the shipped weights and keep one drawn frame."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stdet", "track", str(SAMPLE), "--out", folder]
        subprocess.run(command, check=True)
        drawn = _frame(Path(folder) / SAMPLE.name, SHOWN)
    drawn.crop(CROP).save(PICTURE, optimize=True)
    print(PICTURE)


def _frame(video: Path, number: int) -> Image.Image:
    """Decode one frame of a video in colour."""
    import av

    with av.open(video) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                image: Image.Image = frame.to_image()
                return image
    raise SystemExit(f"{video} has no frame {number}.")


if __name__ == "__main__":
    main()
