"""How pages drawn with matplotlib look."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from rdedge.errors import MissingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Form = Literal["png", "svg"]
# Neither names its maker or its time, so that the same figure gives the same bytes. The words of an
# SVG are outlines: a slide looks the same wherever it is shown.
_METADATA: dict[Form, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}


def default_style() -> AbstractContextManager[None]:
    """The style that pages always have, whatever a user's matplotlibrc says.

    Raises MissingError without matplotlib.
    """
    try:
        from matplotlib import style
    except ImportError as error:
        raise MissingError(
            "matplotlib is not installed", do="pip install 'rdedge[report]'"
        ) from error
    context: AbstractContextManager[None] = style.context("default")
    return context


def drawn(figure: Figure, form: Form) -> bytes:
    """A figure as a picture for a slide; the same bytes for the same figure and matplotlib."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with default_style(), rc_context({"svg.hashsalt": "rdedge"}):
        figure.savefig(buffer, format=form, metadata=_METADATA[form])
    return buffer.getvalue()
