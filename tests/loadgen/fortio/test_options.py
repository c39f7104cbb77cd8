import base64
from pathlib import Path

import pytest

from loadgen.fortio.options import ERROR, options_of


def head_of(*flags: str) -> tuple[list[str], bytes]:
    request = options_of([*flags, "http://httpbin:8000/get"]).template().fill(1, 0, sampled=False)
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), body


def test_the_tutorials_flags_are_read() -> None:
    options = options_of(["-c", "3", "-qps", "0", "-n", "20", "-loglevel", "Warning", "http://httpbin:8000/get"])
    assert (options["c"], options["qps"], options["n"], options.level) == (3, 0.0, 20, 3)
    assert list(options.percentiles) == [50, 75, 90, 99, 99.9]
    assert not options.assumed_http


def test_a_url_without_a_scheme_is_http_and_quiet_means_errors_only() -> None:
    options = options_of(["-quiet", "httpbin/get"])
    assert (options.url, options.level, options.assumed_http) == ("http://httpbin/get", ERROR, True)


def test_a_request_is_what_the_flags_say() -> None:
    lines, body = head_of("-H", "x-a: b", "-H", "Host: other", "-user", "me:secret", "-keepalive=false", "-compression")
    assert lines[0] == "GET /get HTTP/1.1"
    assert {"x-a: b", "Host: other", "Connection: close", "Accept-Encoding: gzip"} <= set(lines)
    assert f"Authorization: Basic {base64.b64encode(b'me:secret').decode()}" in lines
    assert not any(line.startswith(("x-synthetic", "traceparent")) for line in lines[:2])
    assert body == b""


def test_any_payload_makes_a_post(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"from a file")
    assert head_of("-payload", "hi")[0][0] == "POST /get HTTP/1.1"
    assert "Content-Type: application/octet-stream" in head_of("-payload", "hi")[0]
    assert head_of("-payload-file", str(file))[1] == b"from a file"
    assert len(head_of("-payload-size", "77", "-payload", "hi")[1]) == 77
    assert "Content-Type: text/plain" in head_of("-content-type", "text/plain", "-X", "PUT")[0]
    assert head_of("-content-type", "text/plain", "-X", "PUT")[0][0] == "PUT /get HTTP/1.1"


def test_where_to_connect_is_what_the_flags_say() -> None:
    options = options_of(
        ["-unix-socket", "/run/x", "-resolve", "127.0.0.1", "-k", "-dns-method", "first", "https://a/"]
    )
    assert options.target.connect == "unix:/run/x"
    assert (options.plan.names.resolve, options.plan.names.first_only, options.plan.tls.verify) == (
        "127.0.0.1",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs a url"),
        (["http://a/", "http://b/"], "needs a url"),
        (["-h2", "http://a/"], "-h2 is not supported"),
        (["-grpc", "http://a/"], "-grpc is not supported"),
        (["-p", "50,100", "http://a/"], "above 0 and below 100"),
        (["-loglevel", "Loud", "http://a/"], "invalid log level"),
        (["-connection-reuse", "5:2", "http://a/"], "expected min:max"),
        (["-H", "none", "http://a/"], "expected key:value"),
        (["-payload-file", "/no/such", "http://a/"], "-payload-file"),
        (["ftp://a/"], "url"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options_of(arguments)
