"""Tests if a server answers. A probe speaks the server's own protocol, so it needs no driver."""

import http.client
import socket
import ssl
import struct

_TIMEOUT = 2.0


def kafka_answers(host: str, port: int, tls: ssl.SSLContext | None = None) -> bool:
    """Whether the broker lists itself: it listens a while before the controller lets it serve."""
    header = struct.pack(">hhih", 3, 1, 1, -1)  # Metadata, version 1, correlation 1, no client id
    no_topics = struct.pack(">i", 0)
    request = header + no_topics
    try:
        with _connect(host, port, tls) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = _receive(connection, 12)
    except OSError:
        return False
    if len(answer) < 12:
        return False
    _length, _correlation, brokers = struct.unpack(">iii", answer)
    return bool(brokers > 0)


def redis_answers(host: str, port: int, tls: ssl.SSLContext | None = None) -> bool:
    """Whether Redis serves, or asks for a login: while it loads its file it answers with another error instead."""
    try:
        with _connect(host, port, tls) as connection:
            connection.sendall(b"PING\r\n")
            return _receive(connection, 5) in (b"+PONG", b"-NOAU")
    except OSError:
        return False


def cassandra_answers(host: str, port: int, tls: ssl.SSLContext | None = None) -> bool:
    """Whether CQL is served: Cassandra opens this port last."""
    options = struct.pack(">BBhBi", 0x04, 0, 0, 0x05, 0)
    try:
        with _connect(host, port, tls) as connection:
            connection.sendall(options)
            answer = _receive(connection, 9)
    except OSError:
        return False
    return len(answer) == 9 and answer[4] == 0x06


def prometheus_answers(host: str, port: int) -> bool:
    """Whether Prometheus says that it is ready."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), _TIMEOUT)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection)
    except BaseException:
        connection.close()
        raise


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            break
        received += chunk
    return received
