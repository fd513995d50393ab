"""A web server in a thread of its own."""

from __future__ import annotations

import functools
import logging
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stdet.errors import ConfigError, DataError, reason_of, shown
from stdet.page.access import Access, Guard, access_of
from stdet.page.document import PageMode, page_html, page_policy

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_LOG = logging.getLogger(__name__)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
_MAX_CONNECTIONS = 64
"""Beyond these, requests are answered with 503."""
_POLL_S = 0.2
_CLOSE_S = 2
"""Seconds that answers under way have at the end."""


@dataclass(frozen=True, kw_only=True)
class PageAddress:
    """Where the page is.

    Attributes:
        host: Name or address of this machine that is listened on.
        port: 0 for a free one.
        token: What requests must carry; None for a random one where others reach the address,
            and for none where only this machine does.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = None


def require_page_libraries() -> None:
    """Check that the web server is installed.

    Raises:
        ConfigError: If it is not.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "the page needs uvicorn and starlette; install them with pip install 'stdet[page]'."
        ) from error


class PageServer:
    """Serves the page within a ``with`` block.

    Args:
        mode: What the page shows: a live run, or one that is to be viewed.
        routes: What the page asks for.
        address: Where; see ``require_page_libraries``.

    Attributes:
        url: To be opened in a browser, with the token.

    Raises:
        ConfigError: If the token is none.
        DataError: If the address cannot be listened on.
    """

    def __init__(self, mode: PageMode, routes: Sequence[BaseRoute], address: PageAddress) -> None:
        """Listen; answers come from ``__enter__`` on."""
        import uvicorn
        from starlette.applications import Starlette
        from starlette.routing import Route

        self._socket = _listen(address)
        port: int = self._socket.getsockname()[1]
        try:
            access = access_of(address.host, port, address.token)
        except ConfigError:
            self._socket.close()
            raise
        self.url = _url(address.host, access)
        app = Starlette(routes=[Route("/", functools.partial(_document, mode)), *routes])
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(app, access, page_policy()),
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                loop="asyncio",
                http="h11",
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_CLOSE_S,
            )
        )
        # A daemon: no browser keeps the process from ending.
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)
        self._is_closing = False

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until a signal raises its exception in this thread.

        Raises:
            DataError: If the page ends by itself.
        """
        while self._thread.is_alive():
            self._thread.join(_POLL_S)
        raise DataError(f"{self.url}: the page has ended by itself; start it again.")

    def _serve(self) -> None:
        """Answer until the end; an end that nobody asked for is said at once."""
        reason = "its server stopped"
        try:
            self._server.run([self._socket])
        except (Exception, SystemExit) as error:  # Of uvicorn, which ends the process at some.
            reason = reason_of(error)
        if not self._is_closing:
            _LOG.warning("the page can no longer be reached: %s.", reason)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the thread; a browser that still reads is cut off."""
        self._is_closing = True
        self._server.should_exit = True
        self._thread.join(_CLOSE_S / 2)
        self._server.force_exit = True
        self._thread.join(2 * _CLOSE_S)
        self._socket.close()


async def _document(mode: PageMode, request: Request) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(page_html(mode))


def _listen(address: PageAddress) -> socket.socket:
    """Open the socket in this thread, so that a port in use is an error of the command."""
    where = f"--host {shown(address.host)} --port {address.port}"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise DataError(
            f"{where}: {reason_of(error)}; name an address of this machine."
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
    except OSError as error:
        listener.close()
        raise DataError(
            f"{where}: cannot be listened on ({reason_of(error)}); name another --port, or 0 for "
            "a free one."
        ) from error
    return listener


def _url(host: str, access: Access) -> str:
    """Return what to open in a browser; an address that stands for all becomes a name."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    query = "" if access.token is None else f"?token={access.token}"
    return f"http://{host}:{access.port}/{query}"
