"""A keep-alive HTTPS client for the routes' tests. Every reply is held against the contract that the server serves."""
import http.client
import json
import re
import ssl
import uuid

AUTO = object()


class Reply:
    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw
        kind = headers.get("Content-Type", "")
        self.body = json.loads(raw) if raw and "json" in kind else None

    @property
    def code(self):
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def pointer(self):
        return self.body.get("pointer") if isinstance(self.body, dict) else None

    def __repr__(self):
        return f"{self.status} {self.raw[:2000].decode(errors='replace')}"


class Client:
    """One connection, opened again when the server has closed it. `certificate` is a PEM file of chain and key."""

    def __init__(self, world, key=None, certificate=None, contract=None, name="client"):
        self.world, self.key, self.contract, self.name = world, key, contract, name
        self.context = ssl.create_default_context(cafile=str(world.ca))
        if certificate is not None:
            self.context.load_cert_chain(str(certificate))
        self.connection = None

    def connect(self, timeout=60):
        return http.client.HTTPSConnection("127.0.0.1", self.world.port, context=self.context, timeout=timeout)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None, key=AUTO, idempotency_key=AUTO):
        """`body`: bytes as they are, anything else as JSON. A POST has an Idempotency-Key of its own unless told."""
        key = self.key if key is AUTO else key
        sent = {"Authorization": "Bearer " + key} if key else {}
        if idempotency_key is AUTO:
            idempotency_key = uuid.uuid4().hex if method == "POST" else None
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        if body is not None:
            sent["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent.update(headers or {})
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = self.connect()
            fresh = self.connection.sock is None
            try:
                self.connection.request(method, path, body=body, headers=sent)
                answer = self.connection.getresponse()
                reply = Reply(answer.status, answer.headers, answer.read())
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                self.close()  # a connection that idled too long; a fresh one is not tried twice
                if fresh or attempt == 2:
                    raise
            except BaseException:
                self.close()
                raise
        if self.contract is not None:
            self.contract.check(method, path, reply)
        return reply

    def expect(self, status, method, path, *words, **options):
        reply = self.call(method, path, *words, **options)
        if reply.status != status:
            raise AssertionError(f"{self.name}: {method} {path} answered {reply}, not {status}")
        return reply.body if reply.body is not None else reply.raw

    def get(self, path, **options):
        return self.expect(200, "GET", path, **options)

    def post(self, path, body=None, status=200, **options):
        return self.expect(status, "POST", path, {} if body is None else body, **options)

    def items(self, path, limit=100):
        """All items of a list, page by page."""
        found, cursor = [], None
        while True:
            mark = "&" if "?" in path else "?"
            page = self.get(f"{path}{mark}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def stream(self, path, last_event_id=None):
        return Stream(self, path, last_event_id)


class Stream:
    """Server-sent events: iterating yields (id, event, data), data parsed."""

    def __init__(self, client, path, last_event_id=None):
        self.connection = client.connect(timeout=60)
        headers = {"Authorization": "Bearer " + client.key, "Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.connection.request("GET", path, headers=headers)
        self.reply = self.connection.getresponse()
        self.status = self.reply.status
        self.kind = self.reply.headers.get("Content-Type", "")
        if self.status != 200:
            raise AssertionError(f"the stream {path} answered {self.status}: {self.reply.read()!r}")

    def __iter__(self):
        fields = {}
        for line in self.reply:
            line = line.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                yield fields.get("id"), fields.get("event"), json.loads(fields["data"])
                fields = {}
            else:
                fields = {}

    def take(self, count):
        taken = []
        for item in self:
            taken.append(item)
            if len(taken) == count:
                return taken
        raise AssertionError(f"the stream ended after {len(taken)} of {count} events: {taken}")

    def close(self):
        self.reply.close()  # it has taken the socket over
        self.connection.close()


METHODS = ("get", "put", "post", "patch", "delete")


class Operation:
    def __init__(self, contract, path, method, shared, value):
        self.contract, self.path, self.method, self.value = contract, path, method.upper(), value
        self.id = value["operationId"]
        self.parameters = [contract.resolve(p) for p in shared + value.get("parameters", [])]
        security = value.get("security", contract.document["security"])
        self.is_public = security == []
        self.is_agent = any("agentCertificate" in one for one in security)
        self.takes_key = any("bearer" in one for one in security)
        self.scopes = [scope for one in security for scope in one.get("bearer", [])]  # any of them
        names = {p["name"] for p in self.parameters if p["in"] == "header"}
        self.is_keyed = "Idempotency-Key" in names
        self.needs_if_match = "If-Match" in names
        self.status = min(int(code) for code in value["responses"] if code.isdigit())
        body = contract.resolve(value.get("requestBody", {}))
        self.needs_body = body.get("required", False)
        self.schema = body.get("content", {}).get("application/json", {}).get("schema")
        self.takes_octets = "application/octet-stream" in body.get("content", {})

    def fits(self, segments):
        own = self.path.split("/")
        return len(own) == len(segments) and all(
            mine == given or mine.startswith("{") for mine, given in zip(own, segments))

    def query(self):
        return {p["name"]: p for p in self.parameters if p["in"] == "query"}

    def in_path(self):
        return {p["name"]: p for p in self.parameters if p["in"] == "path"}


class Contract:
    """The OpenAPI document, as far as the tests need it, and the JSON Schema in it."""

    def __init__(self, document):
        self.document = document
        self.operations = [Operation(self, path, method, item.get("parameters", []), item[method])
                           for path, item in document["paths"].items() for method in METHODS if method in item]
        self.by_id = {operation.id: operation for operation in self.operations}

    def resolve(self, node):
        while "$ref" in node:
            others = {name: value for name, value in node.items() if name != "$ref"}
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {**target, **others}
        return node

    def flat(self, schema):
        """With references followed and allOf joined."""
        schema = self.resolve(schema)
        if "allOf" not in schema:
            return schema
        joined = {name: value for name, value in schema.items() if name != "allOf"}
        for part in map(self.flat, schema["allOf"]):
            for name, value in part.items():
                if name == "properties":
                    joined["properties"] = {**joined.get("properties", {}), **value}
                elif name == "required":
                    joined["required"] = joined.get("required", []) + value
                else:
                    joined.setdefault(name, value)
        return joined

    def find(self, method, path):
        segments = path.split("?")[0].split("/")
        fitting = [o for o in self.operations if o.method == method and o.fits(segments)]
        return min(fitting, key=lambda o: o.path.count("{"), default=None)

    def check(self, method, path, reply):
        operation = self.find(method, path)
        if operation is None:
            return
        responses = operation.value["responses"]
        if str(reply.status) not in responses and reply.status < 400:
            raise AssertionError(f"{operation.id} answered {reply}, which the contract does not have")
        response = self.resolve(responses.get(str(reply.status)) or responses["default"])
        content = response.get("content", {})
        if not content:
            wrong = ["a body where the contract has none"] if reply.raw else []
        else:
            kind = reply.headers.get("Content-Type", "").split(";")[0]
            if kind not in content:
                wrong = [f"the media type {kind}, not {list(content)}"]
            elif kind.endswith("json"):
                wrong = list(self.errors(content[kind]["schema"], reply.body, ""))
            else:
                wrong = []
        if reply.status >= 400 and not wrong and reply.body["status"] != reply.status:
            wrong.append("another status in the body")
        if wrong:
            raise AssertionError(f"{operation.id} breaks the contract: {wrong[:5]} in {reply}")

    def errors(self, schema, value, where):
        schema = self.flat(schema)
        if "anyOf" in schema:
            tried = [list(self.errors(one, value, where)) for one in schema["anyOf"]]
            if all(tried):
                yield from min(tried, key=len)
            return
        if "const" in schema and value != schema["const"]:
            yield f"{where}: {value!r} is not {schema['const']!r}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is not one of {schema['enum']}"
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(is_of_type(value, one) for one in types):
            yield f"{where}: {value!r} is no {types}"
            return
        if isinstance(value, str):
            yield from text_errors(schema, value, where)
        elif isinstance(value, int) and not isinstance(value, bool):
            if value < schema.get("minimum", value) or value > schema.get("maximum", value):
                yield f"{where}: {value} is out of range"
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.errors(schema.get("items", {}), item, f"{where}/{index}")
        elif isinstance(value, dict):
            yield from self.object_errors(schema, value, where)

    def object_errors(self, schema, value, where):
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where}/{name} is missing"
        properties = schema.get("properties")
        others = schema.get("additionalProperties", properties is None)
        for name, item in value.items():
            if properties and name in properties:
                yield from self.errors(properties[name], item, f"{where}/{name}")
            elif isinstance(others, dict):
                yield from self.errors(others, item, f"{where}/{name}")
            elif not others:
                yield f"{where}/{name} is not in the contract"


def is_of_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}[name])


def text_errors(schema, value, where):
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} is not like {schema['pattern']}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{where}: {value!r} has a wrong length"
