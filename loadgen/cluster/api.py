"""The one door of loadgen to the API server: create the run's Job, and delete it.

Of kubernetes_asyncio only the configuration loaders and call_api are used; it is imported when a Job is to be made,
because it costs 0.4 s and 63 MB. Without it (the extra `kubernetes`), or without rights, write the Job to a file with
manifest=FILE and let somebody else apply it.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from loadgen.cluster.job import Document

TIMEOUT_S = 10.0  # the library itself has none
DELETE = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}  # the pods as well


class RefusedError(ValueError):
    """The API server, or the way to it, said no."""


@contextlib.asynccontextmanager
async def running(job: Document, context: str = "") -> AsyncIterator[None]:
    """Create *job*, and delete it at the end, whatever happened. Raises RefusedError, OSError."""
    api = await _connected(context)
    path = f"/apis/batch/v1/namespaces/{job['metadata']['namespace']}/jobs"
    async with api:
        await _call(api, "POST", path, job)
        try:
            yield
        finally:
            with contextlib.suppress(RefusedError, OSError):  # it removes itself later: ttlSecondsAfterFinished
                await _call(api, "DELETE", f"{path}/{job['metadata']['name']}", DELETE)


async def _connected(context: str) -> Any:
    """A client by the user's kubeconfig, or by the pod's own account where we run in one."""
    try:
        from kubernetes_asyncio import client, config  # noqa: PLC0415  # 0.4 s and 63 MB, for those who need it
    except ImportError as error:
        raise RefusedError("kubernetes: pip install 'rollout[kubernetes]', or write the Job: manifest=FILE") from error
    configuration = client.Configuration()
    try:
        try:
            load: Any = config.load_incluster_config  # untyped
            load(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(
                client_configuration=configuration, context=context or None, persist_config=False
            )
    except (config.ConfigException, OSError) as error:
        raise RefusedError(f"kubernetes: {error}") from error
    return client.ApiClient(configuration)


async def _call(api: Any, method: str, path: str, body: Document) -> None:
    """One request. The status is looked at here: with _preload_content=False the library does not."""
    from aiohttp import ClientError  # noqa: PLC0415  # comes with the library

    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    try:
        answer = await api.call_api(
            path,
            method,
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=TIMEOUT_S,
        )
        text = await answer.text()
    except (ClientError, TimeoutError) as error:
        raise OSError(f"kubernetes: {method} {path}: {str(error) or type(error).__name__}") from error
    if answer.status >= 300:
        raise RefusedError(f"kubernetes: {method} {path}: {answer.status} {_message(text)}")


def _message(text: str) -> str:
    """What a Status says."""
    try:
        document = json.loads(text)
    except ValueError:
        return text[:200]
    return str(document.get("message", text[:200])) if isinstance(document, dict) else text[:200]
