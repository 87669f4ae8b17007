"""What a hub does to devices: methods, configurations, digital twins, jobs."""
from azure.core.exceptions import DeserializationError
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    JobProperties,
    JobRequest,
)

from hub_client import refusal, shown, until
from hub_registry import KEYS


def calls_of_methods(registry, device, module):
    request = CloudToDeviceMethod(
        method_name="blink", payload={"n": 3}, response_timeout_in_seconds=30, connect_timeout_in_seconds=5
    )
    offline = CloudToDeviceMethod(method_name="blink", response_timeout_in_seconds=5, connect_timeout_in_seconds=0)
    return {
        "device": shown(registry.invoke_device_method(device, request)),
        "module": shown(registry.invoke_device_module_method(device, module, request)),
        "offline": refusal(registry.invoke_device_method, "sas", offline),
    }


def configurations(manager, registry, device):
    draft = Configuration(
        id="rate",
        schema_version="1.0",
        labels={"team": "a"},
        content=ConfigurationContent(device_content={"properties.desired.interval": 9}),
        target_condition=f"deviceId = '{device}'",
        priority=3,
        metrics=ConfigurationMetrics(
            queries={"fast": "SELECT deviceId FROM devices WHERE configurations.[[rate]].status = 'Applied'"}
        ),
    )
    created = manager.create_configuration(draft)
    first = manager.get_configuration("rate")
    first.priority, first.labels = 7, {"team": "b"}
    updated = manager.update_configuration(first, f'"{created.etag}"')
    stale = refusal(manager.update_configuration, first, f'"{created.etag}"')
    interval = until(lambda: registry.get_twin(device).properties.desired.get("interval"), 9)
    applied = until(lambda: manager.get_configuration("rate").system_metrics.results.get("appliedCount"), 1)
    fast = until(lambda: manager.get_configuration("rate").metrics.results.get("fast"), 1)
    listed = [configuration.id for configuration in manager.get_configurations(10)]
    tested = manager.test_configuration_queries(ConfigurationQueriesTestInput(
        target_condition="tags.site = 'busan'", custom_metric_queries={"m": "SELECT deviceId FROM devices WHERE tags.x = 1"}
    ))
    wrong = manager.test_configuration_queries(ConfigurationQueriesTestInput(target_condition="tags.site ="))
    agent = {"schemaVersion": "1.1", "runtime": {"type": "docker", "settings": {}}, "systemModules": {}, "modules": {}}
    hub = {"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}
    agent["systemModules"] = {
        "edgeAgent": {"type": "docker", "settings": {"image": "agent:1", "createOptions": "{}"}},
        "edgeHub": {
            "type": "docker", "status": "running", "restartPolicy": "always",
            "settings": {"image": "hub:1", "createOptions": "{}"},
        },
    }
    content = {"$edgeAgent": {"properties.desired": agent}, "$edgeHub": {"properties.desired": hub}}
    manager.apply_configuration_on_edge_device("edge", ConfigurationContent(modules_content=content))
    desired = registry.get_module_twin("edge", "$edgeAgent").properties.desired
    stale_delete = refusal(manager.delete_configuration, "rate", f'"{created.etag}"')
    manager.delete_configuration("rate")
    return {
        "created": shown(created),
        "updated": shown(updated),
        "stale": stale,
        "applied": [interval, applied, fast],
        "listed": listed,
        "tested": shown(tested),
        "wrong": shown(wrong),
        "agent": desired["systemModules"]["edgeAgent"]["settings"]["image"],
        "staleDelete": stale_delete,
        "gone": refusal(manager.get_configuration, "rate"),
    }


def digital_twins(client, device):
    read, etag = client.get_digital_twin(device), None
    patch = [{"op": "add", "path": "/targetTemperature", "value": 21}]
    client.update_digital_twin(device, patch, etag)
    return {
        "read": read,
        "patched": client.get_digital_twin(device),
        "command": client.invoke_command(device, "blink", {"n": 4}, 5, 30),
        "component": client.invoke_component_command(device, "thermostat1", "reset", {"n": 5}, 5, 30),
        "gone": refusal(client.get_digital_twin, "nobody"),
    }


def jobs(manager, registry, device):
    condition = f"deviceId = '{device}'"
    update = {"etag": "*", "tags": {"job": "done"}}
    created = manager.create_scheduled_job("update", JobRequest(
        job_id="update", type="scheduleUpdateTwin", update_twin=update, query_condition=condition,
        max_execution_time_in_seconds=60,
    ))
    method = CloudToDeviceMethod(method_name="blink", payload={"n": 6}, response_timeout_in_seconds=30)
    manager.create_scheduled_job("call", JobRequest(
        job_id="call", type="scheduleDeviceMethod", cloud_to_device_method=method, query_condition=condition,
        max_execution_time_in_seconds=60,
    ))
    manager.create_scheduled_job("later", JobRequest(
        job_id="later", type="scheduleUpdateTwin", update_twin=update, query_condition=condition,
        start_time="2099-01-01T00:00:00Z", max_execution_time_in_seconds=60,
    ))
    try:
        manager.query_scheduled_jobs("scheduleUpdateTwin", "completed")
    except DeserializationError:
        pass  # The SDK reads an object where hubs answer with an array.
    ended = [until(lambda: manager.get_scheduled_job(name).status, "completed") for name in ("update", "call")]
    return {
        "created": shown(created),
        "ended": ended,
        "statistics": shown(manager.get_scheduled_job("call").device_job_statistics),
        "tags": registry.get_twin(device).tags,
        "cancelled": shown(manager.cancel_scheduled_job("later")),
        "gone": refusal(manager.get_scheduled_job, "nothing"),
    }


def transfers(manager, registry, host):
    """Devices are exported with their keys, and one that was deleted is imported again."""
    folder = f"https://{host}/transfers/fleet?sv=2023&sig=abc"
    slow = f"https://{host}/transfers/slow"

    def create(**properties):
        return manager.create_import_export_job(JobProperties(**properties))

    def ended(job):
        return until(lambda: manager.get_import_export_job(job.job_id), lambda job: job.end_time_utc is not None)

    before = registry.create_device_with_sas("moved", *KEYS, "enabled")
    exported = ended(create(type="export", output_blob_container_uri=folder, exclude_keys_in_export=False))
    registry.delete_device("moved")
    imported = ended(create(type="import", input_blob_container_uri=folder, output_blob_container_uri=folder))
    after = registry.get_device("moved")
    cancelled = create(type="import", input_blob_container_uri=slow, output_blob_container_uri=slow)
    manager.cancel_import_export_job(cancelled.job_id)
    by_identity = JobProperties(
        type="export", output_blob_container_uri=folder, storage_authentication_type="identityBased"
    )
    listed = [job.job_id for job in manager.get_import_export_jobs()]
    return {
        "exported": shown(exported),
        "imported": shown(imported),
        "kept": before.authentication == after.authentication,
        "cancelled": shown(ended(cancelled)),
        "listed": [job.job_id in listed for job in (exported, imported, cancelled)],
        "byIdentity": refusal(manager.create_import_export_job, by_identity),
        "gone": refusal(manager.get_import_export_job, "nothing"),
    }
