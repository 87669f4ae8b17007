"""Every call of the unmodified Python device SDK at a hub.

Reads one JSON object of settings from the command line: devices with keys and a module of each, each for one transport,
and a device and a module with a certificate. Prints one JSON object a line: "ready" and "again" when the hub may act on
a device or a module, "restart" when the server has to stop and start, "back" when a client has connected again, "done"
with what was seen.
"""
import asyncio
import json
import os
import sys
import urllib.request

from azure.iot.device import X509, Message, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient, IoTHubModuleClient
from azure.iot.device.exceptions import ClientError
from azure.iot.hub.sastoken import SasToken

from device_client import Watched, outcomes, taken

RETRY = {"connection_retry_interval": 1}


def say(**line):
    print(json.dumps(line), flush=True)


def message(text):
    made = Message(json.dumps({"text": text}))
    made.message_id, made.correlation_id = "order-1", "batch-7"
    made.content_type, made.content_encoding = "application/json", "utf-8"
    made.custom_properties["room"] = "a b&c=d/é"
    return made


async def answer(client, request):
    response = MethodResponse.create_from_method_request(request, 200, {"name": request.name, "echo": request.payload})
    await client.send_method_response(response)
    return request.name


async def work(name, client, more=None):
    """Everything that a device or a module and its hub say to each other, by handlers."""
    states = client.queue_of("on_connection_state_change")
    patches = client.queue_of("on_twin_desired_properties_patch_received")
    methods = client.queue_of("on_method_request_received")
    messages = client.queue_of("on_message_received")
    client.queue_of("on_background_exception")
    await client.connect()
    await client.send_message(message(name))
    await client.patch_twin_reported_properties({"firmware": "1.2.3"})
    twin = await client.get_twin()
    assert client.connected and twin["reported"]["firmware"] == "1.2.3", twin
    say(event="ready", name=name)
    patch = await taken(patches, lambda patch: "interval" in patch)
    method = await answer(client, await taken(methods))
    seen = {"interval": patch["interval"], "method": method}
    if more:
        seen.update(await more(client, messages))
    await client.disconnect()
    await client.connect()
    say(event="again", name=name)
    seen["again"] = (await taken(patches, lambda patch: patch.get("interval") == 8))["interval"]
    while not states.empty():
        states.get_nowait()
    return seen, states, methods


