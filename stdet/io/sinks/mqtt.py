"""Lines as MQTT messages, with paho-mqtt (``pip install 'stdet[mqtt]'``)."""

from __future__ import annotations

import urllib.parse
from typing import Any

from stdet.errors import ConfigError, DataError, reason_of

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_S = 30
_SEND_S = 5.0
"""Seconds in which the broker must take a message."""


class Mqtt:
    """A message of quality of service 0 for each line; the connection is made again when lost.

    Args:
        label: For messages, without password.
        url: ``mqtt[s]://[USER:PASSWORD@]HOST[:PORT]/TOPIC``.

    Raises:
        ConfigError: If paho-mqtt is not installed or the topic is none to publish to.
        DataError: If the broker cannot be reached.
    """

    def __init__(self, label: str, url: urllib.parse.SplitResult) -> None:
        """Connect."""
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise ConfigError(
                f"{label}: needs paho-mqtt; install it with pip install 'stdet[mqtt]'."
            ) from error
        self._topic = urllib.parse.unquote(url.path.strip("/"))
        if set(self._topic) & set("+#"):
            raise ConfigError(f"{label}: a topic to publish to holds no + or #.")
        self._client: Any = Client(CallbackAPIVersion.VERSION2)
        if url.username:
            password = None if url.password is None else urllib.parse.unquote(url.password)
            self._client.username_pw_set(urllib.parse.unquote(url.username), password)
        if url.scheme == "mqtts":
            self._client.tls_set()
        try:
            self._client.connect(url.hostname or "", url.port or _PORTS[url.scheme], _KEEPALIVE_S)
        except OSError as error:
            raise DataError(f"{label}: {reason_of(error)}; check the broker.") from error
        self._client.loop_start()

    def write(self, line: str) -> None:
        """Publish a line, and wait until it is sent."""
        message = self._client.publish(self._topic, line, qos=0)
        try:
            message.wait_for_publish(_SEND_S)
        except (RuntimeError, ValueError) as error:  # Not connected, or its queue is full.
            raise OSError(reason_of(error)) from error
        if not message.is_published():
            raise OSError(f"the broker takes nothing for {_SEND_S:g} s")

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
