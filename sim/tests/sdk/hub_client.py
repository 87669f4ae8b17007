"""The clients of the Python service SDK of the hub, and what each of their methods came to."""
import inspect
import time

import azure.iot.hub
from msrest.exceptions import HttpOperationError

calls = {}


def outcomes():
    """Every public method of the SDK's clients, and what became of its calls."""
    found = {}
    for name, client in inspect.getmembers(azure.iot.hub, inspect.isclass):
        if name.endswith(("Client", "Manager")):
            for method in dir(client):
                if not method.startswith("_"):
                    key = f"{name}.{method}"
                    found[key] = calls.get(key, "not called")
    return found


class Watched:
    """A client of the SDK; notes which of its methods answer."""

    def __init__(self, kind, connection_string):
        self._kind = kind
        self._client = kind.from_connection_string(connection_string)
        calls[f"{kind.__name__}.from_connection_string"] = "answered"

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if not inspect.ismethod(method):
            return method
        key = f"{self._kind.__name__}.{name}"

        def call(*arguments, **keywords):
            try:
                answer = method(*arguments, **keywords)
            except Exception:
                calls.setdefault(key, "refused")
                raise
            calls[key] = "answered"
            return answer

        return call


def refusal(operation, *arguments, **keywords):
    """Status and code of the service's error."""
    try:
        operation(*arguments, **keywords)
    except HttpOperationError as error:
        return [error.response.status_code, error.response.headers["iothub-errorcode"]]
    return "not refused"


def shown(entity):
    """What the SDK read, in the names of the wire."""
    return entity.serialize(keep_readonly=True)


def until(read, wanted):
    """The value once it is as it is wanted, or what it is after ten seconds."""
    end = time.monotonic() + 10
    good = wanted if callable(wanted) else lambda value: value == wanted
    while not good(value := read()) and time.monotonic() < end:
        time.sleep(0.1)
    return value
