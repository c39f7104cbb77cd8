import base64

import pytest

from tests.rollout.mesh.translate.documents import Json, errors_in, reviews, to, virtual_service, warnings_in

SPLIT = [to(subset="v1", weight=80), to(subset="v2", weight=20)]


def forwarding(**more: object) -> Json:
    return {"route": [to()], **more}


def aborting(**abort: object) -> Json:
    return forwarding(fault={"abort": {"percentage": {"value": 1}, **abort}})


def delaying(**delay: object) -> Json:
    return forwarding(fault={"delay": {"fixedDelay": "1s", "percentage": {"value": 1}, **delay}})


def answering(**response: object) -> Json:
    return {"directResponse": {"status": 200, **response}}


def large(size: int) -> str:
    return base64.b64encode(b"a" * size).decode()


@pytest.mark.parametrize(
    "http",
    [
        forwarding(),
        {"route": SPLIT},
        {"route": [to(weight=1), to("ratings", weight=199)]},
        {"route": [to(weight=0)]},
        {"route": [to(weight=1), to(weight=1)]},
        {"route": [to("reviews.bookinfo.svc.cluster.local", "V1"), to("10.0.0.1", weight=1)]},
        {"redirect": {"uri": "/a", "authority": "b", "scheme": "https", "port": 8443, "redirectCode": 307}},
        {"redirect": {"prefixRewrite": "/a"}, "match": [{"uri": {"prefix": "/b"}}, {"method": {"exact": "GET"}}]},
        {"redirect": {"scheme": "http", "derivePort": "FROM_REQUEST_PORT"}},
        answering(status=599),
        answering(body={"string": "a" * 100 * 1024}),
        answering(body={"bytes": "AAEC"}),
        answering(body={}),
        forwarding(mirror={"host": "ratings"}, mirrorPercentage={"value": 0.0001}),
        forwarding(mirrors=[{"destination": {"host": "ratings"}, "percentage": {"value": 0}}]),
        forwarding(rewrite={"uri": "/", "authority": "a"}),
        forwarding(rewrite={"uriRegexRewrite": {"match": "^/(?P<a>.*)", "rewrite": r"/\1"}}),
        forwarding(retries={"attempts": 3, "retryOn": "5xx, gateway-error,503,unavailable", "perTryTimeout": "2s"}),
        forwarding(retries={"attempts": 0}),
        forwarding(retries={}),
        delaying(percentage={"value": 100}),
        aborting(httpStatus=200),
        aborting(grpcStatus="NOT_FOUND"),
        forwarding(corsPolicy={"allowOrigins": [{"prefix": "https://a"}], "maxAge": "24h", "allowMethods": ["GET"]}),
        forwarding(corsPolicy={"allowHeaders": ["*"], "exposeHeaders": ["x-a"]}),
        forwarding(headers={"request": {"set": {":authority": "a"}, "add": {"x": "1"}, "remove": ["y"]}}),
        forwarding(timeout="0.5s"),
    ],
)
def test_what_istiod_lets_in_comes_in_without_a_warning(http: Json) -> None:
    assert errors_in(reviews(http)) == []
    assert warnings_in(reviews(http)) == []


