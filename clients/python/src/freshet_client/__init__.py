"""The Python client of Freshet: ``Client`` and ``AsyncClient``."""

from freshet_client.async_client import AsyncClient
from freshet_client.auth import KeyAuth, SignatureAuth, user_token
from freshet_client.client import Client
from freshet_client.errors import Busy, Closed, FreshetError, NotAllowed, NotFound, Problem, QueueFull, Unreachable
from freshet_client.outbox import Counts, Refused
from freshet_client.sender import SenderOptions

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "Closed",
    "Counts",
    "FreshetError",
    "KeyAuth",
    "NotAllowed",
    "NotFound",
    "Problem",
    "QueueFull",
    "Refused",
    "SenderOptions",
    "SignatureAuth",
    "Unreachable",
    "user_token",
]
