"""The examples of a host's maintenance, for the walks over all routes; host_life_routes_test.py says what it does."""
from routes_objects import Example, example


@example
def addMaintenance(t):
    return Example(t.owner, f"/v1/hosts/{t.new_host().id}/maintenance",
                   {"from": "2027-06-01T00:00:00.000Z", "until": "2027-06-02T00:00:00.000Z", "reason": "a new fan"})


@example
def removeMaintenance(t):
    announced = addMaintenance(t)
    t.owner.post(announced.path, announced.body)
    return Example(t.owner, announced.path)
