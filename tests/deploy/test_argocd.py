"""Beside Argo CD: what a rollout does to a VirtualService is no difference, and everything else is."""

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.core.phase import Phase
from rollout.core.routes.target import RouteScope, RouteTarget
from rollout.core.routes.virtual_service import edited
from tests.rollout.core.documents import virtual_service

ARGOCD = Path(__file__).parents[2] / "deploy/argocd"
SCOPE = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3")
TARGET = RouteTarget(canary_percent=25, cohort={"end-user": {"exact": "jason"}})


def normalised(document: Any) -> Any:
    """As Argo CD compares it: each expression deleted, one after the other."""
    patch = yaml.safe_load((ARGOCD / "application-patch.yaml").read_text())
    (ignored,) = patch["spec"]["ignoreDifferences"]
    program = " | ".join(f"del({expression})" for expression in ignored["jqPathExpressions"])
    done = subprocess.run(
        ["jq", program], input=json.dumps(document), capture_output=True, text=True, check=True, timeout=10
    )
    return json.loads(done.stdout)


def in_git() -> Any:
    document = virtual_service()
    document["spec"]["http"][0]["route"] = [
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 100},
        {"destination": {"host": "reviews", "subset": "v3"}, "weight": 0},
    ]
    return document


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is missing: Argo CD's expressions are not run")
def test_a_rollout_is_no_difference_and_an_edit_is() -> None:
    live = edited(in_git(), SCOPE, TARGET)
    assert live != in_git()

    assert normalised(live) == normalised(in_git())

    by_hand = copy.deepcopy(live)
    by_hand["spec"]["http"][-1]["timeout"] = "1s"
    assert normalised(by_hand) != normalised(in_git())


def test_health_knows_every_end_of_a_rollout() -> None:
    scripts = yaml.safe_load((ARGOCD / "argocd-cm-patch.yaml").read_text())["data"]
    script = scripts["resource.customizations.health.rollout.dev_TrafficRollout"]

    assert len(scripts) == 2
    for phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.PAUSED):
        assert f'"{phase.value}"' in script
