"""The example of docs/examples/mavlink.py, over a socket of this machine."""

import json
import runpy
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "docs/examples/mavlink.py"


def test_example_is_short():
    assert len(PATH.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.filterwarnings("ignore")
def test_strongest_track_arrives_as_shares_of_the_picture(monkeypatch):
    mavutil = pytest.importorskip("pymavlink.mavutil")
    monkeypatch.setenv("MAVLINK20", "1")
    example = runpy.run_path(str(PATH))
    receiver = mavutil.mavlink_connection("udpin:127.0.0.1:0", dialect="common")
    try:
        port = receiver.port.getsockname()[1]
        strong = {"track_id": 2, "box_xyxy": [64.0, 128.0, 72.0, 132.0], "score": 0.9}
        weak = {"track_id": 1, "box_xyxy": [0.0, 0.0, 4.0, 4.0], "score": 0.4}
        lines = [
            {"type": "start", "image_hw": [512, 640]},
            {"type": "frame", "frame_index": 0, "tracks": [weak, strong]},
            {"type": "event", "event": "lost", "at": "", "text": ""},
            {"type": "frame", "frame_index": 1, "tracks": []},
            {"type": "end"},
        ]
        example["send"](map(json.dumps, lines), f"udpout:127.0.0.1:{port}")
        kind = "CAMERA_TRACKING_IMAGE_STATUS"
        found, none = (receiver.recv_match(type=kind, blocking=True, timeout=5) for _ in "ab")
    finally:
        receiver.close()
    assert found.tracking_status == 1
    assert found.point_x == pytest.approx(68 / 640)
    assert found.point_y == pytest.approx(130 / 512)
    assert (found.rec_top_x, found.rec_bottom_y) == pytest.approx((0.1, 132 / 512))
    assert none.tracking_status == 0
    assert none.point_x != none.point_x
