"""Bad input, derived from the contract: every field of every body, every query parameter, of every route.

Each is tried with every wrong type, below and above its bounds, out of its form, missing and misspelt. The answer is
always 422 with the right code and a pointer to the field, and nothing changes.
"""
import copy
import json

from routes_fixture import SLOW_HEART, run_tests
import routes_checkpoints  # noqa: F401
import routes_job_terms  # noqa: F401
from routes_objects import ObjectsTest
import routes_telemetry  # noqa: F401: its examples
import routes_host_objects  # noqa: F401: its examples
import routes_network  # noqa: F401: its examples
import routes_gang  # noqa: F401: its example
import routes_transfers  # noqa: F401: its examples
import routes_tunnel_objects  # noqa: F401: its examples

MISSING = object()
OF_EACH_TYPE = {"string": "x", "integer": 7, "number": 1.5, "boolean": True, "array": [], "object": {}}
INVALID = {"invalid_field"}


def resolve(contract, schema, value=None):
    """Flat, with the one alternative that is not null, or that `value` is of; returns (schema, may be null)."""
    schema = contract.flat(schema)
    may_be_null = False
    if "oneOf" in schema:
        schema = next(one for one in map(contract.flat, schema["oneOf"]) if not any(contract.errors(one, value, "")))
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one.get("type") != "null"]
        may_be_null = len(others) < len(schema["anyOf"])
        schema = contract.flat(others[0])
    return schema, may_be_null or "null" in schema.get("type", [])


def wrong_numbers(schema):
    yield from (-2**63 - 1, 2**63, 2**64, 10**30, 1e300)
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1


def wrong_texts(schema):
    """(value, codes)"""
    pattern = schema.get("pattern", "")
    is_id = "[0-7][0-9a-hjkmnp-tv-z]{25}" in pattern
    yield "\u0001", INVALID | ({"invalid_id"} if is_id else set())
    yield "a\u0000b", INVALID | ({"invalid_id"} if is_id else set())
    if is_id:
        prefix = pattern[1:pattern.index("_") + 1]
        for text in ("x", prefix + "0" * 25, prefix + "u" * 26, prefix + "8" + "0" * 25, "other_" + "0" * 26):
            yield text, {"invalid_id"}
    elif "enum" in schema:
        yield "bogus", INVALID
        yield schema["enum"][0].upper(), INVALID
    elif schema.get("format") == "date-time":
        for text in ("yesterday", "2026-02-30T00:00:00.000Z", "2026-01-01", "2026-01-01T00:00:00.000+01:00x"):
            yield text, INVALID
    elif pattern or schema.get("contentEncoding"):
        yield "!", INVALID
    if schema.get("minLength") or is_id or pattern or "enum" in schema:
        yield "", INVALID | {"invalid_id"}
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1), INVALID
    if "without a space at either end" in schema.get("description", ""):
        yield " x", INVALID
        yield "x ", INVALID


