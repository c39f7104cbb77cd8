"""fortio's load: so many threads, each with one connection, each paced on its own, in step with the others.

What makes its numbers its own is kept: the clock of a call starts when it is sent, a connection is closed after every
response that is not 2xx or 418, one dead idle connection is tried again without a word, and threads that are late catch
up at full speed. The tutorial's circuit breaker shows what it shows because of exactly that.
"""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from loadgen.core.limits import check_amount
from loadgen.core.outcome import Outcome
from loadgen.core.request import Template
from loadgen.fortio.histogram import FortioHistogram
from loadgen.fortio.options import Options
from loadgen.transport.address import AddressBook, endpoint_of, tls_context
from loadgen.transport.clock import now_ns
from loadgen.transport.exchange import Answer, Caller

TEAPOT = 418
JITTER = 0.1


class AbortedError(Exception):
    """The warm-up met an error; nothing was measured."""


def is_good(code: int) -> bool:
    """What fortio takes for success."""
    return 200 <= code < 300 or code == TEAPOT


@dataclass(slots=True)
class Thread:
    """What one thread did."""

    index: int
    calls: int = 0
    codes: dict[int, int] = field(default_factory=dict)
    latencies: list[tuple[float, bool]] = field(default_factory=list)  # seconds, good
    sleeps: list[float] = field(default_factory=list)
    header_sizes: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)  # one for each connection
    warnings: list[tuple[int, int, str]] = field(default_factory=list)  # code, thread, status line


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the calls are spread."""

    threads: int
    calls: tuple[int, ...]  # by thread; 0 means until the time is over
    qps: float  # 0 means as fast as it goes
    duration_s: float  # 0 means until the calls are made


def shape_of(options: Options) -> Shape:
    """Work out fortio's plan of calls."""
    count, threads, duration_s = options["n"], max(1, options["c"]), options["t"]
    qps = max(0.0, options["qps"])
    if options["calc-qps"]:
        if not count or not duration_s:
            raise ValueError("-calc-qps needs both -n and -t")
        qps = count / duration_s
    if qps <= 0:
        calls = (
            [count // threads + (count % threads if k == 0 else 0) for k in range(threads)] if count else [0] * threads
        )
        return Shape(threads=threads, calls=tuple(calls), qps=0.0, duration_s=0.0 if count else duration_s)
    if not count and not duration_s:
        return Shape(threads=threads, calls=(0,) * threads, qps=qps, duration_s=0.0)
    total = count or max(2, int(qps * duration_s))
    threads = max(1, total // 2) if 2 * threads > total else threads
    first = total % threads if count else 0
    calls = [total // threads + (first if k == 0 else 0) for k in range(threads)]
    return Shape(threads=threads, calls=tuple(calls), qps=qps, duration_s=0.0 if count else duration_s)


class Runner:
    """One run."""

    def __init__(self, options: Options, shape: Shape) -> None:
        self._options, self._shape = options, shape
        self._template: Template = options.template()
        plan = options.plan
        self._endpoint = endpoint_of(plan, options.target, plan.arms[0])
        self._addresses = AddressBook(self._endpoint, plan.names, plan.allow_hosts)
        if not self._addresses.is_local:
            check_amount(plan)
        self._context = tls_context(plan.tls) if self._endpoint.server_name else None
        self._random = random.Random(plan.seed)  # noqa: S311  # jitter is no secret
        self.stopped = threading.Event()
        self.threads = [Thread(index) for index in range(shape.threads)]
        self.warmed = 0
        self.duration_ns = 0

    def run(self) -> None:
        """Make all calls. Raises AbortedError, when the warm-up fails."""
        callers = [self.caller() for _ in self.threads]
        try:
            if not self._options["n"]:
                self._warm_up(callers)
            begin = now_ns()
            with ThreadPoolExecutor(len(callers), thread_name_prefix="fortio") as pool:
                futures = [
                    pool.submit(self._work, thread, caller, begin)
                    for thread, caller in zip(self.threads, callers, strict=True)
                ]
                for future in futures:
                    future.result()
            self.duration_ns = now_ns() - begin
        finally:
            for thread, caller in zip(self.threads, callers, strict=True):
                caller.close()
                thread.addresses = caller.connected_to
                thread.connects = [took / 1e9 for took in caller.connect_ns]

    def caller(self) -> Caller:
        """Make a connection; it is opened by its first call."""
        plan = self._options.plan
        return Caller(
            self._addresses,
            self._endpoint.server_name,
            self._context,
            timeout_s=plan.timeout_s,
            size_max=plan.response_bytes_max,
            bodiless=self._options.target.method == "HEAD",
        )

    def _warm_up(self, callers: list[Caller]) -> None:
        """Call once on every connection."""
        workers = 1 if self._options["sequential-warmup"] else len(callers)
        with ThreadPoolExecutor(workers, thread_name_prefix="fortio-warm-up") as pool:
            answers = list(pool.map(lambda caller: caller.call(self.request(0)), callers))
        self.warmed = len(callers)
        for answer in answers:
            code = code_of(answer)
            if not is_good(code) and not self._options["allow-initial-errors"]:
                raise AbortedError(
                    f"Aborting because of error {code} for {self._options.url} ({len(answer.raw)} bytes)"
                )
        for caller, answer in zip(callers, answers, strict=True):
            if not is_good(code_of(answer)):
                caller.close()

    def request(self, index: int) -> bytes:
        """Give the bytes of a request; a fresh UUID in each, when it has one."""
        return self._template.fill(self._options.plan.seed, index, sampled=False)

    def _work(self, thread: Thread, caller: Caller, begin: int) -> None:
        """Make one thread's calls."""
        shape = self._shape
        low, high = self._options.reuse
        left = self._random.randint(low, high) if high else -1
        slot = 0
        if shape.qps and self._options["uniform"]:
            self.stopped.wait(thread.index / shape.qps)
        while self._goes_on(thread, slot, begin):
            if left == 0:
                caller.close()
                left = self._random.randint(low, high)
            left -= 1
            self._call(thread, caller)
            slot = self._pace(thread, slot, begin)

    def _goes_on(self, thread: Thread, slot: int, begin: int) -> bool:
        """Whether to call again: two calls are always made, and so is the last one of a paced thread."""
        planned, duration_s = self._shape.calls[thread.index], self._shape.duration_s
        if self.stopped.is_set() or (planned and slot >= planned):
            return False
        if not duration_s or (now_ns() - begin) / 1e9 < duration_s:
            return True
        return self._shape.qps > 0 and (thread.calls < 2 or slot == planned - 1)

    def _call(self, thread: Thread, caller: Caller) -> None:
        request = self.request(thread.calls * self._shape.threads + thread.index)
        was_open = caller.is_open
        begin = now_ns()
        answer = caller.call(request)
        if was_open and not answer.raw and answer.outcome in {Outcome.EOF, Outcome.RESET}:
            answer = caller.call(request)  # fortio's RetryOnce: a dead idle connection, without a word
        latency_s = (now_ns() - begin) / 1e9
        code = code_of(answer)
        good = is_good(code)
        if not good:
            caller.close()
            thread.warnings.append((code, thread.index, answer.head.partition(b"\r\n")[0].decode("latin-1")))
        thread.calls += 1
        thread.codes[code] = thread.codes.get(code, 0) + 1
        thread.latencies.append((latency_s, good))
        thread.header_sizes.append(len(answer.head) if good else 0)
        thread.sizes.append(len(answer.raw))
        if self._options["abort-on"] == code:
            self.stopped.set()

    def _pace(self, thread: Thread, slot: int, begin: int) -> int:
        """Wait for the next call's time; give its slot."""
        if not self._shape.qps:
            return slot + 1
        rate = self._shape.qps / self._shape.threads
        planned = self._shape.calls[thread.index]
        stretch = 1 + 1 / (planned - 1) if planned > 1 else 1.0
        elapsed_s = (now_ns() - begin) / 1e9
        slot += 1
        if self._options["nocatchup"]:
            slot = max(slot, int(elapsed_s * rate / stretch) + 1) if elapsed_s > slot * stretch / rate else slot
        sleep_s = slot * stretch / rate - elapsed_s
        if self._options["jitter"]:
            sleep_s *= 1 + self._random.uniform(-JITTER, JITTER)
        if planned and slot >= planned:
            return slot
        thread.sleeps.append(sleep_s)
        if sleep_s > 0:
            self.stopped.wait(sleep_s)
        return slot


def code_of(answer: Answer) -> int:
    """Name a result as fortio does: the status, or -1 for whatever went wrong below HTTP."""
    return answer.status if answer.outcome is Outcome.OK else -1


def histogram_of(values: list[float], divider: float, offset: float = 0.0) -> FortioHistogram:
    """Count values."""
    histogram = FortioHistogram(divider, offset)
    for value in values:
        histogram.record(value)
    return histogram
