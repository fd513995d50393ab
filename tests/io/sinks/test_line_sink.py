import socket
import struct
import sys
import threading
import time

import pytest

from stdet.errors import ConfigError, DataError
from stdet.io.sinks import line_sink
from stdet.io.sinks.line_sink import MAX_WAITING, LineSink
from stdet.io.sinks.targets import open_sink


class Slow:
    """A target that takes a line only while it is let to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.may_go = threading.Event()
        self.is_closed = False

    def write(self, line: str) -> None:
        self.may_go.wait(10)
        self.lines.append(line)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(line_sink, "_CLOSE_S", 0.3)


def test_slow_target_never_holds_up_a_live_stream_and_gets_the_newest_lines():
    target = Slow()
    sink = LineSink("slow", target, may_drop=True)
    started = time.monotonic()
    for number in range(3 * MAX_WAITING):
        sink.send(str(number))
    assert time.monotonic() - started < 1
    target.may_go.set()
    count = sink.close()
    assert target.lines[-MAX_WAITING:] == [str(n) for n in range(2 * MAX_WAITING, 3 * MAX_WAITING)]
    assert count.num_sent + count.num_dropped == 3 * MAX_WAITING
    assert count.num_sent == len(target.lines) <= MAX_WAITING + 1
    assert target.is_closed


def test_target_that_takes_nothing_does_not_keep_a_live_run_from_ending():
    target = Slow()
    sink = LineSink("stuck", target, may_drop=True)
    for number in range(5):
        sink.send(str(number))
    started = time.monotonic()
    count = sink.close()
    assert time.monotonic() - started < 2
    assert (count.num_sent, count.num_dropped) == (0, 5)
    target.may_go.set()


def test_every_line_of_a_file_arrives():
    target = Slow()
    sink = LineSink("slow", target, may_drop=False)
    threading.Timer(0.2, target.may_go.set).start()
    lines = [str(number) for number in range(3 * MAX_WAITING)]
    for line in lines:
        sink.send(line)
    count = sink.close()
    assert target.lines == lines
    assert (count.num_sent, count.num_dropped, count.problem) == (len(lines), 0, None)


def test_lines_that_cannot_be_sent_are_counted_with_the_reason():
    class Refusing:
        def write(self, line: str) -> None:
            if line == "b":
                raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    sink = LineSink("full", Refusing(), may_drop=True)
    for line in "abc":
        sink.send(line)
    count = sink.close()
    assert (count.num_sent, count.num_dropped) == (2, 1)
    assert count.problem == "No space left on device"


def test_udp_sends_a_datagram_for_each_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = open_sink(f"udp://127.0.0.1:{receiver.getsockname()[1]}", may_drop=True)
        sink.send('{"a": 1}')
        sink.send("b")
        assert sink.close().num_sent == 2
        assert [receiver.recv(100), receiver.recv(100)] == [b'{"a": 1}', b"b"]


def test_udp_without_a_receiver_goes_on():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    sink = open_sink(f"udp://127.0.0.1:{port}", may_drop=True)
    for _ in range(20):
        sink.send("line")
        time.sleep(0.005)
    count = sink.close()
    assert count.num_sent + count.num_dropped == 20


def test_file_gets_lines_and_is_never_replaced(tmp_path):
    path = tmp_path / "lines.jsonl"
    sink = open_sink(str(path), may_drop=False)
    sink.send("a")
    sink.close()
    assert path.read_text() == "a\n"
    with pytest.raises(DataError, match=r"lines.jsonl: already there; name another"):
        open_sink(str(path), may_drop=False)


@pytest.mark.parametrize(
    "target",
    [
        "udp://host",
        "udp://:50",
        "mqtt://host",
        "mqtt:///topic",
        "tcp://host:5",
        "udp://host:999999",
    ],
)
def test_wrong_target_says_what_is_expected(target):
    with pytest.raises(ConfigError, match=r"expected - \(standard output\), a file, udp://HOST"):
        open_sink(target, may_drop=True)


def test_unknown_host_is_an_error():
    with pytest.raises(DataError, match=r"udp://no.such.host.invalid:5000: .*check the address"):
        open_sink("udp://no.such.host.invalid:5000", may_drop=True)


class Broker(threading.Thread):
    """As much of an MQTT 3.1.1 broker as one publisher of quality of service 0 needs."""

    def __init__(self) -> None:
        super().__init__(name="broker", daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connect = b""
        self.messages: list[tuple[str, str]] = []
        self.start()

    def run(self) -> None:
        client, _ = self.listener.accept()
        with client, client.makefile("rb") as stream:
            while head := stream.read(1):
                size = shift = 0
                while True:
                    (byte,) = stream.read(1)
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = stream.read(size)
                kind = head[0] >> 4
                if kind == 1:
                    self.connect = body
                    client.sendall(b"\x20\x02\x00\x00")
                elif kind == 3:
                    (length,) = struct.unpack("!H", body[:2])
                    self.messages.append(
                        (body[2 : 2 + length].decode(), body[2 + length :].decode())
                    )
                elif kind == 12:
                    client.sendall(b"\xd0\x00")
                elif kind == 14:
                    return


def test_mqtt_publishes_each_line():
    pytest.importorskip("paho.mqtt")
    broker = Broker()
    sink = open_sink(f"mqtt://me:p%40ss@127.0.0.1:{broker.port}/site/tracks", may_drop=True)
    assert sink.label == f"mqtt://127.0.0.1:{broker.port}/site/tracks"
    lines = [f"line {number}" for number in range(30)]
    for line in lines:
        sink.send(line)
    sink_count = sink.close()
    broker.join(5)
    broker.listener.close()
    assert broker.messages == [("site/tracks", line) for line in lines]
    assert sink_count.num_sent == 30
    assert b"p@ss" in broker.connect


def test_mqtt_without_its_library_or_broker_says_what_to_do(monkeypatch):
    pytest.importorskip("paho.mqtt")
    with pytest.raises(DataError, match=r"mqtt://127.0.0.1:1/a: Connection refused; check the br"):
        open_sink("mqtt://127.0.0.1:1/a", may_drop=True)
    with pytest.raises(ConfigError, match=r"holds no \+ or #"):
        open_sink("mqtt://127.0.0.1:1/a/+", may_drop=True)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ConfigError, match=r"needs paho-mqtt; .*pip install 'stdet\[mqtt\]'"):
        open_sink("mqtt://127.0.0.1:1/a", may_drop=True)