class Mutations:
    """Yields (name, body, codes, pointer, is_exact) for every way a body can be wrong in one place."""

    def __init__(self, contract, body):
        self.contract, self.body = contract, body

    def put(self, path, value):
        body = copy.deepcopy(self.body)
        at = body
        for step in path[:-1]:
            at = at[step]
        if value is MISSING:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        return body

    def of(self, schema, path, value):
        """For the place `path`, which holds `value` in the body that is right."""
        schema, may_be_null = resolve(self.contract, schema, value)
        pointer = "".join(f"/{step}" for step in path)
        types = schema.get("type", "object" if "properties" in schema else [])
        types = [types] if isinstance(types, str) else types
        for kind, other in OF_EACH_TYPE.items():
            if kind in types or (path and kind == "integer" and "number" in types):
                continue
            if path:
                yield f"{pointer} {kind}", self.put(path, other), INVALID, pointer, True
        if path and not may_be_null and isinstance(path[-1], int):
            yield f"{pointer} null", self.put(path, None), INVALID | {"missing_field"}, pointer, True
        if "object" in types:
            yield from self.of_object(schema, path, value, pointer)
        elif "array" in types:
            yield from self.of_array(schema, path, value, pointer)
        elif "integer" in types:
            for number in wrong_numbers(schema):
                yield f"{pointer} {number}", self.put(path, number), INVALID | {"bad_json"}, pointer, True
        elif "string" in types:
            for text, codes in wrong_texts(schema):
                yield f"{pointer} {text[:40]!r}", self.put(path, text), codes, pointer, True

    def of_object(self, schema, path, value, pointer):
        if schema.get("additionalProperties") is False or not path:
            yield f"{pointer} unknown", self.put([*path, "colour~/"], 1), {"unknown_field"}, \
                pointer + "/colour~0~1", True
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", []):
                yield f"{pointer}/{name} missing", self.put([*path, name], MISSING), {"missing_field"}, \
                    f"{pointer}/{name}", True
                if not resolve(self.contract, inner)[1]:
                    yield f"{pointer}/{name} null", self.put([*path, name], None), {"missing_field"}, \
                        f"{pointer}/{name}", True
            if name in value and value[name] is not None:
                yield from self.of(inner, [*path, name], value[name])
        if isinstance(schema.get("additionalProperties"), dict):
            for name in ("LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES", "1A", "A-B", "", "A" * 101):
                yield f"{pointer} {name}", self.put([*path, name], "x"), INVALID, pointer, False
            for name in value:
                yield from self.of(schema["additionalProperties"], [*path, name], value[name])

    def of_array(self, schema, path, value, pointer):
        if schema.get("minItems"):
            yield f"{pointer} empty", self.put(path, []), INVALID, pointer, True
        if not value:
            return
        if "maxItems" in schema:
            many = [copy.deepcopy(value[0]) for _ in range(schema["maxItems"] + 1)]
            yield f"{pointer} too many", self.put(path, many), INVALID, pointer, False
        if schema.get("uniqueItems"):
            yield f"{pointer} twice", self.put(path, [value[0], value[0]]), INVALID, pointer, False
        yield from self.of(schema["items"], [*path, 0], value[0])


