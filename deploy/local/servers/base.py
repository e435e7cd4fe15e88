"""The interface between the launcher and a server."""

from dataclasses import dataclass
from string import Template
from typing import Protocol

from deploy.local.config import StackConfig
from deploy.local.jars import CONF, Report


@dataclass(frozen=True)
class Port:
    """A port that a server listens on, and the setting that moves it."""

    number: int
    setting: str


class Server(Protocol):
    """A server that can be run natively."""

    def ports(self, config: StackConfig) -> list[Port]:
        """All ports it listens on; the first is the one that clients use."""
        ...

    def prepare(self, config: StackConfig, report: Report, /) -> list[str]:
        """Writes its configuration, readies its data folder and returns its command line.

        Blocks while jars are fetched; raises a StackError that says what is missing.
        """
        ...

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether it serves clients now; never raises, and gives up within seconds."""
        ...


def render(template: str, **values: object) -> str:
    """The text of a configuration file in `conf/` with its placeholders filled in."""
    return Template((CONF / template).read_text()).substitute(values)
