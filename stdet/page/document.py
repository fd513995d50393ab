"""The page as one document, which asks for nothing from anywhere else."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Literal

_FOLDER = Path(__file__).parent


PageMode = Literal["live", "view"]


@functools.cache
def page_html(mode: PageMode) -> str:
    """Return the page with its style and script inside."""
    html = (_FOLDER / "page.html").read_text(encoding="utf-8").replace("MODE", mode)
    return html.replace("/* page.css */", _style()).replace("/* page.js */", _script())


@functools.cache
def page_policy() -> str:
    """Return the content security policy: this script, this style, and answers of this server."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(_script())}'",
            f"style-src '{_digest(_style())}'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


@functools.cache
def _style() -> str:
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


@functools.cache
def _script() -> str:
    parts = ("page.js", "live.js", "view.js")
    return "".join((_FOLDER / name).read_text(encoding="utf-8") for name in parts)


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"
