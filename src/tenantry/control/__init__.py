"""A door for operators into a running process: a socket that only its own user can open."""

from tenantry.control.asking import Answers, ask_all
from tenantry.control.server import ControlServer

__all__ = ["Answers", "ControlServer", "ask_all"]
