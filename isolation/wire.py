"""Frames between a worker and its children: a length and a msgpack document, never a pickle.

A child parses what strangers wrote, so what it sends back is read as plain data.
"""

import socket
import struct
from asyncio import StreamReader, StreamWriter
from typing import Any

import msgpack

_LENGTH = struct.Struct(">Q")

MAX_FRAME_BYTES = 4 * 2**30


def pack(message: Any) -> bytes:
    """A frame that holds the message: None, booleans, numbers, text, bytes, lists and mappings."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    return _LENGTH.pack(len(body)) + body


def _unpack(body: bytes) -> Any:
    return msgpack.unpackb(body, raw=False, strict_map_key=False, max_bin_len=MAX_FRAME_BYTES)


async def send(writer: StreamWriter, message: Any) -> None:
    """Send a frame from the worker's side."""
    writer.write(pack(message))
    await writer.drain()


async def receive(reader: StreamReader) -> Any:
    """Receive a frame on the worker's side.

    Raises:
        EOFError: The child is gone, or sends nonsense.
    """
    length = _LENGTH.unpack(await _exactly(reader, _LENGTH.size))[0]
    if length > MAX_FRAME_BYTES:
        raise EOFError(f"a frame of {length} bytes")
    return _unpack(await _exactly(reader, length))


async def _exactly(reader: StreamReader, size: int) -> bytes:
    try:
        return await reader.readexactly(size)
    except (EOFError, ConnectionError) as gone:
        raise EOFError("the child is gone") from gone


class ChildEnd:
    """The child's end of the pair: blocking frames."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: Any) -> None:
        """Send a frame."""
        self._connection.sendall(pack(message))

    def receive(self) -> Any:
        """Receive a frame.

        Raises:
            EOFError: The worker is gone.
        """
        length = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
        return _unpack(self._exactly(length))

    def _exactly(self, size: int) -> bytes:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            got = self._connection.recv_into(view)
            if not got:
                raise EOFError("the worker is gone")
            view = view[got:]
        return bytes(buffer)
