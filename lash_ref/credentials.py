"""OAuth credentials of a provider's route: an access token that is renewed before it ends, and once after a 401.

Token requests are no attempts: the ledger counts what was asked of the model ([PRV.76][]). Nothing here is kept on
disk; a host that stores tokens reads them back from `OAuth.current` and `OAuth.refresh_token`.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from lash_ref.contracts import Clock
from lash_ref.provider import ProviderFailure
from lash_ref.provider_errors import redacted, retry_after_s, told_error, told_words
from lash_ref.scalars import U64, Record, Text
from lash_ref.trust import trust
from lash_ref.untrusted import MalformedReply, count, mended, parsed

REFRESH_EARLY_MS = 5 * 60_000 + 30_000
"""How long before its end a token is renewed: a long request must not outlive it."""
TOKEN_TIMEOUT_S = 30.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
"""What a header can carry as a token."""


class AccessToken(Record):
    """A bearer token and when it ends, in milliseconds since the epoch."""

    value: Text
    expires_at_ms: U64


class OAuth(httpx.Auth):
    """Authorizes every request of an `httpx.AsyncClient` by refresh-token grant.

    Give it as ``HttpProvider(..., auth=OAuth(...))``. Failures are `ProviderFailure` of kind ``auth`` with code
    ``invalid_grant``, ``token_unavailable`` (worth repeating, [PRV.75][]) or ``token_refused``.
    """

    def __init__(
        self, token_url: str, client_id: str, refresh_token: str, clock: Clock, current: AccessToken | None = None
    ) -> None:
        self.token_url = token_url
        self.client_id = client_id
        self.refresh_token = refresh_token
        self.clock = clock
        self.current = current
        self._refused: tuple[str, str] | None = None
        self._lock = asyncio.Lock()

    def signed_in(self, refresh_token: str, current: AccessToken | None = None) -> None:
        """Take new credentials, after the old ones were refused."""
        self.refresh_token = refresh_token
        self.current = current
        self._refused = None

    async def token(self, rejected: str | None = None) -> str:
        """A token that is good for a while, and not ``rejected``.

        Callers that need a new one at the same time share one request ([PRV.71][]).

        Raises:
            ProviderFailure: it cannot be renewed; once the grant was refused no request is made ([PRV.74][]).
        """
        async with self._lock:
            if self.current is None or self.current.value == rejected or self._ends_soon(self.current):
                self.current = await self._renewed()
            return self.current.value

    def _ends_soon(self, token: AccessToken) -> bool:
        return token.expires_at_ms - self.clock.now_ms() <= REFRESH_EARLY_MS

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token; on a 401, which precedes any output, once more with a new one ([PRV.72][])."""
        token = await self.token()
        request.headers["authorization"] = f"Bearer {token}"
        reply = yield request
        if reply.status_code == 401:
            request.headers["authorization"] = f"Bearer {await self.token(rejected=token)}"
            yield request

    async def _renewed(self) -> AccessToken:
        if self._refused is not None:
            raise _failure(*self._refused)
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token, "client_id": self.client_id}
        try:
            async with httpx.AsyncClient(verify=trust(), timeout=TOKEN_TIMEOUT_S, follow_redirects=False) as client:
                reply = await client.post(self.token_url, data=form)
        except httpx.RequestError as err:
            raise _failure("token_unavailable", f"{type(err).__name__} at the token endpoint", retryable=True) from err
        if reply.status_code in {408, 429} or reply.status_code >= 500:
            wait = retry_after_s(reply.headers, self.clock.now_ms())
            raise _failure("token_unavailable", f"the token endpoint answered {reply.status_code}", True, wait)
        try:
            body = mended(parsed(reply.content))
        except MalformedReply:
            body = dict[str, Any]()
        token, refresh_token = body.get("access_token"), body.get("refresh_token")
        if reply.status_code != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            code = "invalid_grant" if body.get("error") == "invalid_grant" else "token_refused"
            self._refused = code, redacted(f"the token endpoint refused: {_words(body, reply.status_code)}")
            raise _failure(*self._refused)
        if isinstance(refresh_token, str) and refresh_token:
            self.refresh_token = refresh_token
        try:
            seconds = count(body, "expires_in")
        except MalformedReply:
            seconds = None
        life_s = 3600 if seconds is None else seconds
        return AccessToken(value=token, expires_at_ms=self.clock.now_ms() + life_s * 1000)


def _words(body: dict[str, Any], status: int) -> str:
    """Why there is no token."""
    if status == 200 and not body.get("error"):
        return "access_token: a text of visible ASCII characters expected, found none"
    described = body.get("error_description")
    if isinstance(described, str) and described:
        return described
    return told_words(told_error(body)) if body.get("error") else f"status {status}"


def _failure(code: str, words: str, retryable: bool = False, wait_s: float | None = None) -> ProviderFailure:
    return ProviderFailure(words, "auth", provider_code=code, retryable=retryable, retry_after_s=wait_s)
