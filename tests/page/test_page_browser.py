"""Both pages as a browser shows them."""

import csv
import time

import cv2
import numpy as np
import pytest
from chromium import needs_chromium, requested_urls, set_screen, start_chromium
from live_run import HW, FakeSource, FakeTracker, tracked_frame

from stdet.io.live.capture import LiveEvent

pytest.importorskip("uvicorn", reason="needs the extra page: pip install 'stdet[page]'")

pytestmark = [pytest.mark.slow, needs_chromium]
WAIT_S = 60.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    driver.set_script_timeout(WAIT_S)
    yield driver
    driver.get("about:blank")
    driver.quit()


@pytest.fixture
def screen(browser, tmp_path):
    """A wide screen whose downloads go to a folder; the console has to stay silent."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)  # Reading empties it.
    set_screen(browser, width=1280)
    folder = tmp_path / "downloads"
    folder.mkdir()
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    yield browser
    assert browser.get_log("browser") == []


def find(page, selector):
    return page.find_element("css selector", selector)


def text(page, selector):
    return find(page, selector).text


def press(page, *keys):
    find(page, "body").send_keys(*keys)


def wait_for(claim, *, wait_s=WAIT_S):
    """Wait until a claim holds."""
    until = time.monotonic() + wait_s
    while not claim():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


def slide(page, selector, value):
    """Move a slider and let go."""
    page.execute_script(
        "arguments[0].value = arguments[1];"
        "for (const name of ['input', 'change']) arguments[0].dispatchEvent(new Event(name));",
        find(page, selector),
        value,
    )


def pixel_at(page, x, y):
    """Return the colour of the picture at a place of the frame."""
    return page.execute_script(
        "const c = document.getElementById('picture'), p = placeOn(c.width, c.height);"
        "const one = element('canvas', { width: 1, height: 1 });"
        "const context = one.getContext('2d', { willReadFrequently: true });"
        "context.drawImage(c, -Math.floor(p.x + arguments[0] * p.factor),"
        " -Math.floor(p.y + arguments[1] * p.factor));"
        "return [...context.getImageData(0, 0, 1, 1).data];",
        x,
        y,
    )[:3]


def fits(page, selector):
    """Say whether everything that a selector finds is no wider than the room it has."""
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".every((one) => one.scrollWidth <= one.clientWidth);",
        selector,
    )


def downloaded(tmp_path):
    """Wait for a file, and return it."""

    def whole():
        return [
            path for path in (tmp_path / "downloads").iterdir() if path.suffix != ".crdownload"
        ]

    wait_for(whole)
    (path,) = whole()
    return path


@pytest.fixture
def watched(screen, live_page):
    """The page of a live run that has shown a frame of two tracks."""
    live_page.frame(tracked_frame(30, track_ids=(1, 2)))
    screen.get(live_page.url)
    wait_for(lambda: text(screen, "#state") == "live")
    wait_for(lambda: screen.execute_script("return shown.bitmap !== null && !isDrawing"))
    yield screen
    screen.get("about:blank")  # Before its server goes.


def test_live_page_shows_the_picture_with_its_boxes(watched, live_page):
    # Frames stand at 30 px: the targets are bright, and a coloured line is around them.
    assert min(pixel_at(watched, 37.5, 11.5)) > 180
    assert max(pixel_at(watched, 20.5, 60.5)) < 110
    gap = watched.execute_script(
        "const c = document.getElementById('picture');"
        "return BOX_GAP / placeOn(c.width, c.height).factor;"
    )
    red, _, blue = pixel_at(watched, 36 - gap, 11.5)
    assert blue > red + 60  # The colour of track 1.
    assert {
        url for url in requested_urls(watched) if not url.startswith((live_page.url, "data:"))
    } <= {"about:blank"}


def test_numbers_are_those_of_the_run(watched, live_page):
    for index in range(31, 40):
        live_page.frame(tracked_frame(index, num_dropped=1, age_s=0.5))
    wait_for(lambda: text(watched, "#dropped") == "9")
    assert text(watched, "#dropped-more") == "47.4 %"
    assert text(watched, "#rate-more") == "of 25"
    assert float(text(watched, "#rate")) > 0
    wait_for(lambda: "frame 39, 1 track" in text(watched, "#moment"))
    assert float(text(watched, "#age").removesuffix(" s")) >= 0.5


def test_pause_holds_the_picture_and_the_run_goes_on(watched, live_page):
    press(watched, " ")
    assert text(watched, "#pause") == "Go on"
    live_page.frame(tracked_frame(55, num_dropped=7))
    wait_for(lambda: text(watched, "#dropped") == "7")
    assert watched.execute_script("return shown.frame.frame_index") == 30
    wait_for(lambda: "the run goes on" in text(watched, "#message"))
    find(watched, "#pause").click()
    live_page.frame(tracked_frame(56))
    wait_for(lambda: watched.execute_script("return shown.frame.frame_index") == 56)
    wait_for(lambda: not find(watched, "#message").is_displayed())


def test_slider_changes_the_operating_point_of_the_run(watched, tracker):
    assert text(watched, "#confidence-value") == "0.35"
    assert not find(watched, "#confidence-reset").is_displayed()
    slide(watched, "#confidence", -2)
    wait_for(lambda: tracker.operating_point.confidence != 0.35)
    assert tracker.operating_point.confidence == pytest.approx(0.12, abs=0.01)
    assert text(watched, "#confidence-value") == "0.12"
    find(watched, "#confidence-reset").click()
    wait_for(lambda: tracker.operating_point.confidence == 0.35)


def test_slider_follows_what_another_viewer_sets(watched, tracker):
    tracker.operating_point.confidence = 0.8
    wait_for(lambda: text(watched, "#confidence-value") == "0.80")


def test_card_marks_its_track_and_escape_none(watched):
    card = find(watched, "#recent .card")
    assert card.text.split("\n")[:2] == ["2", "75 % sure"]
    wait_for(lambda: watched.execute_script("return arguments[0].firstChild.naturalWidth", card))
    card.click()
    assert card.get_attribute("aria-pressed") == "true"
    assert watched.execute_script("return shown.marked") == 2
    press(watched, "\ue00c")  # Escape
    assert watched.execute_script("return shown.marked") is None


def test_click_on_a_target_marks_it_and_zoom_keeps_its_place(watched):
    place = watched.execute_script(
        "const c = document.getElementById('picture'), p = placeOn(c.width, c.height),"
        " b = c.getBoundingClientRect(); return [b.left + p.x + 37.5 * p.factor,"
        " b.top + p.y + 11.5 * p.factor];"
    )
    for kind in ("mousePressed", "mouseReleased"):
        watched.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1},
        )
    wait_for(lambda: watched.execute_script("return shown.marked") == 1)
    press(watched, "+", "+")
    assert watched.execute_script("return view.zoom") == pytest.approx(2.25)
    press(watched, "0")
    assert watched.execute_script("return view.zoom") == 1


def test_snapshot_is_the_whole_frame_with_what_is_drawn(watched, tmp_path):
    press(watched, "s")
    path = downloaded(tmp_path)
    assert path.name == "rtsp_10.0.0.2_stream1_frame30.png"
    image = cv2.imread(str(path))
    assert image.shape == (4 * HW[0], 4 * HW[1], 3)
    expected = tracked_frame(30, track_ids=(1, 2)).image
    grey = image[2::4, 2::4].astype(int).max(axis=2)
    assert np.abs(grey - expected)[40:].mean() < 4  # Below the boxes.
    assert (np.ptp(image[:30].astype(int), axis=2) > 60).any()  # Coloured lines.


def test_boxes_and_unconfirmed_detections_come_and_go(watched):
    before = pixel_at(watched, 37.5, 11.5)
    press(watched, "b")
    assert find(watched, "#boxes").get_attribute("aria-pressed") == "false"
    press(watched, "d")
    assert find(watched, "#others").get_attribute("aria-pressed") == "true"
    wait_for(lambda: watched.execute_script("return !isDrawing"))
    assert pixel_at(watched, 37.5, 11.5) == before
    row = [pixel_at(watched, x, 51.5) for x in np.linspace(67, 70, 40)]
    assert max(map(max, row)) > 140  # The line around the detection of no track.


def test_lost_source_and_end_are_said(watched, live_page, source):
    source.note(LiveEvent(kind="lost", utc=0, text="no frame for 4 s"))
    wait_for(lambda: text(watched, "#state") == "source lost")
    assert "no frame for 4 s" in text(watched, "#message")
    source.note(LiveEvent(kind="reconnected", utc=0, text="frames come again"))
    live_page.frame(tracked_frame(31))
    wait_for(lambda: text(watched, "#state") == "live")
    live_page.__exit__(None, None, None)
    wait_for(lambda: text(watched, "#state") == "ended")
    assert find(watched, "#confidence").get_attribute("disabled")


REFUSE = (
    "const send = window.fetch;"
    "window.fetch = (url, ...rest) => url.startsWith(arguments[0])"
    " ? Promise.reject(new Error('refused')) : send(url, ...rest);"
)


def test_change_that_fails_is_said_long_enough_to_be_read(watched, live_page):
    watched.execute_script(REFUSE, "confidence")
    slide(watched, "#confidence", -2)
    wait_for(lambda: "could not be changed" in text(watched, "#message"))
    live_page.frame(tracked_frame(31))
    wait_for(lambda: watched.execute_script("return shown.frame.frame_index") == 31)
    live_page.frame(tracked_frame(32))
    wait_for(lambda: watched.execute_script("return shown.frame.frame_index") == 32)
    assert "could not be changed" in text(watched, "#message")
    wait_for(lambda: text(watched, "#message").startswith("No new frame for"))


def test_next_run_at_the_same_address_is_shown_without_a_reload(screen):
    from stdet.page.live_page import LivePage
    from stdet.page.server import PageAddress, PageServer

    def run(port, index, track_ids):
        page = LivePage()
        page.start(FakeSource(), FakeTracker())
        with PageServer("live", page.routes(), PageAddress(port=port)) as server, page:
            page.frame(tracked_frame(index, track_ids=track_ids))
            if not port:
                screen.get(server.url)
            wait_for(lambda: text(screen, "#state") == "live")
            assert screen.execute_script("return shown.frame.frame_index") == index
            assert len(screen.find_elements("css selector", "#recent .card")) == len(track_ids)
        return int(server.url.rstrip("/").rpartition(":")[2])

    port = run(0, 30, (1, 2))
    wait_for(lambda: text(screen, "#state") == "ended")
    time.sleep(1.5)  # The page asks in vain.
    assert text(screen, "#state") == "ended"
    run(port, 4, (1,))
    screen.get("about:blank")
    assert all("ERR_CONN" in entry["message"] for entry in screen.get_log("browser"))


@pytest.mark.parametrize("width", [390, 1280])
def test_live_page_is_no_wider_than_its_screen(watched, live_page, width):
    live_page.frame(tracked_frame(31, track_ids=range(1, 30), num_dropped=12345))
    set_screen(watched, width=width)
    wait_for(lambda: text(watched, "#dropped") == "12,345")
    assert watched.execute_script("return document.documentElement.scrollWidth") <= width
    assert fits(watched, "#numbers dd")


def test_token_leaves_the_address(screen):
    from stdet.page.live_page import LivePage
    from stdet.page.server import PageAddress, PageServer

    page = LivePage()
    address = PageAddress(port=0, token="a-secret-token")
    with PageServer("live", page.routes(), address) as server, page:
        screen.get(server.url)
        wait_for(lambda: text(screen, "#state") == "starting")
        assert screen.current_url == server.url.partition("?")[0]
    screen.get("about:blank")


# ---- A finished run


@pytest.fixture
def viewed(screen, serve, folder):
    """The page of a finished run that shows its first frame."""
    screen.get(serve(folder / "clip.mkv")[0])
    wait_for(lambda: "frame 3" in text(screen, "#position"))
    yield screen
    screen.get("about:blank")


def rows(page):
    return page.find_elements("css selector", "#tracks .track")


def test_finished_page_lists_tracks_and_jumps_to_one(viewed):
    assert text(viewed, "#state") == "16 frames, 0.6 s"
    assert text(viewed, "#count") == "2 tracks"
    assert [row.text.split("\n") for row in rows(viewed)] == [
        ["1", "75 % sure", "at 0.1 s, for 0.7 s", "straight, 1.0 px/frame"],
        ["4", "75 % sure", "at 0.4 s, for 0.4 s", "straight, 1.0 px/frame"],
    ]
    rows(viewed)[1].click()
    wait_for(lambda: text(viewed, "#position") == "0.4 s, frame 10")
    assert "marked" in rows(viewed)[1].get_attribute("class")
    assert min(pixel_at(viewed, 17.5, 23.5)) > 180


def test_frames_are_stepped_over_holes_by_keys(viewed):
    for _ in range(4):
        press(viewed, "\ue014")  # Right
    wait_for(lambda: text(viewed, "#position") == "0.3 s, frame 8")
    press(viewed, "\ue012")  # Left
    wait_for(lambda: text(viewed, "#position") == "0.2 s, frame 6")
    press(viewed, "]")
    wait_for(lambda: viewed.execute_script("return shown.marked") == 4)


def test_play_comes_to_the_end_and_stops(viewed):
    press(viewed, " ")
    wait_for(lambda: text(viewed, "#position") == "0.8 s, frame 19")
    wait_for(lambda: text(viewed, "#play") == "Play")


def test_frame_that_cannot_be_fetched_stops_playing(viewed):
    viewed.execute_script(REFUSE, "frame/")
    press(viewed, " ")
    wait_for(lambda: "The frame cannot be read" in text(viewed, "#message"))
    assert text(viewed, "#play") == "Play"
    assert not viewed.execute_script("return finished.isPlaying")


def test_click_on_a_bar_of_the_timeline_jumps_to_its_track(viewed):
    box = viewed.execute_script(
        "const b = document.getElementById('timeline').getBoundingClientRect();"
        "return [b.left + 0.9 * b.width, b.top + 4 + 1.5 * finished.laneHeight(b.height)];"
    )
    for kind in ("mousePressed", "mouseReleased"):
        viewed.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": box[0], "y": box[1], "button": "left", "clickCount": 1},
        )
    wait_for(lambda: text(viewed, "#position") == "0.4 s, frame 10")
    assert viewed.execute_script("return shown.marked") == 4


def test_filters_leave_out_short_and_improbable_tracks(viewed):
    slide(viewed, "#least-length", 95)
    assert text(viewed, "#count") == "1 of 2 tracks"
    assert [row.text.split("\n")[0] for row in rows(viewed)] == ["1"]
    slide(viewed, "#least-length", 0)
    slide(viewed, "#least-probability", 76)
    assert rows(viewed) == []
    slide(viewed, "#least-probability", 75)
    assert len(rows(viewed)) == 2


def test_chosen_tracks_are_saved(viewed, tmp_path):
    assert not find(viewed, "#download").is_enabled()
    find(viewed, "#tracks input[value='4']").click()
    assert text(viewed, "#num-chosen") == "1 chosen"
    viewed.execute_script("document.getElementById('format').value = 'csv'")
    find(viewed, "#download").click()
    path = downloaded(tmp_path)
    assert path.name == "clip.csv"
    with path.open() as file:
        assert {row["track_id"] for row in csv.DictReader(file)} == {"4"}


@pytest.mark.parametrize("width", [390, 1280])
def test_finished_page_is_no_wider_than_its_screen(viewed, width):
    set_screen(viewed, width=width)
    assert viewed.execute_script("return document.documentElement.scrollWidth") <= width
    assert fits(viewed, "#tracks .track")
