"""A live run without a camera and without a network, for the page that shows it."""

import json
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import numpy as np

from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.track import OperatingPoint
from stdet.io.frame_source import EIGHT_BIT_SCALE
from stdet.io.live.capture import Capture
from stdet.registration.frame_motion import NOT_REGISTERED
from stdet.types import Detections, Tracks

HW = (64, 80)


class FakeSource:
    """What the page asks of a live source."""

    hw = HW
    fps = 25.0
    scale = EIGHT_BIT_SCALE
    address = SimpleNamespace(label="rtsp://10.0.0.2/stream1")

    def __init__(self):
        self.noted = []

    def events(self):
        return list(self.noted)

    def note(self, event):
        self.noted.append(event)


class FakeTracker:
    """What the page asks of a tracker."""

    def __init__(self, confidence=0.35):
        self.operating_point = OperatingPoint(confidence)


def tracked_frame(index, *, track_ids=(1,), num_dropped=0, age_s=0.25):
    """A frame with a bright target per track, each moving by a pixel a frame, and a weak find."""
    image = np.full(HW, 60, np.uint8)
    image[::7, ::5] = 80
    boxes = []
    for row, _ in enumerate(track_ids):
        x, y = 6 + index % 60, 10 + 12 * row % 50
        image[y : y + 3, x : x + 3] = 220
        boxes.append([x, y, x + 3, y + 3])
    count = len(track_ids)
    found = [*boxes, [70.0, 50.0, 73.0, 53.0]]
    detections = Detections.from_unsorted(
        np.array(found, np.float32),
        np.array([0.9 - 0.01 * row for row in range(count)] + [0.1], np.float32),
        frame_index=index,
        image_hw=HW,
    )
    tracks = Tracks(
        frame_indices=np.full(count, index),
        track_ids=np.array(track_ids, np.int64),
        boxes_xyxy=np.array(boxes, np.float32).reshape(count, 4),
        scores=np.full(count, 0.9, np.float32),
        probabilities=np.full(count, 0.75, np.float32),
        class_ids=np.zeros(count, np.int64),
        detection_indices=np.arange(count),
    )
    now = time.monotonic()
    capture = Capture(utc=time.time() - age_s, monotonic=now - age_s, num_dropped=num_dropped)
    return TrackedFrame(
        index=index,
        time=index / 25,
        image=image,
        is_ignored=None,
        follows_gap=False,
        from_previous=NOT_REGISTERED,
        pose=None,
        capture=capture,
        detections=detections,
        tracks=tracks,
    )


def ask(url, *, data=None, headers=None, method=None):
    """Return status, headers and content of an answer; redirects are not followed."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with _OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def unpack(content):
    """Return the values and the picture of a message."""
    end = 4 + int.from_bytes(content[:4], "big")
    return json.loads(content[4:end]), content[end:]


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_OPENER = urllib.request.build_opener(_StayHere, urllib.request.ProxyHandler({}))
