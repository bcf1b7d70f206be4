"""The API's own description: OpenAPI, and a page for people that needs no other host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.api import answers

_METHODS = ("get", "post", "put", "delete", "head", "patch")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .4rem 0; padding: .3rem .8rem; }
summary { cursor: pointer; } summary code { font-weight: 600; }
.method { display: inline-block; min-width: 4.2rem; font: 600 .8rem ui-monospace, monospace; }
.get { color: #1a7f37; } .post { color: #0969da; }
.put { color: #9a6700; } .delete { color: #cf222e; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
.says { opacity: .75; }
"""


def describe(api: FastAPI) -> None:
    """Make ``/openapi.json`` say what the API does: 400 and not 422, and how to sign in."""

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _described(api)
        return api.openapi_schema

    setattr(api, "openapi", described)  # noqa: B010 - FastAPI's documented way to extend it


def _described(api: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    for path, operation in _operations(schema):
        operation["responses"].pop("422", None)
        _describe_answers(path, operation)
    components = schema.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "query": {"type": "apiKey", "in": "query", "name": "access_token"},
    }
    schema["security"] = [{"bearer": []}, {"query": []}]
    return schema


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        yield from ((path, methods[method]) for method in _METHODS if method in methods)


def _describe_answers(path: str, operation: dict[str, Any]) -> None:
    """Add the shape of a good answer, the other codes, and whether a token is needed."""
    name, responses = operation["operationId"], operation["responses"]
    if name in answers.ANSWERS:
        good = next(code for code in ("200", "201") if code in responses)
        responses[good]["content"] = {"application/json": {"schema": answers.ANSWERS[name]}}
    if name in answers.OPEN:
        operation["security"] = []
    message = {"application/json": {"schema": answers.MESSAGE}}
    for code, words in answers.refusals(operation, path).items():
        responses.setdefault(code, {"description": words, "content": message})


def page(schema: Mapping[str, Any]) -> str:
    """Return the description as one HTML page without scripts."""
    info = schema["info"]
    subjects: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                subject = (operation.get("tags") or ["other"])[0]
                subjects.setdefault(subject, []).append(_operation(path, method, operation))
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(all_)}" for name, all_ in subjects.items())
    about = _text(info.get("description", ""))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        '<meta name=viewport content="width=device-width"><style>'
        f"{_STYLE}</style><h1>{escape(info['title'])}</h1><p class=says>version "
        f"{escape(info['version'])} · <a href=../openapi.json>openapi.json</a><p>{about}{body}"
    )


def _text(markdown: str) -> str:
    """Return paragraphs with code, which is all the Markdown that descriptions have."""
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(markdown))
    return code.replace("\n\n", "<p>")


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(_parameter(each) for each in operation.get("parameters", ()))
    table = f"<table>{rows}</table>" if rows else ""
    codes = ", ".join(
        f"{escape(code)} {escape(each.get('description', ''))}"
        for code, each in operation.get("responses", {}).items()
    )
    return (
        f"<details><summary><span class='method {method}'>{method.upper()}</span>"
        f"<code>{escape(path)}</code> <span class=says>{escape(operation.get('summary', ''))}"
        f"</span></summary><p>{_text(operation.get('description', ''))}{table}"
        f"<p class=says>Answers: {codes}</details>"
    )


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    kinds = [schema, *schema.get("anyOf", ())]
    kind = " or ".join(each["type"] for each in kinds if each.get("type", "null") != "null")
    default = f", default {schema['default']}" if schema.get("default") not in (None, "") else ""
    required = ", required" if parameter.get("required") else ""
    says = parameter.get("description", "")
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code><td class=says>"
        f"{escape(parameter['in'])}, {escape(kind + default + required)}<td>{escape(says)}"
    )
