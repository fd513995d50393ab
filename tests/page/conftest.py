import contextlib
import json

import pytest
from finished_run import write_run
from live_run import FakeSource, FakeTracker, ask, unpack

from stdet.page.finished_page import FinishedPage
from stdet.page.live_page import LivePage


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def tracker():
    return FakeTracker()


@pytest.fixture
def live_page(source, tracker):
    """A page of a run that goes on, and where it is."""
    pytest.importorskip("uvicorn", reason="needs the extra page: pip install 'stdet[page]'")
    from stdet.page.server import PageAddress, PageServer

    page = LivePage()
    page.start(source, tracker)
    with PageServer("live", page.routes(), PageAddress(port=0)) as server, page:
        page.url = server.url
        yield page


@pytest.fixture
def folder(tmp_path):
    """The outputs of a run, and what was tracked."""
    write_run(tmp_path)
    return tmp_path


@pytest.fixture
def serve(folder):
    """Serve the run, with pictures from where is said; return where, and the page."""
    pytest.importorskip("uvicorn", reason="needs the extra page: pip install 'stdet[page]'")
    from stdet.page.server import PageAddress, PageServer

    with contextlib.ExitStack() as opened:

        def start(source=None):
            page = FinishedPage.open(folder / "clip.json", source=source, max_megapixels=10)
            opened.enter_context(page)
            server = PageServer("view", page.routes(), PageAddress(port=0))
            return opened.enter_context(server).url, page

        yield start


@pytest.fixture
def message():
    """Ask for a message, and return its values and its picture."""

    def get(url):
        status, _, content = ask(url)
        assert status == 200
        return unpack(content)

    return get


@pytest.fixture
def post():
    """Send values as the page does; return status and text."""

    def send(url, values, **headers):
        sent = {"Content-Type": "application/json", **headers}
        status, _, content = ask(url, data=json.dumps(values).encode(), headers=sent)
        return status, content.decode()

    return send
