"""Send the strongest track to an autopilot or ground station as CAMERA_TRACKING_IMAGE_STATUS.

    stdet track rtsp://camera/stream --jsonl - | python docs/examples/mavlink.py udpout:HOST:14550

Needs pymavlink. Places in the message are shares of the picture, 0 to 1 from its upper left.
"""

import json
import os
import sys
from collections.abc import Iterable

os.environ["MAVLINK20"] = "1"  # The message is one of MAVLink 2.

from pymavlink import mavutil

LINK = mavutil.mavlink
CAMERA = LINK.MAV_COMP_ID_CAMERA
PLACE = (
    *("point_x", "point_y", "radius"),
    *("rec_top_x", "rec_top_y", "rec_bottom_x", "rec_bottom_y"),
)


def status(tracks: list[dict], image_hw: tuple[int, int]) -> dict:
    """Return the fields of the message for the tracks on a frame."""
    if not tracks:
        nowhere = dict.fromkeys(PLACE, float("nan"))
        return {"tracking_status": LINK.CAMERA_TRACKING_STATUS_FLAGS_IDLE, **nowhere}
    height, width = image_hw
    x1, y1, x2, y2 = max(tracks, key=lambda track: track["score"])["box_xyxy"]
    x, y, radius = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / 2 / width
    place = (x, y, radius, x1 / width, y1 / height, x2 / width, y2 / height)
    fields = dict(zip(PLACE, place, strict=True))
    return {"tracking_status": LINK.CAMERA_TRACKING_STATUS_FLAGS_ACTIVE, **fields}


def send(lines: Iterable[str], address: str) -> None:
    """Send a message for every frame."""
    link = mavutil.mavlink_connection(address, source_system=1, source_component=CAMERA)
    image_hw = (1, 1)
    for line in lines:
        entry = json.loads(line)
        if entry["type"] == "start":
            image_hw = entry["image_hw"]
        elif entry["type"] == "frame":
            link.mav.camera_tracking_image_status_send(
                tracking_mode=LINK.CAMERA_TRACKING_MODE_RECTANGLE,
                target_data=LINK.CAMERA_TRACKING_TARGET_DATA_IN_STATUS,
                **status(entry["tracks"], image_hw),
            )
    link.close()


if __name__ == "__main__":
    send(sys.stdin, sys.argv[1])
