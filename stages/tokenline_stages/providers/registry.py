"""Which providers there are, and which wire API a request is for.

A provider is one folder and one registration. To add your own:

```python
from tokenline_stages import Api, Provider, register

register(Provider(name="acme", genai_name="acme", apis=(Api(...),)))
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenline.builder import ContinueFrom
from tokenline.errors import ConfigError, UnknownProviderError, UsageError
from tokenline.source import Source
from tokenline.stage import Stage

if TYPE_CHECKING:
    from tokenline_stages.direct import DirectSource


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a provider; what is None comes from the environment or the SDK.

    Attributes:
        api_key: the key. It is kept out of `repr`.
        base_url: where requests go.
        client: the user's own SDK client; used as it is and never closed.
        max_retries: how often the SDK itself may retry to open the stream; 0 leaves it to the
            run's `RetryPolicy`, where it shows.
        client_options: further arguments of the SDK's client (`aws_region`, `project_id`,
            `api_version`, `default_headers` ...). They are kept out of `repr`.
        direct: send requests without the SDK: True, False, or None where that can be done.

    Raises:
        ConfigError: `client_options` has what is a field of its own.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    client: Any | None = field(default=None, repr=False)
    max_retries: int = 0
    client_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    direct: bool | None = None

    def __post_init__(self) -> None:
        for name in ("base_url", "max_retries"):
            if name in self.client_options:
                raise ConfigError(
                    f"{name} is an argument of its own; leave it out of the client options"
                )

    def choose(self, direct: Callable[[], DirectSource], sdk: Callable[[], Source]) -> Source:
        """The direct source where it can do what is asked, else the SDK's.

        Unless `direct` says which: the SDK makes the requests for a user's own client, for
        client options, and where the environment sets a proxy.

        Raises:
            ConfigError: no address, or `direct=True` beside what only the SDK can do.
        """
        if self.direct:
            self.need_no_sdk("direct=True")
            return direct()
        if self.direct is False or self.client is not None or self.client_options:
            return sdk()
        source = direct()
        return source if source.applies else sdk()

    def need_sdk(self, name: str) -> None:
        """Raise `ConfigError` if requests to a provider that only its SDK reaches are direct."""
        if self.direct:
            raise ConfigError(f"{name}: its SDK makes the requests; leave out direct=True")

    def need_no_sdk(self, name: str) -> None:
        """Raise `ConfigError` if a client is given where no SDK is used."""
        if self.client is not None or self.client_options:
            raise ConfigError(
                f"{name}: requests are made without an SDK; leave out client and client_options"
            )


@dataclass(frozen=True, slots=True)
class Api:
    """One wire API: how its stream is opened, parsed and normalized.

    Attributes:
        name: `openai.chat`, `anthropic.messages` ...
        source: opens its streams; called once for each pipeline.
        parser: raw bytes to wire items.
        normalizer: wire items to events.
        accepts: whether a payload is for this API; the first that says yes is taken.
        payload: what such a payload has, in words, for messages.
        continue_from: see `tokenline.pipeline.Route.continue_from`.
    """

    name: str
    source: Callable[[Access], Source]
    parser: Callable[[], Stage[Any, Any]]
    normalizer: Callable[[], Stage[Any, Any]]
    accepts: Callable[[Mapping[str, Any]], bool] = lambda payload: True
    payload: str = "any fields"
    continue_from: ContinueFrom | None = None


def has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    """For `Api.accepts`: whether a payload has one of these fields."""
    return lambda payload: any(name in payload for name in names)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: a name and its wire APIs, the most particular first.

    Attributes:
        name: what users call it.
        apis: its wire APIs.
        key_env: environment variable of its key, for messages.
    """

    name: str
    apis: tuple[Api, ...]
    key_env: str | None = None

    def api_for(self, payload: Mapping[str, Any]) -> Api:
        """The API that a payload is for.

        Raises:
            ConfigError: none of them takes such a payload.
            UsageError: the payload is no mapping.
        """
        if not isinstance(payload, Mapping):
            raise UsageError(f"a request payload is a dict, not {type(payload).__name__}")
        for api in self.apis:
            if api.accepts(payload):
                return api
        wanted = "; ".join(f"{api.name} takes {api.payload}" for api in self.apis)
        fields = ", ".join(sorted(map(str, payload))) or "nothing"
        raise ConfigError(
            f"provider {self.name!r} has no API for a payload of {fields}; {wanted};"
            " pass api=... to choose one of them"
        )

    def api_named(self, name: str) -> Api:
        """The API called `name` (or whose last part it is).

        Raises:
            ConfigError: there is none.
        """
        for api in self.apis:
            if name in (api.name, api.name.rpartition(".")[2]):
                return api
        names = ", ".join(api.name for api in self.apis)
        raise ConfigError(f"provider {self.name!r} has no API {name!r}; it has: {names}")


_registered: dict[str, Provider] = {}


def register(provider: Provider) -> Provider:
    """Make a provider known under its name; a later one of the same name replaces it."""
    _registered[provider.name] = provider
    return provider


def provider(name: str) -> Provider:
    """The provider called `name`, or whose alias it is (`google` is `gemini`).

    Raises:
        UnknownProviderError: there is none; the message lists the known ones.
    """
    from .catalog import ALIASES, BUILT_IN

    found = _registered.get(name)
    if found is not None:
        return found
    name_meant = ALIASES.get(name, name)
    make = BUILT_IN.get(name_meant)
    if make is None:
        raise UnknownProviderError(name, known_providers())
    return _registered.get(name_meant) or register(make(name_meant))


def known_providers() -> tuple[str, ...]:
    """Names of all providers, in alphabetical order."""
    from .catalog import BUILT_IN

    return tuple(sorted({*_registered, *BUILT_IN}))
