"""The description of the API for people and programs: ``/docs`` and ``/openapi.yaml``, open to everyone.

The page is made of ``openapi.yaml`` and kept beside it as ``docs.html``, so that the running program reads no YAML. Run
``python -m passband.api.docs`` after changing the one; a test compares both. The page loads nothing from anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import msgspec

from passband.api.asgi import App, Receive, Scope, Send, answer
from passband.api.problems import problem
from passband.domain.errors import MethodNotAllowed, UnknownPath

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"max-age=300"),
)
_METHODS = ("GET", "HEAD")

Document = Mapping[str, Any]


def documentation(now: Callable[[], float]) -> list[tuple[str, App]]:
    """Return what is served at which path. ``now`` is for the instant in a 404."""
    page = _file("docs.html", b"text/html; charset=utf-8", now)
    return [("/docs", page), ("/openapi.yaml", _file("openapi.yaml", b"application/yaml", now))]


def _file(name: str, content_type: bytes, now: Callable[[], float]) -> App:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].removesuffix("/") != scope["root_path"]:
            await answer(send, *problem(UnknownPath(), scope["raw_path"].decode("ascii"), now()))
        elif scope["method"] not in _METHODS:
            await answer(send, *problem(MethodNotAllowed(scope["method"], _METHODS), scope["path"], now()))
        else:
            body = (resources.files("passband.api") / name).read_bytes()
            await answer(send, 200, ((b"content-type", content_type), *_HEADERS), body)

    return serve


# --- the page -------------------------------------------------------------------------------------------------------

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f4f4f4;border-radius:3px}code{padding:.1em .3em}
pre{padding:.8em;overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{text-align:left;vertical-align:top;border-bottom:1px solid #ddd;padding:.3rem .6rem .3rem 0}
h2{border-top:2px solid #1a1a1a;padding-top:1rem;margin-top:2.5rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}code,pre{background:#262626}
th,td{border-color:#444}h2{border-color:#ddd}a{color:#8ab4f8}}
"""


def render(document: Document) -> str:
    """Return the page that describes an OpenAPI document, complete in itself."""
    info = document["info"]
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>",
        '<p>For programs: <a href="/openapi.yaml">openapi.yaml</a></p>',
    ]
    base = document["servers"][0]["url"]
    for path, item in document["paths"].items():
        for method in ("post", "put", "get", "head", "delete"):
            if method in item:
                parts += _operation(document, f"{method.upper()} {base}{path}", item[method])
    parts.append("<h2>Values</h2>")
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            parts += [f'<h3 id="{escape(name)}">{escape(name)}</h3>', *_fields(schema)]
    parts.append("</main></body></html>\n")
    return "\n".join(parts)


def _operation(document: Document, heading: str, operation: Document) -> list[str]:
    parts = [f"<h2>{escape(operation['summary'])}</h2><p><code>{escape(heading)}</code></p>"]
    parts.append(f"<p>{escape(operation['description'])}</p>")
    if "requestBody" in operation:
        parts += ["<h3>Request</h3>", *_content(operation["requestBody"])]
    if "parameters" in operation:
        rows = [
            (f"<code>{escape(p['name'])}</code>", _type(p["schema"]), escape(p.get("description", "")))
            for p in (_resolve(document, found) for found in operation["parameters"])
        ]
        parts += ["<h3>Parameters</h3>", *_table(("name", "type", "meaning"), rows)]
    parts.append("<h3>Answers</h3>")
    for status, found in operation["responses"].items():
        response = _resolve(document, found)
        parts.append(f"<h4>{escape(status)}</h4><p>{escape(response['description'])}</p>")
        parts += _content(response)
    return parts


def _content(holder: Document) -> list[str]:
    parts = []
    for content in holder.get("content", {}).values():
        parts.append(f"<p>{_type(content['schema'])}</p>")
        if "example" in content:
            example = msgspec.json.format(msgspec.json.encode(content["example"]), indent=2).decode()
            parts.append(f"<pre>{escape(example, quote=False)}</pre>")
    return parts


def _fields(schema: Document) -> list[str]:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(name)}</code>",
            _type(field) + (", required" if name in required else ""),
            escape(field.get("description", "")),
        )
        for name, field in schema["properties"].items()
    ]
    return _table(("name", "type", "meaning"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return [
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead><tbody>",
        *(f"<tr>{row}</tr>" for row in cells),
        "</tbody></table>",
    ]


def _resolve(document: Document, found: Document) -> Document:
    if "$ref" not in found:
        return found
    target: Any = document
    for step in found["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    resolved: Document = target
    return resolved


def _type(schema: Document) -> str:
    """Return a type in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if "oneOf" in schema:
        return " or ".join(_type(one) for one in schema["oneOf"])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(word))}</code>" for word in schema["enum"] if word is not None)
    limits = [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    return escape(", ".join([str(schema.get("type", "any")), *limits]))


if __name__ == "__main__":
    import sys

    import yaml  # a tool of the developers, not of the program

    sys.stdout.write(render(yaml.safe_load((resources.files("passband.api") / "openapi.yaml").read_text())))
