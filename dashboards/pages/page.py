"""The page of a study: its table and its plot in one HTML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from dashboards.pages.plot import dot_plot
from t5core.readable import duration


def render_page(comparison: Mapping[str, Any], *, study: str, scale: str) -> str:
    """Returns the page: HTML with its style and its plot inside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["duration"] = duration
    template = environment.get_template("page.html")
    return template.render(c=comparison, study=study, scale=scale, plot=dot_plot(comparison))
