"""The decorators of a Python job. They mark the function and change nothing: the job is found by reading the file.

Importing a job does no I/O. Parameter names are the job's inputs; the header comments are the same as in SQL jobs.
"""

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def batch_view(function: Function) -> Function:
    """A function of Spark DataFrames, one per input named by its parameters, that returns the view's DataFrame."""
    return function


def alert_view(function: Function) -> Function:
    """A function of PyFlink Tables, one per input named by its parameters, that returns the alerts' Table."""
    return function


def process_manager(function: Function) -> Function:
    """A state machine over the event log; jobs of this kind run from issue F on."""
    return function
