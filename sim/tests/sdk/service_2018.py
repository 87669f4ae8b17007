"""Everything that an operator does with enrollments, with the unmodified Python provisioning service SDK of 2018.

Reads one JSON object of settings from the command line and prints one JSON object: what the SDK gave back, step by step.
The package is azure-iothub-provisioningserviceclient 1.2.0, which sends the api-version 2018-09-01-preview.
"""
import json
import sys

from provisioningserviceclient import (
    BulkEnrollmentOperation,
    EnrollmentGroup,
    IndividualEnrollment,
    ProvisioningServiceClient,
    ProvisioningServiceError,
    QuerySpecification,
)
from provisioningserviceclient.models import (
    AttestationMechanism,
    DeviceCapabilities,
    InitialTwin,
    SymmetricKeyAttestation,
)


def refusal(operation, *arguments):
    """The code of the service's error."""
    try:
        operation(*arguments)
    except ProvisioningServiceError as error:
        return error.cause.error.error_code
    return "not refused"


def row(enrollment):
    """What the stories compare of an enrollment or a group."""
    shown = {
        "id": getattr(enrollment, "registration_id", None) or enrollment.enrollment_group_id,
        "etag": enrollment.etag,
        "status": enrollment.provisioning_status,
        "attestation": mechanism(enrollment.attestation),
        "tags": enrollment.initial_twin.tags,
        "desired": enrollment.initial_twin.desired_properties,
    }
    if isinstance(enrollment, IndividualEnrollment):
        shown["deviceId"] = enrollment.device_id
        shown["iotEdge"] = enrollment.capabilities.iot_edge
    return shown


def mechanism(attestation):
    """An attestation mechanism, as far as the stories compare it."""
    shown = {"type": attestation.type}
    if attestation.x509:
        certificates = attestation.x509.client_certificates or attestation.x509.signing_certificates
        shown["subject"] = certificates.primary.info.subject_name
    if attestation.symmetric_key:
        shown["keys"] = [attestation.symmetric_key.primary_key, attestation.symmetric_key.secondary_key]
    if attestation.tpm:
        shown["endorsementKey"] = attestation.tpm.endorsement_key
    return shown




def crud(client, draft, change, read, read_mechanism, delete):
    created = row(client.create_or_update(draft))
    twice = refusal(client.create_or_update, draft)
    name = created["id"]
    first, second = read(name), read(name)
    change(first)
    updated = client.create_or_update(first)
    stale = refusal(client.create_or_update, second)
    shown = mechanism(read_mechanism(name))
    stale_delete = refusal(client.delete, second)
    delete(updated)
    return {
        "created": created,
        "twice": twice,
        "updated": row(updated),
        "stale": stale,
        "mechanism": shown,
        "staleDelete": stale_delete,
        "gone": refusal(read, name),
    }


def individual(client, settings):
    draft = IndividualEnrollment.create(
        settings["name"],
        AttestationMechanism.create_with_x509_client_certs(settings["leaf"]),
        device_id="device-1",
        initial_twin=InitialTwin.create({"site": "a"}, {"rate": 5}),
        device_capabilities=DeviceCapabilities.create(True),
    )

    def change(enrollment):
        enrollment.device_id = "device-2"
        enrollment.initial_twin.tags = {**enrollment.initial_twin.tags, "floor": 2}

    return crud(
        client,
        draft,
        change,
        client.get_individual_enrollment,
        client.get_individual_enrollment_attestation_mechanism,
        client.delete,
    )


def group(client, settings):
    draft = EnrollmentGroup.create(
        "made-group",
        AttestationMechanism.create_with_x509_signing_certs(settings["intermediate"]),
        initial_twin=InitialTwin.create({"site": "a"}, {"rate": 5}),
    )

    def change(enrollment):
        enrollment.provisioning_status = "disabled"

    return crud(
        client,
        draft,
        change,
        client.get_enrollment_group,
        client.get_enrollment_group_attestation_mechanism,
        lambda enrollment: client.delete_enrollment_group_by_param(enrollment.enrollment_group_id),
    )


