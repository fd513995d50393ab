"""The three outputs of `stdet track`, from the first frame to whatever ends the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError, StdetError
from stdet.formats.mot import MotWriter
from stdet.formats.track_json import TrackJsonWriter
from stdet.inference.output_names import OutputNames, choose_names
from stdet.inference.stages.frames import TrackedFrame
from stdet.io.video.writer import VideoWriter
from stdet.processes.interrupts import uninterrupted


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a run has left.

    Attributes:
        paths: Files, in the order MOT, JSON, video; empty where nothing was kept.
        note: The same as a sentence.
    """

    paths: tuple[Path, ...]
    note: str


class FrameOutputs(Protocol):
    """What takes the frames of a run.

    Attributes:
        num_frames: Frames taken.
    """

    num_frames: int

    @property
    def footer(self) -> dict[str, Any]:
        """What is known at the end, to be set before it."""

    def write(self, frame: TrackedFrame, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Take one frame; ``draw`` returns the annotated one, uint8 (H, W, 3)."""


class NoOutputs:
    """Counts frames and writes nothing.

    Attributes:
        num_frames: Frames taken.
        footer: What is known at the end.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.num_frames = 0
        self.footer: dict[str, Any] = {}

    def write(self, frame: TrackedFrame, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Count a frame."""
        self.num_frames += 1


class TrackOutputs:
    """Writes a MOT file, a JSON and a video, which all hold the same frames.

    Nothing is opened before the first frame, so that a run that ends before it changes nothing.
    Where the video fails (disk full, encoder) it is dropped and the others go on.

    Args:
        names: What a complete run takes; see ``output_names.py`` for the others.
        header: First keys of the JSON.
        open_video: Opens the video under a name; None for no video.

    Attributes:
        num_frames: Frames written.
        video_problem: Why there is no video although one was wanted; None otherwise.
    """

    def __init__(
        self,
        names: OutputNames,
        header: Mapping[str, Any],
        open_video: Callable[[Path], VideoWriter] | None,
    ) -> None:
        """Remember what to write; nothing is opened yet."""
        self.names = names
        self.num_frames = 0
        self._first_index = 0
        self.video_problem: str | None = None
        self._mot = MotWriter(names.mot)
        self._json = TrackJsonWriter(names.json, header)
        self._open_video = open_video
        self._video: VideoWriter | None = None
        self._is_ended = False
        self._kept = Kept(paths=(), note="")

    @property
    def footer(self) -> dict[str, Any]:
        """Last keys of the JSON, to be set before the end."""
        return self._json.footer

    def write(self, frame: TrackedFrame, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Append one frame.

        Args:
            frame: With its detections and tracks.
            draw: Returns the annotated frame, uint8 (H, W, 3); called where there is a video.

        Raises:
            DataError: If the MOT file or the JSON cannot be written; neither holds the frame then.
        """
        image = draw() if self._open_video is not None and self.video_problem is None else None
        with uninterrupted():
            if not self.num_frames:
                self._mot.__enter__()
                self._json.__enter__()
            try:
                self._write_texts(frame)
            except DataError as error:
                if self._video is None:
                    raise
                # The video takes most of the room; without it the disk may have some.
                self._drop_video(error)
                self._write_texts(frame)
            if not self.num_frames:
                self._first_index = frame.index
            self.num_frames += 1
            if image is not None:
                # Holes take their time.
                self._write_video(image, position=frame.index - self._first_index)

    def finish(self, *, is_complete: bool) -> Kept:
        """Give the outputs their names, or drop them where nothing was found yet.

        Args:
            is_complete: Whether the frames are all that the run was asked for.

        Returns:
            What was kept; the same again at a second call.

        Raises:
            DataError: If a file cannot be finished or renamed.
        """
        if self._is_ended:
            return self._kept
        self._is_ended = True
        with uninterrupted():
            try:
                self._kept = self._take_names(is_complete=is_complete)
            finally:
                self._discard()
        return self._kept

    def end_early(self) -> str:
        """Keep what is whole after an error or an interruption, and say what that is.

        Returns:
            A sentence; empty where nothing is kept.
        """
        try:
            return self.finish(is_complete=False).note
        except StdetError as error:
            return f"What was found could not be kept: {error}"

    def _take_names(self, *, is_complete: bool) -> Kept:
        if not self.num_frames:
            return self._kept
        names = choose_names(self.names, num_frames=self.num_frames, is_complete=is_complete)
        if names is None:
            return Kept(
                paths=(),
                note=f"{self.names.partial.json} of an earlier run holds more than the "
                f"{self.num_frames} frames of this one, which are dropped.",
            )
        self._json.is_complete = is_complete
        self._json.footer["has_video"] = self._video is not None
        self._json.finish()  # Before the video, which may fill the disk with its end.
        self._finish_video()
        paths = [names.mot, names.json]
        self._json.commit(names.json)
        self._mot.commit(names.mot)
        if self._video is not None:
            self._video.close(names.video)
            paths.append(names.video)
        note = f"Kept {self.num_frames} frames in {', '.join(map(str, paths))}."
        if names != self.names:
            note += f" {self.names.json} of an earlier run stays: it holds more, or is complete."
        return Kept(paths=tuple(paths), note=note)

    def _write_texts(self, frame: TrackedFrame) -> None:
        """Append to both text files or to neither."""
        self._mot.write(frame.tracks)
        try:
            self._json.write(frame.detections, frame.tracks, frame.from_previous, frame.capture)
        except DataError:
            if len(frame.tracks):
                self._mot.undo()
            raise

    def _write_video(self, image: NDArray[np.uint8], *, position: int) -> None:
        """Draw on, until that fails."""
        assert self._open_video is not None
        try:
            if self._video is None:
                self._video = self._open_video(self.names.video)
            self._video.write(image, position=position)
        except DataError as error:
            self._drop_video(error)

    def _finish_video(self) -> None:
        """End the video, which may fail as drawing may."""
        try:
            if self._video is not None:
                self._video.finish()
        except DataError as error:
            self._drop_video(error)

    def _drop_video(self, error: DataError) -> None:
        """Go on without the video."""
        if self._video is not None:
            self._video.abort()
            self._video = None
        self.video_problem = str(error)

    def _discard(self) -> None:
        """Drop what has not got a name."""
        self._mot.discard()
        self._json.discard()
        if self._video is not None:
            self._video.abort()
