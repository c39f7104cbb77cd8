"""The Job: what the controller, the kubelet and the policies want of it."""

from typing import Any

import pytest

from loadgen.cluster.job import LABELS, TOKEN_ANNOTATION, JobSpec, job
from tests.deploy.pod_policy import problems_of
from tests.deploy.rendered import named, needs_kubectl


def spec(**changes: Any) -> JobSpec:
    values: dict[str, Any] = {
        "name": "loadgen-1",
        "workers": 4,
        "image": "rollout:1",
        "collector": "http://10.0.0.5:8484",
        "token": "secret",
        "duration_s": 90,
    }
    return JobSpec(**(values | changes))


def test_every_index_runs_once_and_the_job_ends_and_removes_itself() -> None:
    made = job(spec())["spec"]

    assert (made["completionMode"], made["completions"], made["parallelism"]) == ("Indexed", 4, 4)
    assert made["backoffLimit"] == 0
    assert made["template"]["spec"]["restartPolicy"] == "Never"
    assert made["activeDeadlineSeconds"] == 120 + 90 + 60
    assert 0 < made["ttlSecondsAfterFinished"] <= 600


def test_its_pods_are_restricted_and_have_no_api_token() -> None:
    template = job(spec())["spec"]["template"]

    assert not list(problems_of(template))
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["serviceAccountName"] == "rollout-load"
    (container,) = template["spec"]["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_runs_token_is_in_a_file_and_nowhere_else() -> None:
    made = job(spec(token="s3cr3t"))
    template = made["spec"]["template"]

    assert template["metadata"]["annotations"].pop(TOKEN_ANNOTATION) == "s3cr3t"
    assert "s3cr3t" not in str(made)
    assert "s3cr3t" not in repr(spec(token="s3cr3t"))
    (volume,) = [volume for volume in template["spec"]["volumes"] if volume["name"] == "token"]
    assert volume["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"] == f"metadata.annotations['{TOKEN_ANNOTATION}']"


def test_a_sidecar_is_waited_for_and_does_not_outlive_the_run() -> None:
    meshed, bare = (job(spec(mesh=mesh))["spec"]["template"] for mesh in (True, False))

    assert meshed["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert "holdApplicationUntilProxyStarts" in meshed["metadata"]["annotations"]["proxy.istio.io/config"]
    assert meshed["metadata"]["annotations"]["sidecar.istio.io/nativeSidecar"] == "true"
    assert "--quit-sidecar" in meshed["spec"]["containers"][0]["command"]
    assert bare["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert "--quit-sidecar" not in bare["spec"]["containers"][0]["command"]


@needs_kubectl
def test_the_shipped_policies_apply_to_its_pods() -> None:
    selector = named("cluster", "NetworkPolicy", "rollout-load")["spec"]["podSelector"]["matchLabels"]

    assert selector.items() <= job(spec())["spec"]["template"]["metadata"]["labels"].items()
    assert selector == LABELS
    assert named("cluster", "ServiceAccount", "rollout-load")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Not_A_Name"}, "name"),
        ({"name": "x" * 53}, "name"),
        ({"workers": 0}, "workers"),
        ({"workers": 65}, "workers"),
        ({"image": "a b"}, "image"),
        ({"collector": "10.0.0.5:8484"}, "collector"),
    ],
)
def test_wrong_input_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        spec(**change)
