"""The whole journey of one device with the unmodified Python device SDK.

Reads one JSON object of settings from the command line, provisions over MQTT or WebSocket, connects to the assigned hub, and
does what devices do. Prints one JSON object a line: "ready" once the hub may act on the device, "done" with what was seen.
"""
import asyncio
import json
import sys

from azure.iot.device import X509, Message, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient


def say(**line):
    print(json.dumps(line), flush=True)


async def main(settings):
    with open(settings["serverCa"]) as file:
        trusted = file.read()
    x509 = X509(settings["certificate"], settings["key"])
    provisioning = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host=settings["host"],
        registration_id=settings["registrationId"],
        id_scope=settings["idScope"],
        x509=x509,
        server_verification_cert=trusted,
        websockets=settings["websockets"],
    )
    result = await provisioning.register()
    if result.status != "assigned":
        say(event="failed", status=result.status)
        return 1
    state = result.registration_state

    device = IoTHubDeviceClient.create_from_x509_certificate(
        x509=x509,
        hostname=state.assigned_hub,
        device_id=state.device_id,
        server_verification_cert=trusted,
        websockets=settings["websockets"],
    )
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
    twin = await device.get_twin()
    message = Message(json.dumps({"temperature": 21.5}))
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.custom_properties["room"] = "a b&c=d/é"
    await device.send_message(message)
    await device.patch_twin_reported_properties({"firmware": "1.2.3"})
    say(event="ready", deviceId=state.device_id, assignedHub=state.assigned_hub, substatus=state.sub_status)
    patch = await asyncio.wait_for(desired.get(), 60)
    called = await asyncio.wait_for(method_called.get(), 60)
    after = await device.get_twin()
    await device.shutdown()
    say(event="done", twin=twin, patch=patch, method=called, after=after)
    return 0


sys.exit(asyncio.run(main(json.loads(sys.argv[1]))))