async def device_more(client, messages):
    """What devices do, and modules do not: cloud-to-device messages and file uploads."""
    received = await taken(messages)
    storage = await client.get_storage_info_for_blob("notes/a.txt")
    url = f"https://{storage['hostName']}/{storage['containerName']}/{storage['blobName']}{storage['sasToken']}"
    request = urllib.request.Request(url, b"hello", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    status = await asyncio.to_thread(lambda: urllib.request.urlopen(request).status)
    await client.notify_blob_upload_status(storage["correlationId"], True, 201, "written")
    return {
        "message": {
            "data": received.data.decode(),
            "id": received.message_id,
            "contentType": received.content_type,
            "properties": received.custom_properties,
        },
        "blob": [storage["blobName"], status],
    }


async def reconnected(name, client, states, methods):
    """After the server was gone, the SDK connects by itself, and calls arrive."""
    await taken(states, lambda _: client.connected)
    say(event="back", name=name)
    return await answer(client, await taken(methods))


def token(settings, path, key, seconds):
    return str(SasToken(f"{settings['host']}/devices/{path}", key, ttl=seconds))


async def renewing(settings, kind, path, key, keywords):
    """A client with a token, which asks for the next one; it gets everything by its receive methods."""
    # The SDK asks for a new token two minutes before the old one expires.
    client = Watched(kind.create_from_sastoken, token(settings, path, key, 123), **keywords)
    wanted = client.queue_of("on_new_sastoken_required")
    await client.connect()
    await taken(wanted)
    await client.update_sastoken(token(settings, path, key, 3600))
    await client.send_message("renewed")
    say(event="ready", name=path.replace("/modules/", "/"))
    patch = await client.receive_twin_desired_properties_patch()
    while "interval" not in patch:
        patch = await client.receive_twin_desired_properties_patch()
    seen = {"interval": patch["interval"], "method": await answer(client, await client.receive_method_request())}
    if kind is IoTHubDeviceClient:
        seen["message"] = (await client.receive_message()).data.decode()
    await client.shutdown()
    return seen


async def main(settings):
    with open(settings["serverCa"]) as file:
        trusted = file.read()
    host, seen, tours = settings["host"], {}, []

    def keywords(entry):
        return {"server_verification_cert": trusted, "websockets": entry["transport"] == "websocket", **RETRY}

    async def tour(name, client, more=None):
        seen[name], states, methods = await work(name, client, more)
        return name, client, states, methods

    for entry in settings["devices"]:
        device, module, key = entry["deviceId"], entry["moduleId"], entry["key"]
        string = f"HostName={host};DeviceId={device};SharedAccessKey={key}"
        client = Watched(IoTHubDeviceClient.create_from_connection_string, string, **keywords(entry))
        tours.append(tour(device, client, device_more))
        string = f"HostName={host};DeviceId={device};ModuleId={module};SharedAccessKey={key}"
        client = Watched(IoTHubModuleClient.create_from_connection_string, string, **keywords(entry))
        tours.append(tour(f"{device}/{module}", client))
    for entry in settings["pinned"]:
        x509 = X509(entry["certificate"], entry["key"])
        create, ids = IoTHubDeviceClient.create_from_x509_certificate, {"device_id": entry["deviceId"]}
        if "moduleId" in entry:
            create, ids["module_id"] = IoTHubModuleClient.create_from_x509_certificate, entry["moduleId"]
        client = Watched(create, x509, host, **ids, **keywords(entry))
        tours.append(tour("/".join(ids.values()), client, None if "moduleId" in entry else device_more))
    tours = await asyncio.gather(*tours)
    await extra(settings, trusted, seen)
    say(event="restart")
    calls_again = await asyncio.gather(*(reconnected(*arguments) for arguments in tours))
    for (name, client, *_), method in zip(tours, calls_again):
        seen[name]["back"] = method
        await client.shutdown()
    say(event="done", seen=seen, calls=outcomes())


async def extra(settings, trusted, seen):
    """The other ways to make a client, and what only some clients have."""
    spare = settings["spare"]
    device, module, key = spare["deviceId"], spare["moduleId"], spare["key"]
    host, keywords = settings["host"], {"server_verification_cert": trusted}
    of_device = renewing(settings, IoTHubDeviceClient, device, key, keywords)
    of_module = renewing(settings, IoTHubModuleClient, f"{device}/modules/{module}", key, keywords)
    for name, saw in zip((device, f"{device}/{module}"), await asyncio.gather(of_device, of_module)):
        seen[f"{name} with a token"] = saw
    keyed = Watched(IoTHubDeviceClient.create_from_symmetric_key, key, host, device, **keywords)
    await keyed.send_message("by key")
    await keyed.shutdown()
    # What a module finds in its environment when it is run outside of the device runtime.
    os.environ["EdgeHubConnectionString"] = (
        f"HostName={host};GatewayHostName={host};DeviceId={device};ModuleId={module};SharedAccessKey={key}"
    )
    os.environ["EdgeModuleCACertificateFile"] = settings["serverCa"]
    client = Watched(IoTHubModuleClient.create_from_edge_environment)
    await client.send_message_to_output(message("output"), "alerts")
    try:
        await client.invoke_method({"methodName": "blink", "payload": 1, "responseTimeoutInSeconds": 5}, device, module)
    except ClientError as error:
        seen["invoke"] = str(error.__cause__)
    await client.shutdown()


asyncio.run(main(json.loads(sys.argv[1])))
