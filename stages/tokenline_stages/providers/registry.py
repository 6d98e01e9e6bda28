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
from typing import Any

from tokenline.errors import ConfigError, UnknownProviderError
from tokenline.source import Source
from tokenline.stage import Stage


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a provider; what is None comes from the environment or the SDK.

    Attributes:
        api_key: the key. It is kept out of `repr`.
        base_url: where requests go.
        client: the user's own SDK client; used as it is and never closed.
        max_retries: how often the SDK may retry to open the stream.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    client: Any | None = field(default=None, repr=False)
    max_retries: int = 2


@dataclass(frozen=True, slots=True)
class Api:
    """One wire API: how its stream is opened, parsed and normalized.

    Attributes:
        name: `openai.chat`, `anthropic.messages` ...
        source: opens its streams; called once for each pipeline.
        parser: raw bytes to wire items.
        normalizer: wire items to events.
        accepts: whether a payload is for this API; the first that says yes is taken.
    """

    name: str
    source: Callable[[Access], Source]
    parser: Callable[[], Stage[Any, Any]]
    normalizer: Callable[[], Stage[Any, Any]]
    accepts: Callable[[Mapping[str, Any]], bool] = lambda payload: True


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
        """
        for api in self.apis:
            if api.accepts(payload):
                return api
        names = ", ".join(api.name for api in self.apis)
        raise ConfigError(f"provider {self.name!r} has no API for this payload; it has: {names}")

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
    """The provider called `name`.

    Raises:
        UnknownProviderError: there is none; the message lists the known ones.
    """
    from .catalog import BUILT_IN

    if name not in _registered and name in BUILT_IN:
        register(BUILT_IN[name](name))
    found = _registered.get(name)
    if found is None:
        raise UnknownProviderError(name, known_providers())
    return found


def known_providers() -> tuple[str, ...]:
    """Names of all providers, in alphabetical order."""
    from .catalog import BUILT_IN

    return tuple(sorted({*_registered, *BUILT_IN}))
