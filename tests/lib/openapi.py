"""docs/openapi.json: its operations, and a check of values by the part of JSON Schema that it uses."""

import json
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "oneOf", "$ref", "minimum", "maximum",
         "description"}


def _is(value, kind):
    return isinstance(value, TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))


class Operation:
    def __init__(self, method, path, raw):
        self.method, self.path, self.raw = method.upper(), path, raw
        self.role = raw["x-role"]
        self.parameters = raw.get("parameters", [])
        self.statuses = {int(s) for s in raw["responses"]}

    def __repr__(self):
        return "%s %s" % (self.method, self.path)

    @property
    def body(self):
        """The schema of what is posted."""
        return self.raw["requestBody"]["content"]["application/json"]["schema"] if "requestBody" in self.raw else None


class OpenApi:
    def __init__(self, path=os.path.join(ROOT, "docs", "openapi.json")):
        with open(path, encoding="utf-8") as f:
            self.document = json.load(f)
        self.operations = [Operation(m, p, raw) for p, item in self.document["paths"].items() for m, raw in item.items()]

    def find(self, ref):
        at = self.document
        for part in ref.lstrip("#/").split("/"):
            at = at[part]
        return at

    def answer(self, operation, status):
        """(content type, schema) that are promised for this status; None: the status is not."""
        answer = operation.raw["responses"].get(str(status))
        if answer is None:
            return None
        if "$ref" in answer:
            answer = self.find(answer["$ref"])
        for kind, content in answer.get("content", {}).items():
            return kind, content["schema"]
        return None

    def mistakes(self, schema, value, at="$"):
        """What of the value is not as the schema has it."""
        assert set(schema) <= KNOWN, "a word of JSON Schema that is not looked at: %s" % schema
        if "$ref" in schema:
            return self.mistakes(self.find(schema["$ref"]), value, at)
        if "oneOf" in schema:
            tried = [self.mistakes(s, value, at) for s in schema["oneOf"]]
            return [] if any(not t for t in tried) else sum(tried, [])
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_is(value, k) for k in kinds):
            return ["%s: %r is no %s" % (at, value, "/".join(kinds))]
        if "enum" in schema and value not in schema["enum"]:
            return ["%s: %r is none of %s" % (at, value, schema["enum"])]
        out = []
        if isinstance(value, dict):
            known = schema.get("properties", {})
            out += ["%s: no %s" % (at, k) for k in schema.get("required", []) if k not in value]
            if schema.get("additionalProperties") is False:
                out += ["%s: %s is not described" % (at, k) for k in value if k not in known]
            for k in value:
                if k in known:
                    out += self.mistakes(known[k], value[k], "%s.%s" % (at, k))
        if isinstance(value, list):
            for i, item in enumerate(value):
                out += self.mistakes(schema.get("items", {}), item, "%s[%d]" % (at, i))
        return out
