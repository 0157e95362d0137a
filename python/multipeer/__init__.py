"""Messages, streams and files between devices on the same network: no server, no account.

``MultipeerConnectivity`` has the same interface as the class in the Pythonista module ``multipeer``; programs written
for it run unchanged. ``Engine`` is an asyncio interface to the whole engine, for new programs. Both start the program
``multipeer-cli`` and use its standard input and output; see docs/json-rpc.md in the project.
"""

from ._connectivity import MultipeerConnectivity, PeerID
from ._engine import (
    Engine,
    Event,
    Invitation,
    Message,
    MessageDropped,
    Offer,
    Peer,
    PeerAdded,
    PeerFound,
    PeerLost,
    PeerRemoved,
    Problem,
    Stream,
    Topic,
    Transfer,
    TransferChanged,
    Undelivered,
)
from ._errors import MultipeerError, ProgramNotFoundError

__version__ = "0.1.0"

__all__ = [
    "Engine",
    "Event",
    "Invitation",
    "Message",
    "MessageDropped",
    "MultipeerConnectivity",
    "MultipeerError",
    "Offer",
    "Peer",
    "PeerAdded",
    "PeerFound",
    "PeerID",
    "PeerLost",
    "PeerRemoved",
    "Problem",
    "ProgramNotFoundError",
    "Stream",
    "Topic",
    "Transfer",
    "TransferChanged",
    "Undelivered",
]
