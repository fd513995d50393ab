"""What the page gets of a live run."""

import threading
import time

import cv2
import numpy as np
import pytest
from live_run import HW, ask, tracked_frame

from stdet.io.live.capture import LiveEvent
from stdet.page import recent_tracks
from stdet.page.live_page import LivePage

pytest.importorskip("starlette", reason="needs the extra page: pip install 'stdet[page]'")


def test_frame_comes_with_its_tracks_numbers_and_picture(live_page, message):
    for index in range(5):
        live_page.frame(tracked_frame(index, track_ids=(3, 8), num_dropped=index))
    values, picture = message(f"{live_page.url}next?after=0")
    assert values["frame_index"] == 4
    assert values["num_frames"] == 5
    assert values["num_dropped"] == 10
    assert values["age_s"] >= 0.25
    assert values["source"] == "rtsp://10.0.0.2/stream1"
    assert values["image_hw"] == list(HW)
    assert [track["track_id"] for track in values["tracks"]] == [3, 8]
    track = values["tracks"][0]
    assert track["box_xyxy"] == [10, 10, 13, 13]
    assert track["trail"] == [[7.5 + step, 11.5] for step in range(5)]
    assert (track["probability"], track["is_coasted"]) == (0.75, False)
    assert values["others"] == [[70, 50, 73, 53]]  # The detection that no track has.
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.shape == HW
    assert np.abs(image.astype(int) - tracked_frame(4, track_ids=(3, 8)).image).max() < 12


def test_viewer_waits_for_a_newer_frame_and_skips_those_it_missed(live_page, message):
    live_page.frame(tracked_frame(0))
    number = message(f"{live_page.url}next?after=0")[0]["number"]
    threading.Timer(0.2, live_page.frame, [tracked_frame(1)]).start()
    values, picture = message(f"{live_page.url}next?after={number}")
    assert (values["number"], values["frame_index"]) == (number + 1, 1)
    assert picture
    for index in range(2, 10):
        live_page.frame(tracked_frame(index))
    assert message(f"{live_page.url}next?after={number + 1}")[0]["frame_index"] == 9


def test_without_a_new_frame_the_state_comes_alone(live_page, source, message):
    live_page.frame(tracked_frame(0))
    number = message(f"{live_page.url}next?after=0")[0]["number"]
    source.note(LiveEvent(kind="lost", utc=0, text="no frame for 4 s"))
    source.note(LiveEvent(kind="confidence", utc=0, text="operating point set"))
    values, picture = message(f"{live_page.url}next?after={number}")
    assert "frame_index" not in values
    assert values["event"]["event"] == "lost"
    assert picture == b""


def test_page_that_pauses_gets_no_picture(live_page, message):
    live_page.frame(tracked_frame(0))
    values, picture = message(f"{live_page.url}next?after=0&no_picture")
    assert values["frame_index"] == 0
    assert picture == b""


def test_before_the_run_the_page_waits(message):
    from stdet.page.server import PageAddress, PageServer

    page = LivePage()
    with PageServer("live", page.routes(), PageAddress(port=0)) as server:
        assert message(f"{server.url}next?after=0") == ({"number": 0, "is_over": False}, b"")
        assert ask(f"{server.url}crop/1")[0] == 204


def test_end_of_the_run_is_said_at_once(live_page, message):
    live_page.frame(tracked_frame(0))
    number = message(f"{live_page.url}next?after=0")[0]["number"]
    threading.Timer(0.1, live_page.__exit__, [None, None, None]).start()
    values, _ = message(f"{live_page.url}next?after={number}")
    assert values["is_over"]


def test_two_viewers_get_the_same_picture_which_is_encoded_once(live_page, message, monkeypatch):
    from stdet.page import picture

    encoded = []
    monkeypatch.setattr(picture, "jpeg", lambda pixels: encoded.append(1) or b"picture")
    live_page.frame(tracked_frame(0))
    assert encoded == []  # Nobody watches.
    found = [message(f"{live_page.url}next?after=0")[1] for _ in range(2)]
    assert found == [b"picture"] * 2
    assert encoded == [1]


def test_slider_sets_the_operating_point_and_the_run_notes_it(live_page, tracker, source, post):
    assert post(f"{live_page.url}confidence", {"confidence": 0.125})[0] == 204
    assert tracker.operating_point.confidence == 0.125
    assert tracker.operating_point.first == 0.35
    (event,) = source.noted
    assert (event.kind, event.text) == ("confidence", "operating point set from 0.35 to 0.125")


@pytest.mark.parametrize(
    "values", [{}, {"confidence": "0.5"}, {"confidence": 1.5}, {"confidence": -1}, [0.5],
               {"confidence": True}, {"confidence": float("nan")}]
)  # fmt: skip
def test_slider_takes_numbers_from_0_to_1_only(live_page, tracker, post, values):
    status, text = post(f"{live_page.url}confidence", values)
    assert status == 400
    assert "expected" in text
    assert tracker.operating_point.confidence == 0.35


def test_other_web_sites_cannot_move_the_slider(live_page, tracker, post):
    url = f"{live_page.url}confidence"
    assert post(url, {"confidence": 0.1}, Origin="http://evil.example")[0] == 403
    # What a form of another site can send without asking.
    assert post(url, {"confidence": 0.1}, **{"Content-Type": "text/plain"})[0] == 400
    assert post(url, {"confidence": 0.1}, Host="evil.example")[0] == 403
    assert ask(url, data=b"x" * (2 << 20), headers={"Content-Type": "application/json"})[0] == 400
    assert ask(f"{live_page.url}next?after=x")[0] == 400
    assert tracker.operating_point.confidence == 0.35


def test_recent_tracks_come_newest_first_with_their_pieces(live_page, message):
    live_page.frame(tracked_frame(0, track_ids=(1, 2)))
    live_page.frame(tracked_frame(1, track_ids=(2, 5)))
    recent = message(f"{live_page.url}next?after=0")[0]["recent"]
    assert [(one["track_id"], one["is_present"]) for one in recent] == [
        (5, True),
        (2, True),
        (1, False),
    ]
    status, headers, content = ask(f"{live_page.url}crop/1?v=1")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    crop = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert crop.shape == (24, 24)
    assert crop.max() == 255  # Stretched: the target is white.
    assert ask(f"{live_page.url}crop/9")[0] == 204


def test_recent_tracks_are_bounded_and_keep_those_that_are_there(live_page, message):
    for index in range(100):
        live_page.frame(tracked_frame(index, track_ids=(1, index + 2)))
    recent = message(f"{live_page.url}next?after=0")[0]["recent"]
    assert len(recent) == recent_tracks.MAX_TRACKS
    assert [one["track_id"] for one in recent if one["is_present"]] == [101, 1]


def test_piece_of_a_track_is_renewed_once_a_second(live_page, message, monkeypatch):
    now = [time.monotonic()]
    monkeypatch.setattr(recent_tracks.time, "monotonic", lambda: now[0])
    versions = []
    for index in range(30):
        live_page.frame(tracked_frame(index))
        now[0] += 0.1
        versions.append(live_page.newest.get().value.recent[0]["crop"])
    assert versions == sorted(versions)
    assert versions[-1] == 3
