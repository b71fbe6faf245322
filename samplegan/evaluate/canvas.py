"""What the pictures of a report are drawn on.

matplotlib takes most of a second to import, so it is imported only when something is drawn.
"""

from __future__ import annotations

import io
from typing import Any

DPI = 110
QUIET_INK = "#555555"


def new_figure(width_inches: float, height_inches: float) -> Any:
    """A white figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Any) -> bytes:
    """A figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
