import pytest

from tests.rollout.mesh.translate.documents import Json, destination_rule, errors_in, warnings_in

FILES = {"clientCertificate": "/c", "privateKey": "/k"}


def under(**policy: object) -> Json:
    return destination_rule({"host": "reviews", "trafficPolicy": policy})


def hashing(**how: object) -> Json:
    return under(loadBalancer={"consistentHash": how})


@pytest.mark.parametrize(
    "document",
    [
        destination_rule({"host": "*.example.com"}),
        destination_rule({"host": "a", "subsets": [{"name": "v1"}, {"name": "V2", "labels": {"a": "b"}}]}),
        under(connectionPool={"tcp": {"maxConnections": 1, "idleTimeout": "0s"}}),
        under(connectionPool={"http": {"h2UpgradePolicy": "UPGRADE", "http2KeepAlive": {"timeout": "1s"}}}),
        under(connectionPool={"http": {"useClientProtocol": True, "h2UpgradePolicy": "DO_NOT_UPGRADE"}}),
        under(outlierDetection={}),
        under(outlierDetection={"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 1}),
        under(portLevelSettings=[{"port": {"number": 1}, "tls": {"mode": "DISABLE"}}]),
        under(loadBalancer={"simple": "ROUND_ROBIN", "warmup": {"duration": "1s"}}),
        under(loadBalancer={"warmupDurationSecs": "1s"}),
        hashing(httpHeaderName=":path"),
        hashing(httpCookie={"name": "a", "attributes": [{"name": "b"}, {"name": "c"}]}),
        hashing(useSourceIp=True, ringHash={"minimumRingSize": 1}),
        hashing(httpQueryParameterName="a", maglev={"tableSize": 5_000_011}),
        under(tls={"mode": "DISABLE"}),
        under(tls={"mode": "ISTIO_MUTUAL", "sni": "a"}),
        under(tls={"mode": "SIMPLE", "caCertificates": "/a"}),
        under(tls={"mode": "SIMPLE", "insecureSkipVerify": True}),
        under(tls={"mode": "MUTUAL", "caCertificates": "/a", **FILES}),
        under(retryBudget={"percent": 10}),
    ],
)
def test_what_istiod_lets_in_comes_in_without_a_warning(document: Json) -> None:
    assert errors_in(document) == []
    assert warnings_in(document) == []


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (destination_rule({"host": ""}), "host", "not a host: ''"),
        (destination_rule({"host": "a", "exportTo": ["a.b"]}), "exportTo[0]", "not a namespace: 'a.b'"),
        (
            destination_rule({"host": "a", "subsets": [{"name": "v1"}, {"name": "v1"}]}),
            "subsets[1].name",
            "duplicate subset name 'v1'",
        ),
        (destination_rule({"host": "a", "subsets": [{"name": "v.1"}]}), "subsets[0].name", "not a subset name: 'v.1'"),
        (
            destination_rule({"host": "a", "subsets": [{"name": "v1", "trafficPolicy": {}}]}),
            "subsets[0].trafficPolicy",
            "must have at least one field",
        ),
        (under(), "trafficPolicy", "must have at least one field"),
        (
            under(portLevelSettings=[{"port": {"number": 1}}]),
            "trafficPolicy.portLevelSettings[0]",
            "must have at least one field beside port",
        ),
        (
            under(portLevelSettings=[{"port": {"number": 1}, "connectionPool": {}}]),
            "trafficPolicy.portLevelSettings[0].connectionPool",
            "must have at least one field",
        ),
        (under(connectionPool={}), "trafficPolicy.connectionPool", "must have at least one field"),
        (
            under(connectionPool={"tcp": {"maxConnections": -1}}),
            "trafficPolicy.connectionPool.tcp.maxConnections",
            "must not be negative",
        ),
        *(
            (
                under(connectionPool={"http": {key: -1}}),
                f"trafficPolicy.connectionPool.http.{key}",
                "must not be negative, got -1",
            )
            for key in (
                "http1MaxPendingRequests",
                "http2MaxRequests",
                "maxRequestsPerConnection",
                "maxRetries",
                "maxConcurrentStreams",
            )
        ),
        (
            under(connectionPool={"http": {"http2KeepAlive": {"interval": "1s"}}}),
            "trafficPolicy.connectionPool.http.http2KeepAlive.timeout",
            "missing",
        ),
        (
            under(connectionPool={"http": {"useClientProtocol": True, "h2UpgradePolicy": "UPGRADE"}}),
            "trafficPolicy.connectionPool.http",
            "useClientProtocol and h2UpgradePolicy UPGRADE contradict each other",
        ),
        (
            under(outlierDetection={"consecutiveLocalOriginFailures": 1}),
            "trafficPolicy.outlierDetection.consecutiveLocalOriginFailures",
            "needs splitExternalLocalOriginErrors: true",
        ),
        *(
            (
                under(outlierDetection={key: 101}),
                f"trafficPolicy.outlierDetection.{key}",
                "must be in 0..100, got 101",
            )
            for key in ("maxEjectionPercent", "minHealthPercent")
        ),
        (
            under(loadBalancer={"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}),
            "trafficPolicy.loadBalancer",
            "only one of simple and consistentHash",
        ),
        (
            under(loadBalancer={"warmup": {"duration": "1s"}, "warmupDurationSecs": "1s"}),
            "trafficPolicy.loadBalancer",
            "only one of warmup and warmupDurationSecs",
        ),
        (
            under(loadBalancer={"simple": "RANDOM", "warmupDurationSecs": "1s"}),
            "trafficPolicy.loadBalancer",
            "warmup works with ROUND_ROBIN and LEAST_REQUEST only",
        ),
        (
            under(loadBalancer={"warmup": {"duration": "1s"}, "consistentHash": {"useSourceIp": True}}),
            "trafficPolicy.loadBalancer",
            "warmup works with ROUND_ROBIN and LEAST_REQUEST only",
        ),
        *(
            (
                hashing(**how),
                "trafficPolicy.loadBalancer.consistentHash",
                "exactly one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName",
            )
            for how in ({}, {"useSourceIp": True, "httpHeaderName": "a"})
        ),
        (
            hashing(httpHeaderName="a b"),
            "trafficPolicy.loadBalancer.consistentHash.httpHeaderName",
            "not a header name: 'a b'",
        ),
        (
            hashing(httpCookie={"name": ""}),
            "trafficPolicy.loadBalancer.consistentHash.httpCookie.name",
            "must not be empty",
        ),
        (
            hashing(httpCookie={"name": "a", "attributes": [{"name": ""}]}),
            "trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[0].name",
            "must not be empty",
        ),
        (
            hashing(httpCookie={"name": "a", "attributes": [{"name": "b"}, {"name": "b"}]}),
            "trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name",
            "stands there twice: 'b'",
        ),
        (
            hashing(useSourceIp=True, ringHash={}, maglev={"tableSize": 7}),
            "trafficPolicy.loadBalancer.consistentHash",
            "only one of ringHash, maglev and minimumRingSize",
        ),
        *(
            (
                hashing(useSourceIp=True, maglev={"tableSize": size}),
                "trafficPolicy.loadBalancer.consistentHash.maglev.tableSize",
                f"must be a prime number up to 5000011, got {size}",
            )
            for size in (0, 1, 4, 5_000_077)
        ),
        (
            under(tls={"mode": "MUTUAL", "caCertificates": "/a", "clientCertificate": "/c"}),
            "trafficPolicy.tls",
            "mode MUTUAL needs clientCertificate and privateKey",
        ),
        *(
            (
                under(tls={"mode": mode, **FILES}),
                "trafficPolicy.tls.caCertificates",
                "missing: name a file of authorities to trust, or say insecureSkipVerify: true",
            )
            for mode in ("SIMPLE", "MUTUAL")
        ),
        (
            under(tls={"mode": "ISTIO_MUTUAL", "caCertificates": "/a"}),
            "trafficPolicy.tls",
            "mode ISTIO_MUTUAL brings its own certificates: name no others",
        ),
        (
            under(tls={"mode": "MUTUAL", "credentialName": "a"}),
            "trafficPolicy.tls.credentialName",
            "secrets are not available in the embedded mesh: name certificate files",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_its_key(document: Json, path: str, message: str) -> None:
    assert errors_in(document) == [(f"spec.{path}", message)]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (
            destination_rule({"host": "a", "workloadSelector": {"matchLabels": {"a": "b"}}}),
            "workloadSelector",
            "has no effect in the embedded mesh: all callers share one policy",
        ),
        (under(tunnel={"protocol": "CONNECT"}), "trafficPolicy.tunnel", "has no effect in the embedded mesh"),
        (under(proxyProtocol={}), "trafficPolicy.proxyProtocol", "has no effect in the embedded mesh"),
        (
            under(outlierDetection={"consecutiveErrors": 1}),
            "trafficPolicy.outlierDetection.consecutiveErrors",
            "consecutiveErrors has no effect any more, use consecutive5xxErrors or consecutiveGatewayErrors",
        ),
        *(
            (
                under(loadBalancer={"simple": "RANDOM", key: {}}),
                f"trafficPolicy.loadBalancer.{key}",
                "has no effect in the embedded mesh: it is one locality",
            )
            for key in ("localityLbSetting", "zoneAwareLbSetting")
        ),
        (
            hashing(useSourceIp=True, minimumRingSize=5),
            "trafficPolicy.loadBalancer.consistentHash.minimumRingSize",
            "minimumRingSize is deprecated, use ringHash",
        ),
    ],
)
def test_what_has_no_effect_is_a_warning(document: Json, path: str, message: str) -> None:
    assert warnings_in(document) == [(f"spec.{path}", message)]
