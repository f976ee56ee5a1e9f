"""The OpenAPI description as a page for people, which needs no network and no script."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2rem 0 .3rem; font-size: 1.1rem; } h2 code { font-size: 1.1rem; }
pre { padding: .7rem 1rem; overflow-x: auto; border: 1px solid #8886; border-radius: 8px; background: #8881; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
tr { border-bottom: 1px solid #8883; } th { font-weight: 600; } p { margin: .3rem 0; }
"""


def page(schema: Mapping[str, Any], address: str, needs_key: bool) -> str:
    """The page.

    Args:
        schema: as FastAPI makes it.
        address: that the server is reached at, without a slash at its end.
        needs_key: whether requests must have a key.
    """
    info = schema["info"]
    parts = [f"<h1>{_escaped(info['title'])}</h1><p>{_escaped(info['description'])}</p>"]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts += _operation(schema, path, method.upper(), operation, address, needs_key)
    parts.append('<p>For programs: <a href="openapi.json">openapi.json</a></p>')
    head = f'<meta charset="utf-8"><title>{_escaped(info["title"])}</title><style>{_STYLE}</style>'
    meta = '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
    return f'<!doctype html><html lang="en"><head>{head}{meta}</head><body>{"".join(parts)}</body></html>'


def _operation(
    schema: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], address: str, needs_key: bool
) -> Iterator[str]:
    yield f"<h2>{_escaped(operation['summary'])}: <code>{method} {_escaped(path)}</code></h2>"
    yield f"<p>{_escaped(operation.get('description', ''))}</p>"
    if method == "POST":
        yield f"<pre>{_escaped(_example(path, operation, address, needs_key))}</pre>"
    rows = [(one["name"], one.get("description", "")) for one in operation.get("parameters", ())]
    yield _table("In the address", rows)
    yield _table("Answer", _fields(schema, operation))
    errors = [(code, one["description"]) for code, one in operation["responses"].items() if code != "200"]
    yield _table('Errors, as {"error": "what was wrong; what was expected"}', errors)


def _example(path: str, operation: Mapping[str, Any], address: str, needs_key: bool) -> str:
    key = ' -H "Authorization: Bearer KEY"' if needs_key else ""
    if "multipart/form-data" in operation["requestBody"]["content"]:
        return f"curl{key} -F file=@FILE {address}{path}"
    return f'curl{key} -H "Content-Type: application/json" -d \'{{"text": "a sentence"}}\' {address}{path}'


def _fields(schema: Mapping[str, Any], operation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of what is answered, those within a list as list.name, with what they are."""
    content = operation["responses"]["200"]["content"].get("application/json", {}).get("schema", {})
    return list(_named(schema, content, ""))


def _named(schema: Mapping[str, Any], node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    if "$ref" in node:
        node = schema["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    for name, field in node.get("properties", {}).items():
        yield f"{prefix}{name}", field.get("description", "")
        yield from _named(schema, field.get("items", {}), f"{prefix}{name}.")


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td><code>{_escaped(name)}</code><td>{_escaped(text)}" for name, text in rows)
    return f"<table><tr><th colspan=2>{_escaped(title)}{cells}</table>" if rows else ""


def _escaped(text: str) -> str:
    return html.escape(text)
