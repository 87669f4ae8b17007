"""The identities, twins and queries of a hub, by IoTHubRegistryManager."""
from azure.iot.hub.models import ExportImportDevice, QuerySpecification, Twin, TwinProperties

from hub_client import refusal, shown

KEYS = ("QUFBQUFBQUFBQUFBQUFBQQ==", "QkJCQkJCQkJCQkJCQkJCQg==")
THUMBPRINTS = ("0" * 40, "1" * 40)


def devices(registry):
    sas = registry.create_device_with_sas("sas", *KEYS, "enabled")
    generated = registry.create_device_with_sas("generated", "", "", "disabled", status_reason="spare")
    edge = registry.create_device_with_x509("edge", *THUMBPRINTS, "enabled", iot_edge=True)
    leaf = registry.create_device_with_certificate_authority("leaf", "enabled", device_scope=edge.device_scope)
    updated = [
        registry.update_device_with_sas("sas", sas.etag, *reversed(KEYS), "disabled", status_reason="in repair"),
        registry.update_device_with_x509("edge", edge.etag, *reversed(THUMBPRINTS), "enabled", iot_edge=True,
                                         device_scope=edge.device_scope),
        registry.update_device_with_certificate_authority("leaf", leaf.etag, "disabled"),
    ]
    stale = refusal(registry.update_device_with_sas, "sas", sas.etag, *KEYS, "enabled")
    twice = refusal(registry.create_device_with_sas, "sas", *KEYS, "enabled")
    listed = sorted(device.device_id for device in registry.get_devices())
    some = len(registry.get_devices(2))
    registry.delete_device("generated", generated.etag)
    return {
        "created": [shown(device) for device in (sas, generated, edge, leaf)],
        "updated": [shown(device) for device in updated],
        "read": shown(registry.get_device("sas")),
        "stale": stale,
        "twice": twice,
        "listed": listed,
        "some": some,
        "gone": refusal(registry.get_device, "generated"),
        "statistics": shown(registry.get_device_registry_statistics()),
        "connected": shown(registry.get_service_statistics()),
    }


def modules(registry):
    sas = registry.create_module_with_sas("sas", "m-sas", "somebody", *KEYS)
    x509 = registry.create_module_with_x509("sas", "m-x509", "", *THUMBPRINTS)
    ca = registry.create_module_with_certificate_authority("sas", "m-ca", "")
    updated = [
        registry.update_module_with_sas("sas", "m-sas", "another", sas.etag, *reversed(KEYS)),
        registry.update_module_with_x509("sas", "m-x509", "", x509.etag, *reversed(THUMBPRINTS)),
        registry.update_module_with_certificate_authority("sas", "m-ca", "me", ca.etag),
    ]
    stale = refusal(registry.update_module_with_sas, "sas", "m-sas", "", sas.etag, *KEYS)
    listed = sorted(module.module_id for module in registry.get_modules("sas"))
    registry.delete_module("sas", "m-ca")
    return {
        "created": [shown(module) for module in (sas, x509, ca)],
        "updated": [shown(module) for module in updated],
        "read": shown(registry.get_module("sas", "m-sas")),
        "stale": stale,
        "listed": listed,
        "gone": refusal(registry.get_module, "sas", "m-ca"),
    }


def bulk(registry):
    def run(mode, *names, **members):
        return shown(registry.bulk_create_or_update_devices(
            [ExportImportDevice(id=name, import_mode=mode, **members) for name in names]
        ))

    return {
        "created": run("create", "bulk-1", "bulk-2", status="enabled"),
        "updated": run("update", "bulk-1", status="disabled", status_reason="in bulk"),
        "read": shown(registry.get_device("bulk-1")),
        "again": run("create", "bulk-1", "bulk-3", status="enabled"),
        "deleted": run("delete", "bulk-1", "bulk-2", "bulk-3"),
    }


def twins(registry, device, module):
    patch = Twin(tags={"site": "seoul"}, properties=TwinProperties(desired={"rate": 5, "unit": "s"}))
    whole = Twin(tags={"site": "busan"}, properties=TwinProperties(desired={"rate": 7}))
    first = registry.get_twin(device)
    patched = registry.update_twin(device, patch, first.etag)
    stale = refusal(registry.update_twin, device, patch, first.etag)
    of_module = registry.get_module_twin(device, module)
    return {
        "read": shown(first),
        "patched": shown(patched),
        "stale": stale,
        "replaced": shown(registry.replace_twin(device, whole)),
        "module": {
            "read": shown(of_module),
            "patched": shown(registry.update_module_twin(device, module, patch, of_module.etag)),
            "replaced": shown(registry.replace_module_twin(device, module, whole)),
        },
    }


def queries(registry):
    """All devices in pages of two."""
    specification = QuerySpecification(query="SELECT * FROM devices")
    pages, token = [], None
    while True:
        page = registry.query_iot_hub(specification, token, 2)
        pages.append([twin.device_id for twin in page.items])
        token = page.continuation_token
        if not token:
            break
    found = registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices WHERE tags.site = 'busan'"))
    return {
        "sizes": [len(page) for page in pages],
        "ids": sorted(name for page in pages for name in page),
        "type": page.type,
        "found": [twin.device_id for twin in found.items],
        "bad": refusal(registry.query_iot_hub, QuerySpecification(query="SELECT")),
    }
