from rollout.mesh.translate.grpc_status import GrpcStatus


def test_every_status_of_grpc_has_its_number() -> None:
    assert [status.value for status in GrpcStatus] == list(range(17))
    assert (GrpcStatus["NOT_FOUND"], GrpcStatus["UNAVAILABLE"], GrpcStatus["UNAUTHENTICATED"]) == (5, 14, 16)
