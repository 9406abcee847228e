"""The socket that a service listens on, and the server that reads from it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from dupdetect.errors import InputError
from dupdetect.service.settings import is_loopback

__all__ = ["bind", "only_here", "serve"]

_HEAD_SECONDS = 15.0
_TAKE_SECONDS = 15.0
_ON_THE_WAY = 131_072  # bytes that the system keeps of an answer; in more, it would not show that a little was taken
_STOP_SECONDS = 60  # for clients to take their answers; what they asked for is finished in any case


def bind(host: str, port: int) -> socket.socket:
    """Return a socket on a host and port, which does not listen yet; port 0 is any that is free. InputError where
    nothing can listen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would take a port away from another process
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"Nothing can listen on {host}, port {port}: {why}. Name another host=... or another port=..., 0 for any "
            "port that is free."
        ) from None
    return bound


def only_here(bound: socket.socket) -> bool:
    """Tell whether only this machine can reach a socket."""
    return is_loopback(bound.getsockname()[0])


def serve(app: FastAPI, bound: socket.socket) -> bool:
    """Answer requests until the process is asked to end (SIGINT, SIGTERM) and what was accepted is finished; return
    whether it could start."""
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="on",
        access_log=False,  # a path can hold what a user has typed
        timeout_graceful_shutdown=_STOP_SECONDS,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # raised once more when all is done
        server.run(sockets=[bound])
    return server.started


class _Impatient(H11Protocol):
    """Closes connections on which the head of a request does not arrive in time, or an answer is not taken: where for
    so long nothing more of it could be sent."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # an answer is sent when all of it is on its way
        with suppress(OSError):  # gone already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_THE_WAY)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()
        self._taken()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def _wait_for(self, left: int) -> None:
        """Look again later whether some of so many bytes has been taken."""
        self._taken()
        self._taking = self.loop.call_later(_TAKE_SECONDS, self._look_again, left)

    def _look_again(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._wait_for(left)
        else:
            self.transport.abort()

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
