"""What the load generator promises and `make test` is too short for.

python -m tests.acceptance.loadgen [fuzz] [pairs] [--inputs 1000000] [--seed 1]
python -m tests.acceptance.loadgen coverage [--inputs 1000000]     (guided by coverage; needs atheris)

fuzz   mutated responses, cut anywhere: the parser never crashes, hangs or fills up, says the same however they are cut,
       and every fiftieth one that it accepts reads as h11 reads it
pairs  paired A/B against unpaired, and A/A, over 2,000 seeds
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import FunctionType

from loadgen.core import http1, http1_head, http2
from loadgen.core.http1 import HEAD_BYTES_MAX, ResponseReader, TooLargeError
from loadgen.core.http1_head import HeadReader, ProtocolError
from loadgen.core.http2 import FRAME_HEAD, FRAME_MAX, Frames
from loadgen.core.plan import VersionFrom
from tests.loadgen.core.simulated_pairs import power, rejections
from tests.loadgen.core.test_http1 import RESPONSES, by_h11, by_us

SIZE_MAX = 1 << 20
HANG_S = 1.0
H11_EVERY = 50  # it takes thirty times as long as we do
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"FFFFFFFFFFFFFFFFF", b"-1", b"+5",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204 No\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 999 x\r\n",
    b"content-length: 5\r\n", b"Content-Length: 18446744073709551616\r\n", b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n", b"connection: close\r\n", b"x-rollout-version: v3\r\n", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"\xff\xfe", b"a" * 300, b"x: y\r\n" * 300,
)  # fmt: skip
SEEDS = tuple(response for response, _ in RESPONSES.values())


def mutated(chance: random.Random) -> bytes:
    """Take a good response, and do something to it, several times."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(0, 4)):
        at = chance.randint(0, len(data))
        match chance.randint(0, 5):
            case 0:
                data[at:at] = chance.choice(TOKENS)
            case 1:
                del data[at : at + chance.randint(1, 20)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3 if data:
                data[at % len(data)] ^= 1 << chance.randint(0, 7)
            case 4:
                other = chance.choice(SEEDS)
                data[at:] = other[chance.randint(0, len(other)) :]
            case _:
                data += data[at : at + 100]
    return bytes(data)


Result = tuple[str, int, int, bytes]  # how it ended; the status, the bytes taken and the body when it was complete


def read(heads: HeadReader, data: bytes, cuts: list[int]) -> Result:
    """Feed a response in pieces."""
    reader = ResponseReader(heads, SIZE_MAX, kept_max=SIZE_MAX)
    begin = 0
    try:
        done = False
        for end in (*cuts, len(data)):
            if end > begin:
                done = reader.feed(data[begin:end])
                begin = end
            buffered = len(reader._buffer)
            assert buffered <= HEAD_BYTES_MAX, f"{buffered} bytes buffered"
        done = done or reader.eof()
    except ProtocolError:
        return ("protocol", 0, 0, b"")
    except TooLargeError:
        return ("too large", 0, 0, b"")
    if not done:
        return ("incomplete", 0, 0, b"")
    assert reader.head is not None
    return ("complete", reader.head.status, reader.size, bytes(reader.body))


def check(heads: HeadReader, data: bytes, cuts: list[int], *, against_h11: bool) -> str:
    """Read one input in one piece and in several; give how it ended."""
    whole = read(heads, data, [])
    assert read(heads, data, cuts) == whole, f"{data!r} cut at {cuts} is not what it is in one piece"
    if against_h11:
        ours = by_us(data)
        assert ours is None or ours == by_h11(data), f"{data!r} is not what h11 reads"
    check_frames(data, cuts)
    return whole[0]


def check_frames(data: bytes, cuts: list[int]) -> None:
    """Take the same bytes for HTTP/2: whole frames, whatever the pieces; no more kept than one frame."""
    frames, kept = Frames(), 0
    try:
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            kept += len(frames.feed(data[begin:end])[0])
            assert len(frames._rest) < FRAME_HEAD + FRAME_MAX
    except ProtocolError:
        return
    assert kept + len(frames._rest) <= len(data)


def fuzz(inputs: int, seed: int) -> bool:
    """Run it; print what became of the inputs."""
    chance = random.Random(seed)
    heads = HeadReader(VersionFrom())
    ends: Counter[str] = Counter()
    worst_s = 0.0
    begin = time.process_time()
    for number in range(inputs):
        data = mutated(chance)
        cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 3)))
        before = time.process_time()
        ends[check(heads, data, cuts, against_h11=number % H11_EVERY == 0)] += 1
        worst_s = max(worst_s, time.process_time() - before)
    took_s = time.process_time() - begin
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(ends.items()))
    say(f"fuzz: {inputs:,} inputs in {took_s:.0f} CPU-s, the slowest {1e3 * worst_s:.1f} ms: {told}")
    return worst_s < HANG_S


def pairs(inputs: int, seed: int) -> bool:
    """Count what paired and unpaired comparisons need, and how often they cry wolf."""
    seeds = range(seed, seed + 2000)
    paired, unpaired = power(seeds, requests=100, paired=True), power(seeds, requests=100, paired=False)
    say(f"pairs: +15 % seen with 100 requests by {paired:.1%} of the paired runs, {unpaired:.1%} of the unpaired ones")
    wolf = rejections(seeds, requests=200, paired=True), rejections(seeds, requests=200, paired=False)
    say(f"pairs: A/A rejected by {wolf[0]:.1%} of the paired and {wolf[1]:.1%} of the unpaired runs (5 % promised)")
    return paired > unpaired and max(wolf) <= 0.05 + 0.01


def coverage(inputs: int, seed: int) -> bool:
    """Let atheris look for inputs that reach code which no other one has reached. It ends the process by itself."""
    import atheris  # type: ignore[import-untyped]  # installed by whoever wants it

    heads = HeadReader(VersionFrom())

    def one(data: bytes) -> None:
        cuts = sorted(byte % (len(data) + 1) for byte in data[:3])
        check(heads, data, cuts, against_h11=False)

    for room in (http1, http1_head, http2):
        for owner in (room, *(kind for kind in vars(room).values() if isinstance(kind, type))):
            for name, member in list(vars(owner).items()):
                if isinstance(member, FunctionType) and member.__module__ == room.__name__:
                    setattr(owner, name, atheris.instrument_func(member))
    atheris.Setup(
        [sys.argv[0], f"-runs={inputs}", f"-seed={seed}", "-max_len=2000", "-timeout=1", "-rss_limit_mb=256"], one
    )
    atheris.Fuzz()
    return True


CHECKS: dict[str, Callable[[int, int], bool]] = {"fuzz": fuzz, "pairs": pairs, "coverage": coverage}


def say(line: str) -> None:
    """Print."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.loadgen")
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    held = {name: CHECKS[name](options.inputs, options.seed) for name in options.checks or ["fuzz", "pairs"]}
    for name, holds in held.items():
        say(f"{name}: {'holds' if holds else 'DOES NOT HOLD'}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
