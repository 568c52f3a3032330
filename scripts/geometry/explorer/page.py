"""The page itself: its sources and its data in one file, which may run no other script and load nothing."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape

SCRIPTS = ["data", "process", "beliefs", "reading", "network", "panel", "pointing", "choices", "clouds"]
SCRIPTS += ["word", "steer", "circles", "claims", "main"]
"""The names of the scripts, in the order in which they stand in the page: each uses those before it."""

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
)


def digest(text: str) -> str:
    """The sha256 of an inline script or style, as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def assembled(sources: Mapping[str, str], title: str, data: Mapping[str, str]) -> str:
    """The page: `sources` by file name, and `data` as JSON by the id of its element."""
    script = "\n".join(["'use strict';", *(sources[f"{name}.js"] for name in SCRIPTS)])
    style = sources["style.css"]
    blocks = [
        f'<script type="application/json" id="{escape(name)}">{content}</script>' for name, content in data.items()
    ]
    parts = {
        "policy": POLICY.format(script=digest(script), style=digest(style)),
        "title": escape(title),
        "style": style,
        "data": "\n".join(blocks),
        "script": script,
    }
    page = sources["index.html"]
    before, *pieces = page.split("{{")
    return before + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces))
