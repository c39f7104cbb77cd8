"""Waiting for sockets and for one point in time, to some 50 microseconds.

An event loop's own timers are 1 ms late by construction (epoll_wait takes whole milliseconds), so on Linux the due time
is an absolute timerfd in the epoll set: the kernel wakes us when it is due, as if a byte had arrived. Elsewhere
`SelectPoller` does what the platform can; its lateness is measured and reported like any other.
"""

import ctypes
import functools
import os
import select
import selectors
import sys
from collections.abc import Callable
from typing import Protocol

from loadgen.transport.clock import FAR_NS, now_ns

READ = 1  # EPOLLIN
WRITE = 4  # EPOLLOUT
EVENTS_MAX = 1024  # more events than that wait for the next turn
CLOCK_MONOTONIC = 1
TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = os.O_NONBLOCK, 0o2000000, 1


class Poller(Protocol):
    """Waits for any of many descriptors, or for a time."""

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor."""

    def modify(self, fd: int, events: int) -> None:
        """Watch it for something else."""

    def unregister(self, fd: int) -> None:
        """Watch it no more."""

    def wake_at(self, at_ns: int) -> None:
        """Wake up at this time, and at no other that was asked for before."""

    @property
    def poll(self) -> Callable[[], list[tuple[int, int]]]:
        """Wait; give the descriptors that are ready. May give none, or ones that nobody registered."""

    def poll_nowait(self) -> list[tuple[int, int]]:
        """Give the descriptors that are ready now."""

    def close(self) -> None:
        """Release everything."""


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class EpollPoller:
    """Linux: epoll with an absolute timerfd in its set. (`os.timerfd_*` only exists since Python 3.13.)"""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._epoll = select.epoll()
        self._timer = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimerSpec()
        self._spec_ref = ctypes.byref(self._spec)
        self._value = self._spec.value
        self._armed = 0
        self._epoll.register(self._timer, READ)
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        self.fileno = self._epoll.fileno
        self.poll: Callable[[], list[tuple[int, int]]] = functools.partial(self._epoll.poll, -1, EVENTS_MAX)

    def wake_at(self, at_ns: int) -> None:
        """Arm the timer; arming it anew also takes back an expiry that was not yet seen."""
        if at_ns == self._armed:
            return
        self._armed = at_ns
        self._value.seconds, self._value.nanoseconds = divmod(max(at_ns, 1), 1_000_000_000)
        self._libc.timerfd_settime(self._timer, TFD_TIMER_ABSTIME, self._spec_ref, None)

    def poll_nowait(self) -> list[tuple[int, int]]:
        """Look."""
        return self._epoll.poll(0, EVENTS_MAX)

    def close(self) -> None:
        """Release both descriptors."""
        os.close(self._timer)
        self._epoll.close()


class SelectPoller:
    """Anywhere: whatever `selectors` finds, with a timeout instead of a timer."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._at_ns = FAR_NS

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor."""
        self._selector.register(fd, translated(events))

    def modify(self, fd: int, events: int) -> None:
        """Watch it for something else."""
        self._selector.modify(fd, translated(events))

    def unregister(self, fd: int) -> None:
        """Watch it no more."""
        self._selector.unregister(fd)

    def wake_at(self, at_ns: int) -> None:
        """Remember when to wake up."""
        self._at_ns = at_ns

    @property
    def poll(self) -> Callable[[], list[tuple[int, int]]]:
        """Wait until then."""
        return lambda: self._select(max(0.0, min((self._at_ns - now_ns()) / 1e9, 3600.0)))

    def poll_nowait(self) -> list[tuple[int, int]]:
        """Look."""
        return self._select(0.0)

    def _select(self, timeout_s: float) -> list[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(timeout_s)]

    def close(self) -> None:
        """Release the selector."""
        self._selector.close()


def translated(events: int) -> int:
    """Turn our event bits into `selectors`' ones."""
    return (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)


def best_poller() -> Poller:
    """Give the most precise poller there is."""
    return EpollPoller() if sys.platform == "linux" else SelectPoller()
