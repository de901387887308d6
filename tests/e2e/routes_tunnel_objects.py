"""The examples of the routes of tunnels, for the walks over all routes. Both ends are joined in tunnel_test.py."""
from routes_objects import Example, example

UPGRADE = {"Connection": "Upgrade", "Upgrade": "fallow-tunnel"}


@example
def openTunnel(t):
    return Example(t.owner, f"/v1/jobs/{t.on_host().job}/tunnels", headers=UPGRADE)


@example
def listTunnels(t):
    return Example(t.farm, "/v1/agent/tunnels")


@example
def meetTunnel(t):
    return Example(t.farm, "/v1/agent/tunnels/tunnel_06zk3v8m2q9xw4t7r1n5p0d8ce", headers=UPGRADE)


@example
def makeAppLink(t):
    return Example(t.owner, f"/v1/jobs/{t.on_host().job}/app-links", {"port": 8080})
