"""Ways in which a run ends early, each with its exit code and a message a person can act on."""

from __future__ import annotations


class TrainTrouble(Exception):
    """The run cannot go on: a message, and the exit code that goes with it."""

    exit_code = 3


class DataTrouble(TrainTrouble):
    """A data file is missing, damaged, or not what it says."""


class Misfit(TrainTrouble):
    """Network, recipe and data do not go together."""

    exit_code = 1


class Stopped(TrainTrouble):
    """A signal asked for the end; everything is saved."""

    exit_code = 75


class Lost(TrainTrouble):
    """Another process of the run, a rank or a worker, is gone or does not answer."""

    exit_code = 77


class OutOfMemory(TrainTrouble):
    """A step needs more memory than there is."""

    exit_code = 4


class NotFinite(TrainTrouble):
    """The loss or a gradient is no longer a finite number; no update was made from it."""

    exit_code = 76
