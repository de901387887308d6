"""The examples of the routes that measure a host's network; network_routes_test.py says what they do."""
from routes_objects import Example, example


@example
def getNetworkTest(t):
    return Example(t.farm, "/v1/agent/network-test?bytes=1000")


@example
def postNetworkTest(t):
    return Example(t.farm, "/v1/agent/network-test", b"\0" * 1000)
