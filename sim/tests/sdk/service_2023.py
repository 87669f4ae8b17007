"""Everything that an operator does with enrollments, with the unmodified Python provisioning service SDK of 2023.

Reads one JSON object of settings from the command line and prints one JSON object: what the SDK gave back, step by step.
The package is azure-iot-deviceprovisioning 1.0.0b1, which sends the api-version 2021-10-01.
"""
import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.iot.deviceprovisioning import DeviceProvisioningClient


def refusal(operation, *arguments, **keywords):
    """The code of the service's error."""
    try:
        operation(*arguments, **keywords)
    except HttpResponseError as error:
        return error.response.json()["errorCode"]
    return "not refused"


def row(enrollment):
    """What the stories compare of an enrollment or a group."""
    shown = {
        "id": enrollment.get("registrationId") or enrollment["enrollmentGroupId"],
        "etag": enrollment["etag"],
        "status": enrollment["provisioningStatus"],
        "attestation": mechanism(enrollment["attestation"]),
        "tags": enrollment["initialTwin"]["tags"],
        "desired": enrollment["initialTwin"]["properties"]["desired"],
    }
    if "registrationId" in enrollment:
        shown["deviceId"] = enrollment["deviceId"]
        shown["iotEdge"] = enrollment["capabilities"]["iotEdge"]
    return shown


def mechanism(attestation):
    """An attestation mechanism, as far as the stories compare it."""
    shown = {"type": attestation["type"]}
    if "x509" in attestation:
        (certificates,) = attestation["x509"].values()
        shown["subject"] = certificates["primary"]["info"]["subjectName"]
    if "symmetricKey" in attestation:
        shown["keys"] = [attestation["symmetricKey"][name] for name in ("primaryKey", "secondaryKey")]
    return shown


def crud(operations, draft, change):
    """Create, read, update and delete, each also against a version that is not the current one."""
    name = draft.get("registrationId") or draft["enrollmentGroupId"]
    created = operations.create_or_update(name, draft)
    twice = refusal(operations.create_or_update, name, draft)
    first = operations.get(name)
    updated = operations.create_or_update(name, {**first, **change}, if_match=first["etag"])
    return {
        "created": row(created),
        "twice": twice,
        "updated": row(updated),
        "stale": refusal(operations.create_or_update, name, first, if_match=first["etag"]),
        "mechanism": mechanism(operations.get_attestation_mechanism(name)),
        "staleDelete": refusal(operations.delete, name, if_match=first["etag"]),
        "deleted": operations.delete(name, if_match="*"),
        "gone": refusal(operations.get, name),
    }


TWIN = {"tags": {"site": "a"}, "properties": {"desired": {"rate": 5}}}


def individual(client, settings):
    draft = {
        "registrationId": settings["name"],
        "deviceId": "device-1",
        "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": settings["leaf"]}}}},
        "capabilities": {"iotEdge": True},
        "initialTwin": TWIN,
    }
    change = {"deviceId": "device-2", "initialTwin": {**TWIN, "tags": {"site": "a", "floor": 2}}}
    return crud(client.enrollment, draft, change)


def group(client, settings):
    certificates = {"signingCertificates": {"primary": {"certificate": settings["intermediate"]}}}
    draft = {
        "enrollmentGroupId": "made-group",
        "attestation": {"type": "x509", "x509": certificates},
        "initialTwin": TWIN,
    }
    return crud(client.enrollment_group, draft, {"provisioningStatus": "disabled"})


def keyed(name, symmetric_key=None):
    return {"registrationId": name, "attestation": {"type": "symmetricKey", "symmetricKey": symmetric_key}}


def keys(client):
    """Keys that nobody chose, in each of the ways in which clients do not choose them."""
    generated = []
    for draft in (keyed("key-absent"), keyed("key-empty", {"primaryKey": "", "secondaryKey": ""})):
        client.enrollment.create_or_update(draft["registrationId"], draft)
        generated.append(mechanism(client.enrollment.get_attestation_mechanism(draft["registrationId"])))
    chosen = {"primaryKey": "QUFBQUFBQUFBQUFBQUFBQQ==", "secondaryKey": "QkJCQkJCQkJCQkJCQkJCQg=="}
    attestation = {"type": "symmetricKey", "symmetricKey": chosen}
    draft = {"enrollmentGroupId": "key-group", "attestation": attestation}
    client.enrollment_group.create_or_update("key-group", draft)
    return {
        "generated": generated,
        "ofGroup": mechanism(client.enrollment_group.get_attestation_mechanism("key-group")),
        "read": mechanism(client.enrollment_group.get("key-group")["attestation"]),
    }


def bulk(client):
    def run(mode, enrollments):
        result = client.enrollment.run_bulk_operation({"mode": mode, "enrollments": enrollments})
        return {**result, "errors": [[error["registrationId"], error["errorCode"]] for error in result["errors"]]}

    created = run("create", [keyed(name) for name in ("bulk-1", "bulk-2", "bulk-3")])
    again = run("create", [keyed(name) for name in ("bulk-1", "bulk-4")])
    updated = run("update", [{**keyed("bulk-1"), "deviceId": "other"}])
    conflict = run("updateIfMatchETag", [{**keyed("bulk-2"), "etag": '"stale"'}])
    pages = [list(page) for page in client.enrollment.query({"query": "SELECT *"}, top=3).by_page()]
    return {
        "created": created,
        "again": again,
        "updated": updated,
        "conflict": conflict,
        "deviceId": client.enrollment.get("bulk-1")["deviceId"],
        "sizes": [len(page) for page in pages],
        "ids": [enrollment["registrationId"] for page in pages for enrollment in page],
        "deleted": run("delete", [keyed(f"bulk-{n}") for n in (1, 2, 3, 4)]),
    }


def bulk_groups(client):
    """Groups in bulk, which only this SDK offers."""
    draft = {"enrollmentGroupId": "bulk-group", "attestation": {"type": "symmetricKey"}}
    run = client.enrollment_group.run_bulk_operation
    created = run({"mode": "create", "enrollmentGroups": [draft]})
    again = run({"mode": "create", "enrollmentGroups": [draft]})
    deleted = run({"mode": "delete", "enrollmentGroups": [draft]})
    return {"created": created, "again": again, "deleted": deleted}


def registrations(client, settings):
    """What became of the devices of a group that registered before."""
    operations = client.device_registration_state
    name = settings["registered"][0]
    read = operations.get(name)
    pages = [list(page) for page in operations.query(settings["group"], top=1).by_page()]
    stale_delete = refusal(operations.delete, name, if_match='"stale"')
    operations.delete(name, if_match=read["etag"])
    return {
        "read": {key: read[key] for key in ("status", "deviceId", "assignedHub")},
        "sizes": [len(page) for page in pages],
        "ids": [state["registrationId"] for page in pages for state in page],
        "staleDelete": stale_delete,
        "gone": refusal(operations.get, name),
        "groups": [group["enrollmentGroupId"] for group in client.enrollment_group.query({"query": "SELECT *"})],
    }


def main(settings):
    client = DeviceProvisioningClient.from_connection_string(settings["connectionString"])
    report = {
        "individual": individual(client, settings),
        "group": group(client, settings),
        "keys": keys(client),
        "bulk": bulk(client),
        "bulkGroups": bulk_groups(client),
        "registrations": registrations(client, settings),
    }
    print(json.dumps(report))


main(json.loads(sys.argv[1]))