@pytest.mark.parametrize(
    ("http", "path", "message"),
    [
        ({}, "", "exactly one of route, redirect, directResponse: none is given"),
        (
            {"route": [to()], "redirect": {"uri": "/"}, **answering()},
            "",
            "exactly one of route, redirect, directResponse: route and redirect and directResponse are given",
        ),
        ({"route": [to(weight=0), to(weight=0)]}, ".route", "total destination weight = 0"),
        ({"route": [to(weight=-1), to(weight=2)]}, ".route[0].weight", "must not be negative, got -1"),
        (
            {"route": [to(weight=2**31 - 1)] * 3},
            ".route",
            "total destination weight 6442450941 is more than 4294967295",
        ),
        ({"route": [to(weight=0.5)]}, ".route[0].weight", "expected a whole number, got 0.5"),
        ({"route": [to("*")]}, ".route[0].destination.host", "not a host: '*'"),
        ({"route": [to("a/b")]}, ".route[0].destination.host", "not a host: 'a/b'"),
        ({"route": [to(subset="v.1")]}, ".route[0].destination.subset", "not a subset name: 'v.1'"),
        (
            {"route": [to(headers={"response": {"set": {"host": "a"}, "add": {":status": "1"}}})]},
            '.route[0].headers.response.add[":status"]',
            "not a header name: ':status'",
        ),
        ({"redirect": {}}, ".redirect", "needs a uri, authority, scheme, port or prefixRewrite"),
        (
            {"redirect": {"uri": "/", "redirectCode": 304}},
            ".redirect.redirectCode",
            "must be one of 301, 302, 303, 307, 308, got 304",
        ),
        ({"redirect": {"scheme": "ftp"}}, ".redirect.scheme", "must be http or https, got 'ftp'"),
        (
            {"redirect": {"port": 1, "derivePort": "FROM_PROTOCOL_DEFAULT"}},
            ".redirect",
            "only one of port and derivePort",
        ),
        ({"redirect": {"uri": "/", "prefixRewrite": "/"}}, ".redirect", "only one of uri and prefixRewrite"),
        (
            {"redirect": {"prefixRewrite": "/"}, "match": [{"uri": {"exact": "/a"}}]},
            ".redirect.prefixRewrite",
            "prefixRewrite needs matches whose uri is a prefix",
        ),
        (
            {"redirect": {"uri": "/"}, "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 1}}}},
            ".fault",
            "fault cannot be combined with redirect",
        ),
        (answering() | {"rewrite": {"uri": "/"}}, ".rewrite", "rewrite cannot be combined with directResponse"),
        (answering(status=199), ".directResponse.status", "must be in 200..599, got 199"),
        (answering(body={"string": "a", "bytes": ""}), ".directResponse.body", "only one of string and bytes"),
        (
            answering(body={"bytes": "!"}),
            ".directResponse.body.bytes",
            "not base64: Only base64 data is allowed",
        ),
        (
            answering(body={"bytes": large(1024 * 1024 + 1)}),
            ".directResponse.body",
            "1048577 bytes are too many, at most 1048576",
        ),
        (forwarding(mirror={"host": "*"}), ".mirror.host", "not a host: '*'"),
        (
            forwarding(mirror={"host": "a"}, mirrors=[{"destination": {"host": "a"}}]),
            ".mirrors",
            "only one of mirror and mirrors",
        ),
        (
            forwarding(mirror={"host": "a"}, mirrorPercentage={"value": 100.1}),
            ".mirrorPercentage.value",
            "must be 0 or in 0.0001..100, got 100.1",
        ),
        (
            forwarding(mirrors=[{"destination": {"host": "a"}, "percentage": {"value": 1e-5}}]),
            ".mirrors[0].percentage.value",
            "must be 0 or in 0.0001..100, got 1e-05",
        ),
        (forwarding(mirrors=[{"destination": {"host": "*"}}]), ".mirrors[0].destination.host", "not a host: '*'"),
        (forwarding(mirrorPercent=0.5), ".mirrorPercent", "expected a whole number, got 0.5"),
        (forwarding(rewrite={}), ".rewrite", "needs a uri, a uriRegexRewrite or an authority"),
        (
            forwarding(rewrite={"uri": "/", "uriRegexRewrite": {"match": "a", "rewrite": "b"}}),
            ".rewrite",
            "only one of uri and uriRegexRewrite",
        ),
        (
            forwarding(rewrite={"uriRegexRewrite": {"match": "a)", "rewrite": "b"}}),
            ".rewrite.uriRegexRewrite.match",
            "not a regular expression: unbalanced parenthesis at position 1",
        ),
        (
            forwarding(rewrite={"uriRegexRewrite": {"match": "*", "rewrite": "b"}}),
            ".rewrite.uriRegexRewrite.match",
            "not a regular expression: nothing to repeat at position 0",
        ),
        (
            forwarding(rewrite={"uriRegexRewrite": {"match": "a"}}),
            ".rewrite.uriRegexRewrite.rewrite",
            "must not be empty",
        ),
        (
            forwarding(rewrite={"authority": "a"}, headers={"request": {"set": {"Host": "b"}}}),
            "",
            "the authority can be set only once: 'b' and 'a' are given",
        ),
        (
            forwarding(headers={"request": {"set": {"host": "a"}, "add": {":authority": "b"}}}),
            "",
            "the authority can be set only once: 'a' and 'b' are given",
        ),
        (forwarding(retries={"attempts": -1}), ".retries.attempts", "must not be negative, got -1"),
        (
            forwarding(retries={"attempts": 0, "retryOn": "5xx"}),
            ".retries",
            "attempts is 0 (no retries), yet other keys are given",
        ),
        (forwarding(retries={"attempts": 1, "retryOn": "5xx,oops"}), ".retries.retryOn", "unknown condition 'oops'"),
        (forwarding(retries={"attempts": 1, "retryOn": "999"}), ".retries.retryOn", "unknown condition '999'"),
        (forwarding(retries={"attempts": 1, "perTryTimeout": "0s"}), ".retries.perTryTimeout", "must be at least 1ms"),
        (forwarding(timeout="1500us"), ".timeout", "must be whole milliseconds"),
        (forwarding(fault={}), ".fault", "needs a delay or an abort"),
        (delaying(exponentialDelay="1s"), ".fault.delay.exponentialDelay", "exponentialDelay not supported yet"),
        (delaying(fixedDelay=None), ".fault.delay.fixedDelay", "missing"),
        (
            delaying(percentage={"value": -1}),
            ".fault.delay.percentage.value",
            "must be 0 or in 0.0001..100, got -1",
        ),
        (delaying(percent=101), ".fault.delay.percent", "must be in 0..100, got 101"),
        (aborting(), ".fault.abort", "exactly one of httpStatus and grpcStatus"),
        (
            aborting(httpStatus=500, grpcStatus="OK"),
            ".fault.abort",
            "exactly one of httpStatus and grpcStatus",
        ),
        (
            aborting(http2Error="CANCEL"),
            ".fault.abort.http2Error",
            "HTTP/2 abort fault injection not supported yet",
        ),
        (aborting(grpcStatus="14"), ".fault.abort.grpcStatus", "gRPC status '14' is not supported"),
        (aborting(httpStatus=600), ".fault.abort.httpStatus", "must be in 200..599, got 600"),
        (
            aborting(httpStatus=500, percentage={"value": 101}),
            ".fault.abort.percentage.value",
            "must be 0 or in 0.0001..100, got 101",
        ),
        (aborting(httpStatus=500, percent=100), ".fault.abort.percent", 'unknown key; did you mean "percentage"?'),
        (
            forwarding(corsPolicy={"allowOrigins": [{"exact": "a", "prefix": "b"}]}),
            ".corsPolicy.allowOrigins[0]",
            "only one of exact, prefix, regex: exact and prefix are given",
        ),
        (
            forwarding(corsPolicy={"allowOrigins": [{}]}),
            ".corsPolicy.allowOrigins[0]",
            "needs exact, prefix or regex",
        ),
        (
            forwarding(corsPolicy={"allowOrigins": [{"exact": ""}]}),
            ".corsPolicy.allowOrigins[0]",
            "needs exact, prefix or regex",
        ),
        (
            forwarding(corsPolicy={"allowOrigins": [{"regex": "*"}]}),
            ".corsPolicy.allowOrigins[0].regex",
            "not a regular expression: nothing to repeat at position 0",
        ),
        (forwarding(corsPolicy={"maxAge": "1500ms"}), ".corsPolicy.maxAge", "must be whole seconds"),
        (
            forwarding(corsPolicy={"allowMethods": ["GET", "A B"]}),
            ".corsPolicy.allowMethods[1]",
            "not a word HTTP allows: 'A B'",
        ),
        (
            forwarding(corsPolicy={"exposeHeaders": [""]}),
            ".corsPolicy.exposeHeaders[0]",
            "not a word HTTP allows: ''",
        ),
    ],
)
def test_what_istiod_refuses_is_refused_at_its_key(http: Json, path: str, message: str) -> None:
    assert (f"spec.http[0]{path}", message) in errors_in(reviews(http))


@pytest.mark.parametrize(
    ("http", "path", "message"),
    [
        (
            answering(body={"string": "a" * (100 * 1024 + 1)}),
            ".directResponse.body",
            "102401 bytes travel with every configuration update, better at most 102400",
        ),
        (
            forwarding(mirror={"host": "ratings"}, mirrorPercent=5),
            ".mirrorPercent",
            "mirrorPercent is deprecated, use mirrorPercentage",
        ),
        (
            forwarding(mirror={"host": "ratings"}, mirror_percent=5),
            ".mirrorPercent",
            "mirrorPercent is deprecated, use mirrorPercentage",
        ),
        (delaying(percentage=None, percent=5), ".fault.delay", "percent is deprecated, use percentage"),
        (delaying(percentage=None), ".fault.delay", "no percentage: never injected"),
        (aborting(httpStatus=500, percentage=None), ".fault.abort", "no percentage: never injected"),
        (
            forwarding(corsPolicy={"allowOrigin": ["*"]}),
            ".corsPolicy.allowOrigin",
            "allowOrigin is deprecated, use allowOrigins",
        ),
    ],
)
def test_what_is_merely_odd_is_a_warning(http: Json, path: str, message: str) -> None:
    assert warnings_in(reviews(http)) == [(f"spec.http[0]{path}", message)]


def delegating(**delegate: object) -> Json:
    return {"delegate": {"name": "other", **delegate}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (reviews(delegating(namespace="ns")), []),
        (reviews(delegating(), forwarding()), []),
        (
            reviews(delegating() | forwarding()),
            [("spec.http[0]", "a route with a delegate must not specify route")],
        ),
        (reviews(delegating(name="a_b")), [("spec.http[0].delegate.name", "not a name: 'a_b'")]),
        (reviews(delegating(namespace="a.b")), [("spec.http[0].delegate.namespace", "not a namespace: 'a.b'")]),
        (virtual_service({"http": [forwarding()]}), []),
        (
            virtual_service({"http": [forwarding() | delegating()]}),
            [("spec.http[0].delegate", "a delegate cannot delegate again")],
        ),
        (
            reviews(delegating() | {"match": [{"uri": {"regex": "a"}}]}),
            [("spec.http[0].match[0].uri.regex", "regex is not supported for delegating")],
        ),
        (
            virtual_service({"http": [forwarding(match=[{"headers": {"a": {"regex": "*"}}}])]}),
            [("spec.http[0].match[0].headers.a.regex", "regex is not supported for delegating")],
        ),
    ],
)
def test_a_root_only_delegates_and_a_delegate_never_does(document: Json, expected: list[tuple[str, str]]) -> None:
    assert errors_in(document) == expected
