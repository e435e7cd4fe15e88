"""The failures of the local stack. Each message says what to do."""

from pathlib import Path

from schemas.errors import FreshetError


class StackError(FreshetError):
    """The local stack can't do what was asked; the message says what to do."""


class ProgramMissing(StackError):
    """A program that a server needs is not installed."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed; install it with: apt-get install {package}")


class WrongJava(StackError):
    """The Java found is not one that the server runs on."""

    def __init__(self, server: str, needed: int, actual: str) -> None:
        super().__init__(
            f"{server} runs on Java {needed}, but this is Java {actual}; install it with: "
            f"apt-get install openjdk-{needed}-jre-headless, and set JAVA_HOME to it"
        )


class UnsupportedSystem(StackError):
    """There is no /proc here, so the stack could not tell its own processes from others."""

    def __init__(self) -> None:
        super().__init__("the native stack needs Linux; elsewhere, run the servers in containers")


class UnknownServer(StackError):
    """A server was asked for that the stack does not have."""

    def __init__(self, name: str, servers: list[str]) -> None:
        super().__init__(f"there is no server named {name}; choose from {', '.join(servers)}")


class ServerPortInUse(StackError):
    """Another process listens where a server should."""

    def __init__(self, server: str, port: int, holder: str | None, setting: str) -> None:
        user = holder or "a process of another user"
        option = "--" + setting.replace("_", "-")
        super().__init__(
            f"{server} can't start because port {port} is used by {user}; stop that, or choose another {setting} ({option})"
        )


class RunsElsewhere(StackError):
    """The folder's server already runs, on another port than the one asked for."""

    def __init__(self, server: str, running: int, requested: int) -> None:
        super().__init__(
            f"{server} of this folder already runs on port {running}, not {requested}; "
            "stop it first, or use another folder"
        )


class DownloadFailed(StackError):
    """Maven could not fetch a server's jars."""

    def __init__(self, server: str, log: Path) -> None:
        super().__init__(
            f"Maven could not fetch {server}'s jars; check the network or Maven's settings and start again (log: {log})"
        )


class FormatFailed(StackError):
    """Kafka refused to prepare its data folder."""

    def __init__(self, server: str, log: Path) -> None:
        super().__init__(f"{server} could not prepare its data folder; wipe it and start again (log: {log})")


class StartFailed(StackError):
    """A server ended while it was starting."""

    def __init__(self, server: str, log: Path) -> None:
        super().__init__(
            f"{server} ended while starting; its log's last lines say why, "
            f"and wiping its data starts it afresh (log: {log})"
        )


class StartTimeout(StackError):
    """A server runs but did not answer in time."""

    def __init__(self, server: str, seconds: float, log: Path) -> None:
        super().__init__(
            f"{server} did not answer within {seconds:.0f} s and was stopped; "
            f"free some memory or processor time and start again (log: {log})"
        )


class StillRunning(StackError):
    """A server's data can't be removed while it runs."""

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} is running; stop it before its data is wiped")


class NotRunning(StackError):
    """There is no such running server to end."""

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} is not running; start it first")


class GroupFailed(StackError):
    """Several servers did not become one cluster."""
