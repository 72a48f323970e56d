"""The HTML page: templates, filled in with everything escaped, and a policy that lets it reach nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from .needs import package

_SETUP = "window.vegaEmbed = vegaEmbed;"


def render(**context: Any) -> str:
    """The page as text.

    Whatever comes from data is escaped: by Jinja2 in HTML, by its `tojson` in the JSON that the script reads.
    The Content-Security-Policy allows the page's own scripts alone, by their hashes, images and styles in the
    page itself, and no connection.

    Raises
    ------
    MissingExtraError
        If Jinja2 or vl-convert is not installed.
    """
    jinja2 = package("jinja2")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    scripts = {"vega": _vega(), "own": _template("report.js")}
    style = _template("report.css")
    policy = (
        f"default-src 'none'; script-src {' '.join(_hash(script) for script in scripts.values())}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    markup = package("markupsafe").Markup
    text: str = environment.get_template("report.html").render(
        policy=policy,
        style=markup(style),
        scripts={name: markup(script) for name, script in scripts.items()},
        **context,
    )
    return text


@cache  # making it takes a second
def _vega() -> str:
    bundle: str = package("vl_convert").javascript_bundle(_SETUP)
    return bundle


def _template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