def keyed(name, **keys):
    attestation = AttestationMechanism(type="symmetricKey", symmetric_key=SymmetricKeyAttestation(**keys) if keys else None)
    return IndividualEnrollment.create(name, attestation)


def keys(client):
    """Keys that nobody chose, in each of the ways in which clients do not choose them."""
    generated = []
    for draft in (keyed("key-absent"), keyed("key-empty", primary_key="", secondary_key="")):
        client.create_or_update(draft)
        generated.append(mechanism(client.get_individual_enrollment_attestation_mechanism(draft.registration_id)))
    chosen = SymmetricKeyAttestation(primary_key="QUFBQUFBQUFBQUFBQUFBQQ==", secondary_key="QkJCQkJCQkJCQkJCQkJCQg==")
    attestation = AttestationMechanism(type="symmetricKey", symmetric_key=chosen)
    client.create_or_update(EnrollmentGroup.create("key-group", attestation))
    return {
        "generated": generated,
        "ofGroup": mechanism(client.get_enrollment_group_attestation_mechanism("key-group")),
        "read": mechanism(client.get_enrollment_group("key-group").attestation),
    }


def bulk(client):
    def run(mode, enrollments):
        result = client.run_bulk_operation(BulkEnrollmentOperation(mode, enrollments))
        errors = [[error.registration_id, error.error_code] for error in result.errors or []]
        return {"isSuccessful": result.is_successful, "errors": errors}

    created = run("create", [keyed(name) for name in ("bulk-1", "bulk-2", "bulk-3")])
    again = run("create", [keyed(name) for name in ("bulk-1", "bulk-4")])
    other = keyed("bulk-1")
    other.device_id = "other"
    updated = run("update", [other])
    stale = keyed("bulk-2")
    stale.etag = '"stale"'
    conflict = run("updateIfMatchETag", [stale])
    query = client.create_individual_enrollment_query(QuerySpecification("*"), 3)
    listed = list(query)
    return {
        "created": created,
        "again": again,
        "updated": updated,
        "conflict": conflict,
        "deviceId": client.get_individual_enrollment("bulk-1").device_id,
        "sizes": [len(page) for page in listed],
        "ids": [enrollment.registration_id for page in listed for enrollment in page],
        "deleted": run("delete", [keyed(f"bulk-{n}") for n in (1, 2, 3, 4)]),
    }


def registration_pages(client, group):
    """The registrations of a group, one a page.

    The SDK's own create_registration_state_query calls this method of its generated half with an argument too many.
    """
    token = None
    while True:
        headers = {"x-ms-max-item-count": "1", **({"x-ms-continuation": token} if token else {})}
        answer = client._runtime_client.query_device_registration_states(group, headers, raw=True)
        yield answer.output
        token = answer.response.headers.get("x-ms-continuation")
        if not token:
            return


def registrations(client, settings):
    """What became of the devices of a group that registered before."""
    name = settings["registered"][0]
    read = client.get_registration_state(name)
    listed = list(registration_pages(client, settings["group"]))
    stale_delete = refusal(client.delete_registration_state_by_param, name, '"stale"')
    client.delete(read)
    groups = list(client.create_enrollment_group_query(QuerySpecification("*"), 10))
    return {
        "read": {"status": read.status, "deviceId": read.device_id, "assignedHub": read.assigned_hub},
        "sizes": [len(page) for page in listed],
        "ids": [state.registration_id for page in listed for state in page],
        "staleDelete": stale_delete,
        "gone": refusal(client.get_registration_state, name),
        "groups": [enrollment.enrollment_group_id for page in groups for enrollment in page],
    }


def main(settings):
    client = ProvisioningServiceClient.create_from_connection_string(settings["connectionString"])
    report = {
        "individual": individual(client, settings),
        "group": group(client, settings),
        "keys": keys(client),
        "bulk": bulk(client),
        "registrations": registrations(client, settings),
    }
    print(json.dumps(report))


main(json.loads(sys.argv[1]))
