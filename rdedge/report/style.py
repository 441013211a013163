"""How pages drawn with matplotlib look."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rdedge.errors import MissingError


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
