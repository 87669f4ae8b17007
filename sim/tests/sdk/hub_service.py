"""Every call of the unmodified Python service SDK of the hub, azure-iot-hub.

Reads one JSON object of settings from the command line and prints one JSON object: what the SDK gave back, step by step,
and for each method of its classes whether it was called and answered. A device and its module, on the device SDK, answer
direct methods meanwhile.
"""
import json
import queue
import sys
import time

from azure.core.credentials import AccessToken
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodResponse
from azure.iot.hub import (
    DigitalTwinClient,
    IoTHubConfigurationManager,
    IoTHubHttpRuntimeManager,
    IoTHubJobManager,
    IoTHubRegistryManager,
)

from hub_client import Watched, calls, outcomes, refusal
from hub_feedback import feedback
from hub_operations import calls_of_methods, configurations, digital_twins, jobs, transfers
from hub_registry import KEYS, bulk, devices, modules, queries, twins

DEVICE, MODULE = "press-1", "camera"


class Credential:
    """Stands for one of Microsoft Entra ID."""

    def get_token(self, *_scopes):
        return AccessToken("a token of somebody else", int(time.time()) + 3600)


def credentials(host, device):
    """Clients with a token credential."""
    clients = {
        IoTHubRegistryManager: lambda client: client.get_device(device),
        IoTHubConfigurationManager: lambda client: client.get_configurations(),
        IoTHubJobManager: lambda client: client.get_import_export_jobs(),
        IoTHubHttpRuntimeManager: lambda client: client.receive_feedback_notification(),
        DigitalTwinClient: lambda client: client.get_digital_twin(device),
    }
    seen = {}
    for kind, ask in clients.items():
        seen[kind.__name__] = refusal(ask, kind.from_token_credential(host, Credential()))
        calls[f"{kind.__name__}.from_token_credential"] = "refused"
    return seen


def answering(kind, settings, names, messages):
    """A connected device or module that echoes the payload of every method."""
    with open(settings["serverCa"]) as file:
        trusted = file.read()
    string = f"HostName={settings['host']};{names};SharedAccessKey={KEYS[0]}"
    client = kind.create_from_connection_string(string, server_verification_cert=trusted)
    client.on_method_request_received = lambda request: client.send_method_response(
        MethodResponse.create_from_method_request(request, 200, {"name": request.name, "echo": request.payload})
    )
    client.on_message_received = messages.put
    client.connect()
    return client


def main(settings):
    def connect(kind):
        return Watched(kind, settings["connectionString"])

    registry, manager, scheduler = (
        connect(kind) for kind in (IoTHubRegistryManager, IoTHubConfigurationManager, IoTHubJobManager)
    )
    registry.create_device_with_sas(DEVICE, *KEYS, "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", *KEYS)
    received = queue.Queue()
    answers = [
        answering(IoTHubDeviceClient, settings, f"DeviceId={DEVICE}", received),
        answering(IoTHubModuleClient, settings, f"DeviceId={DEVICE};ModuleId={MODULE}", received),
    ]
    report = {
        "devices": devices(registry),
        "modules": modules(registry),
        "bulk": bulk(registry),
        "twins": twins(registry, DEVICE, MODULE),
        "queries": queries(registry),
        "methods": calls_of_methods(registry, DEVICE, MODULE),
        "configurations": configurations(manager, registry, DEVICE),
        "digitalTwins": digital_twins(connect(DigitalTwinClient), DEVICE),
        "jobs": jobs(scheduler, registry, DEVICE),
        "feedback": feedback(connect(IoTHubHttpRuntimeManager), settings, DEVICE, received),
        "transfers": transfers(scheduler, registry, settings["host"]),
        "credentials": credentials(settings["host"], DEVICE),
    }
    report["calls"] = outcomes()
    for client in answers:
        client.shutdown()
    print(json.dumps(report, default=str))


main(json.loads(sys.argv[1]))
