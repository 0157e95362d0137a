"""Errors of the engine."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class MultipeerError(Exception):
    """An error of the engine or of a peer. ``kind`` is stable, for example ``"timeout"``; the text is for people."""

    def __init__(
        self,
        message: str,
        kind: str = "failed",
        code: int = 1,
        reset: Optional[int] = None,
        peer: Optional[str] = None,
        transfer: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.reset = reset  # the code of a stream that was reset
        self.peer = peer  # the ID of the peer that the call was about
        self.transfer = transfer  # the ID of the transfer that the call was about

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> "MultipeerError":
        """Convert the error object of a response."""
        data = error.get("data") or {}
        code = error.get("code", 1)
        kind = data.get("kind") or ("invalid" if code == -32602 else "failed")
        return cls(error.get("message", "failed"), kind, code, data.get("reset"), data.get("peer"), data.get("transfer"))


class ProgramNotFoundError(MultipeerError):
    """The program multipeer-cli is neither in the package nor on PATH."""

    def __init__(self) -> None:
        super().__init__(
            "the program multipeer-cli was not found: install a wheel that contains it, put it on PATH, "
            "or set MULTIPEER_CLI to its path",
            "no_program",
        )
