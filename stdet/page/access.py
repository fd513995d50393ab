"""Who may see the page: this machine alone, or whoever has the token.

A page on a loopback address needs no token. It answers to loopback names only, so that another web
site cannot reach it under a name of its own that points here (DNS rebinding). On any other address
every request needs the token: as ``?token=`` once, then as a cookie. Requests that change
something must come from the page itself, with a token and without.
"""

from __future__ import annotations

import ipaddress
import secrets
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stdet.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MIN_TOKEN = 8
"""Characters of a token, at least."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Rules of one page.

    Attributes:
        token: What every request must carry; None for a page that only this machine reaches.
        port: Of the page; cookies do not tell ports apart, their names do.
        names: Hosts that requests may name where there is no token.
    """

    token: str | None
    port: int
    names: frozenset[str] = _LOOPBACK_NAMES

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token."""
        return f"stdet-{self.port}"

    def refusal(self, method: str, headers: Mapping[str, str], token: str | None) -> str | None:
        """Say why a request is refused, None where it is not.

        Args:
            method: Of HTTP.
            headers: By lower-case names.
            token: What the request carries.
        """
        host = headers.get("host", "")
        if self.token is None:
            if _name_of(host) not in self.names:
                return "This page answers to 127.0.0.1 and localhost only."
        elif token is None or not secrets.compare_digest(token.encode(), self.token.encode()):
            return "Open the whole address that stdet has printed: it ends with ?token=..."
        origin = headers.get("origin")
        is_foreign = origin is not None and _place_of(origin) != host
        if is_foreign and method not in _SAFE_METHODS:
            return "Another web site may not change anything here."
        return None


def access_of(host: str, port: int, token: str | None) -> Access:
    """Return the rules for an address; off this machine a token is made where none is given.

    Raises:
        ConfigError: If the token is too short, or cannot stand in an address.
    """
    if token is not None and (
        len(token) < MIN_TOKEN or urllib.parse.quote(token, safe="") != token
    ):
        raise ConfigError(
            f"--token: expected at least {MIN_TOKEN} letters, digits, - and _; leave it out for a "
            "random one."
        )
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(16)
    return Access(token=token, port=port, names=_LOOPBACK_NAMES | {host.lower()})


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Lets requests through to an app by the rules of its page, and adds headers to all answers.

    Args:
        app: What is guarded.
        access: The rules.
        policy: Content security policy of the page.
    """

    def __init__(self, app: ASGIApp, access: Access, policy: str) -> None:
        """Keep the parts."""
        self._app = app
        self._access = access
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        from starlette.requests import HTTPConnection
        from starlette.responses import PlainTextResponse, RedirectResponse, Response

        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        given = connection.query_params.get("token")
        token = given or connection.cookies.get(self._access.cookie)
        method = str(scope["method"])
        refusal = self._access.refusal(method, connection.headers, token)
        answer: ASGIApp = self._app
        if refusal is not None:
            answer = PlainTextResponse(f"{refusal}\n", 403)
        elif given and self._access.token is not None and method in _SAFE_METHODS:
            # The token leaves the address, and with it the history and pictures of the screen.
            redirect: Response = RedirectResponse("./", 303)
            redirect.set_cookie(self._access.cookie, given, httponly=True, samesite="lax")
            answer = redirect
        await answer(scope, receive, _with_headers(send, self._headers))


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Return ``send`` with further headers in what it sends."""
    from starlette.datastructures import MutableHeaders
    from starlette.types import Message

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with


def _place_of(origin: str) -> str | None:
    """Return the host and port in an Origin header, None where it is malformed."""
    try:
        return urllib.parse.urlsplit(origin).netloc
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
