"""HTTP/1.1 over TLS: the same connection, but bytes may wait where the poller cannot see them."""

import ssl

from loadgen.transport.http1 import Connection


class TlsConnection(Connection):
    """Reads until nothing is left in the TLS layer."""

    __slots__ = ()

    def readable(self) -> int:
        """Read until the TLS layer is empty."""
        at = Connection.readable(self)
        while not at and self.due and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            at = Connection.readable(self)
        if at and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            self.close()  # more than was asked for: not the beginning of the next answer
        return at
