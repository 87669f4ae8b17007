"""The clients of the Python device SDK, and what each of their methods came to."""
import asyncio
import inspect

import azure.iot.device.aio

calls = {}
CLIENTS = ("IoTHubDeviceClient", "IoTHubModuleClient")


def outcomes():
    """Every public method of the SDK's clients, and what became of its calls. Handlers are answered when called."""
    found = {}
    for name in CLIENTS:
        for method in dir(getattr(azure.iot.device.aio, name)):
            if not method.startswith("_"):
                key = f"{name}.{method}"
                found[key] = calls.get(key, "not called")
    return found


class Watched:
    """A client of the SDK; notes which of its methods and handlers are called."""

    def __init__(self, create, *arguments, **keywords):
        client = create(*arguments, **keywords)
        name = type(client).__name__
        calls[f"{name}.{create.__name__}"] = "answered"
        self.__dict__.update(_client=client, _name=name, _loop=asyncio.get_running_loop())

    def __getattr__(self, name):
        value = getattr(self._client, name)
        key = f"{self._name}.{name}"
        if not inspect.ismethod(value):
            calls[key] = "answered"
            return value

        async def call(*arguments, **keywords):
            try:
                answer = await value(*arguments, **keywords)
            except Exception:
                calls.setdefault(key, "refused")
                raise
            calls[key] = "answered"
            return answer

        return call

    def queue_of(self, handler):
        """What a handler gets from now on. The SDK calls handlers on a loop of its own."""
        queue = asyncio.Queue()
        key = f"{self._name}.{handler}"

        def take(*arguments):
            calls[key] = "answered"
            self._loop.call_soon_threadsafe(queue.put_nowait, arguments[0] if arguments else None)

        setattr(self._client, handler, take)
        return queue


async def taken(queue, wanted=lambda value: True):
    """The next value of a queue that is wanted."""
    while not wanted(value := await asyncio.wait_for(queue.get(), 60)):
        pass
    return value
