"""Small videos of many containers and clocks whose frames tell their time in the pixels."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

HW = (48, 64)


def level(index: int) -> int:
    return 30 + 37 * index % 200


def scene(index: int, hw: tuple[int, int] = HW) -> np.ndarray:
    """Smooth levels; the block at the top left tells the index."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    image = 127 + 60 * np.sin(columns / 17 + index / 9) + 45 * np.cos(rows / 13)
    image[:16, :16] = level(index)
    return image.clip(0, 255).astype(np.uint8)


def tells(pixels: np.ndarray, index: int) -> bool:
    return bool(abs(pixels[4:12, 4:12].mean() - level(index)) < 9)


def write_video(
    path: Path,
    indices: Iterable[int],
    *,
    times: Iterable[int] | None = None,
    tick: Fraction = Fraction(1, 25),
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container_format: str | None = None,
    options: dict[str, str] | None = None,
    lost_packets: Iterable[int] = (),
    metadata: dict[str, str] | None = None,
    **container_options: str,
) -> Path:
    """Write the scenes of ``indices``, shown at ``times`` (the indices themselves by default)."""
    lost = set(lost_packets)
    num_packets = 0
    with av.open(
        str(path), "w", format=container_format, container_options=container_options
    ) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = HW
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = tick
        stream.time_base = tick
        stream.metadata.update(metadata or {})
        indices = list(indices)
        frames = [
            (index, time)
            for index, time in zip(indices, indices if times is None else times, strict=True)
        ]
        for item in [*frames, None]:
            frame = None
            if item is not None:
                rgb = np.repeat(scene(item[0])[..., None], 3, axis=2)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = int(item[1]), tick
            for packet in stream.encode(frame):
                if num_packets not in lost:
                    container.mux(packet)
                num_packets += 1
    return path


def write_streams(path: Path, *, default: int | None, sizes: list[tuple[int, int]]) -> Path:
    """Write a video with sound and a stream of each size; one may be marked as the default."""
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("aac", rate=16000, layout="mono")
        streams: list[Any] = []
        for number, hw in enumerate(sizes):
            stream: Any = container.add_stream("libx264", rate=25)
            stream.height, stream.width = hw
            stream.pix_fmt = "yuv420p"
            stream.disposition = 1 if number == default else 0
            streams.append(stream)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate = 16000
        container.mux(sound.encode(silence))
        for index in range(10):
            for stream, hw in zip(streams, sizes, strict=True):
                rgb = np.repeat(scene(index, hw)[..., None], 3, axis=2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        for stream in [sound, *streams]:
            container.mux(stream.encode(None))
    return path
