"""Local processes that act as the pods of a Job: the command, the index and the token file are the manifest's."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadgen.cluster.job import TOKEN_ANNOTATION, TOKEN_DIRECTORY

ROOT = Path(__file__).parents[3]


class LocalJob:
    """Does what the Job controller and the kubelet do: one process for each index."""

    def __init__(self, job: dict[str, Any], scratch: Path) -> None:
        template = job["spec"]["template"]
        (container,) = template["spec"]["containers"]
        token = scratch / "token"
        token.write_text(template["metadata"]["annotations"][TOKEN_ANNOTATION])
        words = [word.replace(TOKEN_DIRECTORY, str(scratch)) for word in container["command"]]
        assert words[0] == "loadgen"
        self._command = [sys.executable, "-m", *words]
        self._count = job["spec"]["completions"]
        self.pods: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        for index in range(self._count):
            self.start(index)
        return self

    def start(self, index: int) -> subprocess.Popen[str]:
        """Start one pod."""
        environment = {**os.environ, "JOB_COMPLETION_INDEX": str(index), "PYTHONPATH": str(ROOT)}
        pod = subprocess.Popen(self._command, env=environment, stderr=subprocess.PIPE, text=True)
        self.pods.append(pod)
        return pod

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pod in self.pods:
            if error is not None:
                pod.kill()
            with pod:
                pod.wait(timeout=20)
