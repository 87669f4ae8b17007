"""Cloud-to-device messages and what became of them, by IoTHubHttpRuntimeManager."""
import requests
from azure.iot.hub.sastoken import SasToken

from hub_client import refusal, until

# Feedback that is as many does not wait for more.
BATCH = 64


def feedback(runtime, settings, device, received):
    """What became of as many cloud-to-device messages as make a full batch, which is given back and taken again.

    The SDK's own method throws away the answer, and the lock token in its header; its generated half has it.
    """
    def taken():
        operation = runtime.protocol.cloud_to_device_messages.receive_feedback_notification
        answer = until(lambda: operation(raw=True).response, lambda answer: answer.status_code == 200)
        return answer.headers["etag"].strip('"'), answer.json()

    empty = runtime.receive_feedback_notification()
    for number in range(BATCH):
        send(settings, device, f"order-{number}")
        message = received.get(timeout=30)
    token, records = taken()
    runtime.abandon_feedback_notification(token)
    token, again = taken()
    runtime.complete_feedback_notification(token)
    return {
        "message": {
            "data": message.data.decode(),
            "id": message.message_id,
            "properties": message.custom_properties,
        },
        "empty": empty,
        "records": records,
        "same": again == records,
        "lost": refusal(runtime.complete_feedback_notification, token),
    }


def send(settings, device, message):
    """A cloud-to-device message over HTTPS; the SDK has AMQP for it."""
    host = settings["host"]
    key = dict(part.split("=", 1) for part in settings["connectionString"].split(";"))
    token = str(SasToken(host, key["SharedAccessKey"], key["SharedAccessKeyName"]))
    headers = {
        "Authorization": token, "iothub-to": f"/devices/{device}/messages/devicebound", "iothub-ack": "full",
        "iothub-messageid": message, "iothub-app-room": "4",
    }
    url = f"https://{host}/messages/devicebound?api-version=2021-04-12"
    requests.post(url, data="hello", headers=headers, timeout=30).raise_for_status()