class Input(ObjectsTest):
    # No lease of an example ends by itself while thousands of bodies are refused, however slow the machine.
    settings = (*SLOW_HEART, "accept_ms=3600000", "attach_ms=7200000")

    def everything(self):
        """What a refused request could have changed."""
        ledger = self.admin.get("/v1/admin/ledger")
        return self.events_so_far(), ledger["transfers"], self.admin.get("/v1/admin/fee")

    def bodies(self):
        for operation in self.contract.operations:
            if operation.schema is not None:
                yield operation

    def test_every_field_of_every_body(self):
        tried = 0
        for operation in self.bodies():
            given = self.example(operation)
            before = self.everything()
            for name, body, codes, pointer, is_exact in Mutations(self.contract, given.body).of(
                    operation.schema, [], given.body):
                tried += 1
                with self.subTest(operation=operation.id, mutation=name):
                    reply = self.send(operation, given, body=json.dumps(body).encode())
                    self.assertIn(reply.status, (400, 422) if "bad_json" in codes else (422,), reply)
                    self.assertIn(reply.code, codes, reply)
                    if reply.code != "bad_json" and is_exact:
                        self.assertEqual(reply.pointer, pointer, reply)
                    elif reply.code != "bad_json":
                        self.assertTrue(reply.pointer.startswith(pointer), reply)
            with self.subTest(operation=operation.id):
                self.assertEqual(self.everything(), before)
                reply = self.send(operation, given)
                self.assertEqual(reply.status, operation.status, f"the body that is right: {reply}")
        self.assertGreater(tried, 900)

    def test_what_is_no_json_object(self):
        deep = b'{"a":' * 17 + b"1" + b"}" * 17
        rows = [b"{", b"}", b"nonsense", b"[]", b"1", b'"x"', b"null", b"{}{}", b'{"a":1,}', b"{'a':1}",
                b'{"a":1 "b":2}', b'{"a":01}', b'{"a":.5}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\x01"}',
                b'{"a":"\xff"}',
                b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\x"}', b"\xef\xbb\xbf{",
                b"\xff\xfe{\x00}\x00", b'{"a":1,"a":1}', b'{"b":{"a":1,"\\u0061":1}}', deep,
                b"[" * 10_000, b'{"a":' * 3000]
        for operation in self.bodies():
            given = self.example(operation)
            # One parser reads them all: each route is tried with some, and one of each kind with the rest.
            tried = rows if operation.id in ("createOrder", "createKey", "putInventory", "enrollAgent") else rows[:7]
            for raw in tried:
                with self.subTest(operation=operation.id, raw=raw[:40]):
                    reply = self.send(operation, given, body=raw)
                    self.assert_problem(reply, 400, "bad_json")

    def test_a_body_of_another_media_type(self):
        for operation in self.contract.operations:
            if operation.schema is None and not operation.takes_octets:
                continue
            given = self.example(operation)
            other = "application/json" if operation.takes_octets else "application/octet-stream"
            for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", other):
                with self.subTest(operation=operation.id, kind=kind):
                    reply = self.send(operation, given, body=b"{ }", headers={"Content-Type": kind})
                    self.assert_problem(reply, 415, "unsupported_media_type", "header:Content-Type")

    def test_a_body_larger_than_its_route_takes(self):
        for operation in self.bodies():
            with self.subTest(operation=operation.id):
                given = self.example(operation)
                reply = self.send(operation, given, body=b" " * (1 << 20) + b"{}")
                self.assert_problem(reply, 413, "body_too_large")

    def test_a_body_where_none_is_taken(self):
        for operation in self.contract.operations:
            if operation.schema is None and not operation.takes_octets:
                with self.subTest(operation=operation.id):
                    reply = self.send(operation, self.example(operation), body=b"{}")
                    self.assert_problem(reply, 413, "body_too_large")

    def test_an_empty_body_and_an_empty_object_are_one(self):
        for operation in self.bodies():
            if operation.needs_body:
                continue
            for body in (b"", b"{}", b" { } "):
                with self.subTest(operation=operation.id, body=body):
                    given = self.example(operation)
                    reply = self.send(operation, given, body=body)
                    self.assertEqual(reply.status, operation.status, reply)
            reply = self.send(operation, self.example(operation), body=b'{"force":true}')
            self.assert_problem(reply, 422, "unknown_field", "/force")

    def test_every_query_parameter(self):
        for operation in self.contract.operations:
            known = operation.query()
            if operation.is_public or operation.method != "GET":
                continue
            given = self.example(operation)
            path = given.path.split("?")[0]
            rows = [("colour=1", {"unknown_field"}, "query:colour")] if known else []
            for name, parameter in known.items():
                schema, _ = resolve(self.contract, parameter["schema"])
                rows.append((f"{name}=1&{name}=1", {"invalid_field", "invalid_id"}, f"query:{name}"))
                if schema["type"] == "integer":
                    for wrong in ("x", "", "1.5", "1e3", "+1", "0x1", "%201", "99999999999999999999",
                                  str(schema.get("minimum", -2**63) - 1)):
                        rows.append((f"{name}={wrong}", INVALID, f"query:{name}"))
                    if "maximum" in schema and name != "wait_ms":
                        rows.append((f"{name}={schema['maximum'] + 1}", INVALID, f"query:{name}"))
                elif name == "cursor":
                    for wrong in ("x", "", "!!!", "bGlzdGluZ3N8MQ", "x" * 600, "a%ffb"):
                        rows.append((f"{name}={wrong}", {"invalid_cursor", "bad_request"}, None))
                elif "enum" in schema:
                    rows += [(f"{name}=bogus", INVALID, f"query:{name}"), (f"{name}=", INVALID, f"query:{name}")]
                elif "26" in schema.get("pattern", "") or "25}" in schema.get("pattern", ""):
                    rows += [(f"{name}=x", {"invalid_id"}, f"query:{name}")]
            for query, codes, pointer in rows:
                with self.subTest(operation=operation.id, query=query):
                    reply = given.caller.call("GET", f"{path}?{query}")
                    self.assertIn(reply.code, codes, reply)
                    self.assertEqual(reply.status, 400 if reply.code == "bad_request" else 422)
                    if pointer is not None:
                        self.assertEqual(reply.pointer, pointer, reply)

    def test_a_cursor_of_one_list_is_refused_by_the_others(self):
        lists = {}
        for operation in self.contract.operations:
            if "cursor" in operation.query() and operation.method == "GET":
                given = self.example(operation)
                path = given.path.split("?")[0]
                page = given.caller.get(path + "?limit=1")
                if page["next_cursor"] is not None:
                    lists[operation.id] = (given.caller, path, page["next_cursor"])
        self.assertGreaterEqual(len(lists), 6)
        for mine, (caller, path, own) in lists.items():
            for theirs, (_, _, cursor) in lists.items():
                if mine == theirs or {mine, theirs} == {"listEvents", "listAudit"}:
                    continue
                with self.subTest(list=mine, cursor=theirs):
                    reply = caller.call("GET", f"{path}?cursor={cursor}")
                    self.assert_problem(reply, 422, "invalid_cursor", "query:cursor")
            self.assertIsNotNone(caller.get(f"{path}?cursor={own}")["items"])


if __name__ == "__main__":
    run_tests()
