"""The sandbox's own HTTP server."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from reentra.sandbox.http import HttpServer, Request, Response


def _echo(request: Request) -> Response:
    if request.path == "/late":
        return Response(200, {}, b"late", delay_seconds=0.2)
    if request.path == "/cut":
        return Response(200, {}, b"x" * 100_000, cut_after_bytes=50_000)
    if request.path == "/none":
        return Response(204)
    if request.path == "/big":
        return Response(200, {}, b"y" * 5_000_000)
    body = f"{request.method} {request.target} ".encode() + request.body
    return Response(200, {"X-Seen": request.headers.get("x-sent", "")}, body)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer(_echo)
    server.start()
    yield server
    server.stop()


def _raw(server: HttpServer, data: bytes, *, until: bytes = b"") -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data)
        received = b""
        while True:
            part = connection.recv(65536)
            received += part
            if not part or (until and until in received):
                return received


def test_one_connection_serves_many_requests(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for number in range(5):
        connection.request("GET", f"/a?n={number}", headers={"X-Sent": str(number)})
        response = connection.getresponse()
        assert response.read() == f"GET /a?n={number} ".encode()
        assert response.headers["X-Seen"] == str(number)
    connection.close()


def test_pipelined_requests_are_answered_in_order(server: HttpServer) -> None:
    data = b"".join(f"GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in range(3))
    received = _raw(server, data, until=b"GET /2 ")
    assert received.index(b"GET /0 ") < received.index(b"GET /1 ") < received.index(b"GET /2 ")


def test_a_chunked_body_is_put_together(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/c", body=iter([b"one ", b"two ", b"three"]), encode_chunked=True)
    assert connection.getresponse().read() == b"POST /c one two three"
    connection.close()


def test_a_body_that_arrives_in_pieces_is_waited_for(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Le")
        time.sleep(0.02)
        connection.sendall(b"ngth: 6\r\n\r\nabc")
        time.sleep(0.02)
        connection.sendall(b"def")
        assert b"POST /p abcdef" in connection.recv(65536)


def test_a_client_that_expects_100_continue_is_told_to(server: HttpServer) -> None:
    head = b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"ok")
        assert b"POST /e ok" in connection.recv(65536)


def test_nonsense_is_refused_and_the_connection_closed(server: HttpServer) -> None:
    assert _raw(server, b"this is not http\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_204_has_no_body_and_no_length(server: HttpServer) -> None:
    received = _raw(server, b"GET /none HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 204 ")
    assert b"Content-Length" not in received
    assert received.endswith(b"\r\n\r\n")


def test_a_cut_reply_ends_in_a_reset(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def ask() -> bytes:
        connection.request("GET", "/cut")
        return connection.getresponse().read()

    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask()
    connection.close()


def test_a_late_reply_does_not_hold_other_connections_up(server: HttpServer) -> None:
    slow_done: list[float] = []

    def slow() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/late")
        assert connection.getresponse().read() == b"late"
        slow_done.append(time.monotonic())
        connection.close()

    thread = threading.Thread(target=slow)
    began = time.monotonic()
    thread.start()
    quick = http.client.HTTPConnection("127.0.0.1", server.port)
    quick.request("GET", "/quick")
    quick.getresponse().read()
    quick_at = time.monotonic()
    quick.close()
    thread.join()
    assert slow_done[0] - began >= 0.19
    assert quick_at < slow_done[0]


def test_big_replies_arrive_whole(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/big")
    assert connection.getresponse().read() == b"y" * 5_000_000
    connection.close()


def test_stopping_twice_is_harmless_and_frees_the_port(server: HttpServer) -> None:
    port = server.port
    server.stop()
    server.stop()
    again = HttpServer(_echo, port=port)
    again.start()
    assert again.port == port
    again.stop()


def test_a_port_that_is_taken_is_an_error_for_the_caller(server: HttpServer) -> None:
    with pytest.raises(OSError, match="in use"):
        HttpServer(_echo, port=server.port).start()
