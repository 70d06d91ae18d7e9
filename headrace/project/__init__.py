"""The project folder as frozen specs and one graph. Imports in any environment; starts no engine."""

from headrace.project.addresses import Addresses
from headrace.project.contract import Column, Contract
from headrace.project.inspect import inspect
from headrace.project.job import Input, Job
from headrace.project.project import Project, check, find_root, load
from headrace.project.source import Source, Table

__all__ = [
    "Addresses",
    "Column",
    "Contract",
    "Input",
    "Job",
    "Project",
    "Source",
    "Table",
    "check",
    "find_root",
    "inspect",
    "load",
]
