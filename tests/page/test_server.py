import contextlib
import re
import socket
import sys
import threading
import time
import weakref

import pytest
from live_run import FakeSource, FakeTracker, ask, tracked_frame, unpack

from stdet.errors import ConfigError, DataError
from stdet.page.live_page import LivePage

pytest.importorskip("uvicorn", reason="needs the extra page: pip install 'stdet[page]'")
pytest.importorskip("starlette", reason="needs the extra page: pip install 'stdet[page]'")

from stdet.page.server import PageAddress, PageServer, require_page_libraries

FREE = PageAddress(port=0)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.is_alive()]
    # Threads of requests end by themselves when their loop has gone.
    assert [name for name in left if "AnyIO worker" not in name] == []


def test_page_is_one_document_that_asks_for_nothing_elsewhere():
    with PageServer("live", [], FREE) as server:
        status, headers, content = ask(server.url)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    html = content.decode()
    assert '<body data-mode="live">' in html
    assert re.findall(r"(?:src|href)=\"(?!data:)", html) == []
    assert re.findall(r"https?://", html) == []


def test_token_opens_once_and_is_a_cookie_from_then_on():
    address = PageAddress(port=0, token="a-secret-token")
    with PageServer("live", [], address) as server:
        assert server.url.endswith("/?token=a-secret-token")
        bare = server.url.partition("?")[0]
        assert ask(bare)[0] == 403
        assert ask(f"{bare}?token=another-token")[0] == 403
        status, headers, _ = ask(server.url)
        assert (status, headers["Location"]) == (303, "./")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ask(bare, headers={"Cookie": cookie.partition(";")[0]})[0] == 200


def test_every_address_has_a_token_but_this_machine():
    with PageServer("live", [], PageAddress(host="0.0.0.0", port=0)) as server:
        token = server.url.partition("?token=")[2]
        assert len(token) >= 20
        port = re.search(r":(\d+)/", server.url)[1]
        assert ask(f"http://127.0.0.1:{port}/")[0] == 403
        assert (
            ask(f"http://127.0.0.1:{port}/", headers={"Cookie": f"stdet-{port}={token}"})[0] == 200
        )


def test_port_in_use_is_an_error_before_anything_runs():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DataError, match=rf"--port {port}: cannot be listened on .*or 0 for"):
            PageServer("live", [], PageAddress(port=port))


def test_address_of_another_machine_is_an_error():
    with pytest.raises(DataError, match=r"cannot be listened on|name an address of this machine"):
        PageServer("live", [], PageAddress(host="192.0.2.1", port=0))
    with pytest.raises(DataError, match="name an address of this machine"):
        PageServer("live", [], PageAddress(host="no.such.host.invalid", port=0))


@pytest.mark.parametrize("library", ["uvicorn", "starlette"])
def test_missing_library_is_named_with_what_to_install(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=r"install them with pip install 'stdet\[page\]'"):
        require_page_libraries()


@pytest.mark.parametrize("error", [None, OSError("too many open files"), SystemExit(1)])
def test_end_that_nobody_asked_for_is_an_error(monkeypatch, caplog, error):
    def run(sockets):
        if error is not None:
            raise error

    server = PageServer("view", [], FREE)
    monkeypatch.setattr(server._server, "run", run)
    with server, pytest.raises(DataError, match=r"http://127\S+: the page has ended by itself"):
        server.wait()
    assert "the page can no longer be reached" in caplog.text


def test_end_that_was_asked_for_says_nothing(caplog):
    with PageServer("view", [], FREE) as server:
        ask(server.url)
    assert caplog.text == ""


@pytest.fixture
def run():
    page = LivePage()
    page.start(FakeSource(), FakeTracker())
    with PageServer("live", page.routes(), FREE) as server, page:
        yield page, server


def _connection(server):
    port = int(re.search(r":(\d+)/", server.url)[1])
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    return connection, port


def test_viewers_that_never_read_hold_nothing_up_and_keep_no_frames(run):
    page, server = run
    with contextlib.ExitStack() as opened:
        for _ in range(3):
            connection, port = _connection(server)
            opened.enter_context(connection)
            request = f"GET /next?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            connection.sendall(request.encode() * 200)
        frames = []
        for index in range(500):
            frame = tracked_frame(index)
            frames.append(weakref.ref(frame))
            page.frame(frame)
        del frame
        values, _ = unpack(ask(f"{server.url}next?after=0")[2])
        assert values["frame_index"] == 499
        wait_until = time.monotonic() + 60
        # One is the newest; of each viewer one may be on its way.
        while sum(one() is not None for one in frames) > 4:
            assert time.monotonic() < wait_until
            page.frame(tracked_frame(500))
            time.sleep(0.05)


def test_viewers_that_come_and_go_leave_nothing(run):
    page, server = run
    page.frame(tracked_frame(0))
    number = page.newest.get().number
    for _ in range(30):
        connection, port = _connection(server)
        with connection:
            request = f"GET /next?after={number} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            connection.sendall(request.encode())
    until = time.monotonic() + 60
    page.frame(tracked_frame(1))
    while page.newest.num_waiting and time.monotonic() < until:
        time.sleep(0.05)
    assert page.newest.num_waiting == 0
    assert ask(f"{server.url}next?after=0")[0] == 200


def test_too_many_connections_are_refused_and_others_go_on(run):
    page, server = run
    page.frame(tracked_frame(0))
    opened = [_connection(server)[0] for _ in range(80)]
    statuses = {ask(f"{server.url}next?after=0")[0] for _ in range(3)}
    for connection in opened:
        connection.close()
    assert statuses == {503}
    until = time.monotonic() + 60
    while ask(f"{server.url}next?after=0")[0] == 503:
        assert time.monotonic() < until
    assert ask(f"{server.url}next?after=0")[0] == 200
