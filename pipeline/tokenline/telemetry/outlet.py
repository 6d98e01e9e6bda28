"""A provider seen from its far end: flushing and closing it without ever being held up by it."""

from threading import Event

from .deadline import DaemonThread, wait_all


def is_real(api_object: object) -> bool:
    """Whether a provider, tracer or meter does anything: the API's own classes only stand in."""
    return not type(api_object).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")
    )


class Outlet:
    """A tracer or meter provider and the thread that waits for it.

    Attributes:
        provider: the provider.
    """

    def __init__(self, provider: object) -> None:
        self.provider = provider
        self.thread = DaemonThread(f"tokenline-{type(provider).__name__}")

    def flush(self) -> Event | None:
        """Begin to flush; see `DaemonThread.call`."""
        return self._call("force_flush")

    def shutdown(self) -> Event | None:
        """Begin to shut down; see `DaemonThread.call`."""
        return self._call("shutdown")

    def _call(self, method: str) -> Event | None:
        function = getattr(self.provider, method, None)
        if function is None:  # The API does not ask for it.
            done = Event()
            done.set()
            return done
        return self.thread.call(function)


def flush_all(outlets: list[Outlet], timeout_s: float) -> bool:
    """Flush all; False if `timeout_s` passed first.

    True says that the providers returned, not that the collector has the data: the SDK does not
    tell.
    """
    return wait_all([outlet.flush() for outlet in outlets], timeout_s)


def shutdown_all(outlets: list[Outlet], timeout_s: float) -> bool:
    """Shut all down; False if `timeout_s` passed first."""
    return wait_all([outlet.shutdown() for outlet in outlets], timeout_s)
