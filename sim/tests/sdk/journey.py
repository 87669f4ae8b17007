"""The whole journey of devices with the unmodified Python device SDK, all of them at once in this one process.

Reads one JSON object of settings from the command line. Each device provisions over MQTT or WebSocket, connects to the
assigned hub, and does what devices do. Prints one JSON object a line: "ready" once the hub may act on the device, "done"
with what was seen, "refused" when it may not register.
"""
import asyncio
import json
import sys

from azure.iot.device import X509, Message, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient


def say(**line):
    print(json.dumps(line), flush=True)


def proof(device, of_x509, of_symmetric_key):
    """The constructor for how this device proves itself, and the argument that it takes."""
    if "symmetricKey" in device:
        return of_symmetric_key, {"symmetric_key": device["symmetricKey"]}
    return of_x509, {"x509": X509(device["certificate"], device["key"])}


async def register(settings, trusted, device):
    create, arguments = proof(
        device,
        ProvisioningDeviceClient.create_from_x509_certificate,
        ProvisioningDeviceClient.create_from_symmetric_key,
    )
    client = create(
        provisioning_host=settings["host"],
        registration_id=device["registrationId"],
        id_scope=settings["idScope"],
        server_verification_cert=trusted,
        websockets=device["transport"] == "websocket",
        **arguments,
    )
    if "payload" in device:
        client.provisioning_payload = device["payload"]
    return await client.register()


def connection(trusted, device, state):
    create, arguments = proof(
        device,
        IoTHubDeviceClient.create_from_x509_certificate,
        IoTHubDeviceClient.create_from_symmetric_key,
    )
    return create(
        hostname=state.assigned_hub,
        device_id=state.device_id,
        server_verification_cert=trusted,
        websockets=device["transport"] == "websocket",
        **arguments,
    )


async def journey(settings, trusted, registering):
    name = registering["registrationId"]
    try:
        result = await register(settings, trusted, registering)
    except Exception as error:
        say(event="refused", registrationId=name, error=type(error).__name__, message=str(error.__cause__ or error))
        return
    state = result.registration_state
    device = connection(trusted, registering, state)
    desired, method_called = asyncio.Queue(), asyncio.Queue()
    loop = asyncio.get_running_loop()

    # The SDK calls handlers on a loop of its own.
    async def answer(request):
        response = MethodResponse.create_from_method_request(request, 200, {"echo": request.payload})
        await device.send_method_response(response)
        loop.call_soon_threadsafe(method_called.put_nowait, request.name)

    async def follow(patch):
        # On connecting, the SDK hands over the whole desired section once, as if it were a patch.
        if "interval" in patch:
            loop.call_soon_threadsafe(desired.put_nowait, patch)

    device.on_twin_desired_properties_patch_received = follow
    device.on_method_request_received = answer
    await device.connect()
    await device.get_twin()
    message = Message(json.dumps({"temperature": 21.5}))
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.custom_properties["room"] = "a b&c=d/é"
    await device.send_message(message)
    await device.patch_twin_reported_properties({"firmware": "1.2.3"})
    shown = {
        "status": result.status,
        "deviceId": state.device_id,
        "assignedHub": state.assigned_hub,
        "substatus": state.sub_status,
        "payload": state.response_payload,
    }
    say(event="ready", registrationId=name, state=shown)
    patch = await asyncio.wait_for(desired.get(), 60)
    called = await asyncio.wait_for(method_called.get(), 60)
    after = await device.get_twin()
    await device.shutdown()
    say(event="done", registrationId=name, patch=patch, method=called, after=after)


async def main(settings):
    with open(settings["serverCa"]) as file:
        trusted = file.read()
    await asyncio.gather(*(journey(settings, trusted, device) for device in settings["devices"]))


asyncio.run(main(json.loads(sys.argv[1])))
