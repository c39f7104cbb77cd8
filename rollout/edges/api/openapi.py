"""The OpenAPI 3.1 document, generated from the table of routes and the bodies' models."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from rollout import __version__
from rollout.edges.api.endpoints import Endpoint, Role
from rollout.edges.api.models import ProblemView

_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*)?\}")


def openapi(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the document."""
    table = list(endpoints)
    bodies = {model for endpoint in table for model in (endpoint.body, endpoint.answer) if model} | {ProblemView}
    modes: list[tuple[Any, Any]] = [(model, "validation") for model in sorted(bodies, key=lambda m: m.__name__)]
    _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}", by_alias=True)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        path = _PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rollout",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    names = _PARAMETER.findall(endpoint.path)
    words = re.sub(r"[^a-z0-9]+", " ", f"{endpoint.method} {endpoint.path}".lower()).split()
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": "-".join(words),
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            *({"name": n, "in": "query", "description": d, "schema": {"type": "string"}} for n, d in endpoint.query),
        ],
        "responses": {str(endpoint.status): _response(endpoint), **_errors(endpoint)},
        "security": [] if endpoint.role is Role.PUBLIC else [{"token": []}, {}],
    }
    if endpoint.body is not None:
        schema = {"$ref": f"#/components/schemas/{endpoint.body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _response(endpoint: Endpoint) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{endpoint.answer.__name__}"} if endpoint.answer else {}
    return {"description": endpoint.summary, "content": {endpoint.media_type: {"schema": schema}}}


def _errors(endpoint: Endpoint) -> dict[str, Any]:
    protected = () if endpoint.role is Role.PUBLIC else (401, 403)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    return {str(status): {"description": "Problem", "content": problem} for status in (*protected, *endpoint.errors)}
