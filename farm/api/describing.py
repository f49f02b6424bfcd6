"""The OpenAPI document, with what the framework leaves out of it: errors, and links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from farm.api.problems import ProblemDocument

Document = dict[str, Any]

#: Statuses of errors that any route may answer.
STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 429, 500, 503)
#: What makes something, and the beginning and parameter of the paths that are about one of these.
MAKERS = (
    ("/v1/jobs", "post", "202", "/v1/jobs/{name}", "name"),
    ("/v1/batches", "post", "200", "/v1/batches/{name}", "name"),
    ("/v1/files", "post", "200", "/v1/files/{id}", "id"),
)


def describe(app: FastAPI, models: Mapping[str, type[BaseModel]]) -> Document:
    """Return an application's OpenAPI document, with the form that its errors have.

    That is a problem document or, below a path of `models`, that model as JSON. Links say which
    routes take the id of what was made.
    """
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, description=app.description
    )
    _add_schemas(document["components"]["schemas"], models)
    for path, operations in document["paths"].items():
        own = next((model for begins, model in models.items() if path.startswith(begins)), None)
        mime = "application/json" if own else "application/problem+json"
        name = own.__name__ if own else ProblemDocument.__name__
        for operation in operations.values():
            _add_errors(operation["responses"], mime, name)
    for maker in MAKERS:
        _add_links(document["paths"], *maker)
    return document


def _add_schemas(schemas: Document, models: Mapping[str, type[BaseModel]]) -> None:
    wanted: list[type[BaseModel]] = [ProblemDocument, *models.values()]
    for model in wanted:
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas[model.__name__] = described
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _add_errors(responses: Document, mime: str, name: str) -> None:
    responses.pop("422", None)  # the framework's own; the farm answers 400
    content = {mime: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    for status in STATUSES:
        error = {"description": HTTPStatus(status).phrase, "content": content}
        responses.setdefault(str(status), error)


def _add_links(
    paths: Document, maker: str, method: str, status: str, begins: str, parameter: str
) -> None:
    links: Document = {}
    for path, operations in paths.items():
        if path == begins or path.startswith(f"{begins}/"):
            for operation in operations.values():
                links[operation["operationId"]] = {
                    "operationId": operation["operationId"],
                    "parameters": {f"path.{parameter}": "$response.body#/id"},
                }
    paths[maker][method]["responses"][status]["links"] = links


def allowed(document: Document, path: str) -> str:
    """Return the methods that a path takes, as an `Allow` header has them."""
    paths = document["paths"]
    forms = {each: re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(each)) for each in paths}
    fitting = [path] if path in paths else [p for p in paths if re.fullmatch(forms[p], path)]
    return ", ".join(sorted({method.upper() for each in fitting for method in paths[each]}))
