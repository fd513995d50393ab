import json

import pytest
from live_run import FakeSource, FakeTracker, ask

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


def unpack(content):
    """Return the values and the picture of a message."""
    end = 4 + int.from_bytes(content[:4], "big")
    return json.loads(content[4:end]), content[end:]


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
