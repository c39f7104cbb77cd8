"""A server that writes down when each request arrived: nobody should be believed about their own punctuality.

It takes its own pinned core, reads with epoll, and answers at once. Its own lateness (waking up, some 30 to 50 us) is
in its numbers and cannot be told from the sender's.
"""

import json
import select
import socket
import sys
import time

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def main() -> None:
    """Serve until standard input ends, then print the arrival times."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    poll = select.epoll()
    for fd in (listener.fileno(), 0):
        poll.register(fd, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    arrivals: list[int] = []
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                sys.stdout.write(json.dumps(arrivals))
                return
            if fd == listener.fileno():
                fresh, _ = listener.accept()
                fresh.setblocking(False)
                connections[fresh.fileno()] = fresh
                poll.register(fresh.fileno(), select.EPOLLIN)
                continue
            at = time.monotonic_ns()
            if connections[fd].recv(65_536):
                connections[fd].send(OK)
                arrivals.append(at)
            else:
                poll.unregister(fd)
                connections.pop(fd).close()


if __name__ == "__main__":
    main()
