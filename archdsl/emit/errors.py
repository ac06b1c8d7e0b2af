"""What goes wrong in a back end is never the user's fault: the graph was checked before."""

from __future__ import annotations


class InternalError(Exception):
    """A back end met something that a checked graph cannot hold, or was about to print something it must not."""
