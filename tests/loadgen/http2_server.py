"""An HTTP/2 server on a real socket that does to each stream what its path says."""

import socket
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.settings import SettingCodes, Settings

Act = Callable[[H2Connection, int], None]


def answers(connection: H2Connection, stream: int, body: bytes = b"hello") -> None:
    fields = [(":status", "200"), ("x-rollout-version", "v2"), ("content-length", str(len(body)))]
    connection.send_headers(stream, fields)
    for at in range(0, len(body), 16_000):
        connection.send_data(stream, body[at : at + 16_000])
    connection.end_stream(stream)


class Http2:
    """Talks with every connection; keeps what was asked, by connection."""

    def __init__(self, act: Act = answers, *, streams: int = 100) -> None:
        self._act = act
        self._streams = streams
        self.asked: list[int] = []  # requests of each connection
        self.fields: list[dict[str, str]] = []
        self.received = 0  # bytes of bodies
        self.open_max = 0  # streams at a time

    def __call__(self, sock: socket.socket) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: self._streams}
        connection.local_settings = Settings(client=False, initial_values=limits)
        connection.initiate_connection()
        sock.sendall(connection.data_to_send())
        place = len(self.asked)
        self.asked.append(0)
        while data := sock.recv(65_536):
            for event in connection.receive_data(data):
                self._take(connection, place, event)
            self.open_max = max(self.open_max, connection.open_inbound_streams)
            sock.sendall(connection.data_to_send())

    def _take(self, connection: H2Connection, place: int, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.asked[place] += 1
            self.fields.append({str(name): str(value) for name, value in event.headers})
        elif isinstance(event, DataReceived):
            self.received += len(event.data)
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self._act(connection, event.stream_id)
