"""What the page sends: JSON of limited length."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES = 1 << 20


class WrongRequestError(Exception):
    """What came is not what the page sends; the message says what was expected."""


async def read_values(request: Request) -> dict[str, Any]:
    """Read the values of a request.

    Raises:
        WrongRequestError: If it is no JSON object, or longer than ``MAX_BYTES``.
    """
    # No form of another web site can send this type; see ``access.py``.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise WrongRequestError("expected Content-Type: application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise WrongRequestError(f"expected at most {MAX_BYTES} bytes")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WrongRequestError("expected JSON") from error
    if not isinstance(values, dict):
        raise WrongRequestError("expected a JSON object")
    return values
