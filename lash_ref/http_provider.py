"""A provider over HTTP: one attempt at one call in any dialect, and every way the transport can fail.

Before the reply's headers a failure is of kind ``transport`` or ``timeout``; from then on it is ``stream``
([PRV.22][]), with what had arrived.
"""

import codecs
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from lash_ref.capability import UnusableReasoning
from lash_ref.contracts import Clock
from lash_ref.decoding import decoded
from lash_ref.dialect import Dialect, Endpoint, HttpCall, Reading, thawed
from lash_ref.errors import InvalidRecord
from lash_ref.provider import LlmEventSink, LlmRequest, LlmResponse, ProviderFailure
from lash_ref.provider_errors import Refusal, failure, redacted, retry_after_s, retry_delay_s
from lash_ref.scalars import Json
from lash_ref.sse import Framer, ServerSentEvent
from lash_ref.trust import trust
from lash_ref.untrusted import MalformedReply, distrusting, documents, parsed

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)

REFUSAL_LIMIT_BYTES = 1024 * 1024
"""What is read of an error body; a server that sends more has said enough."""


class HttpProvider:
    """A `Provider` that speaks ``dialect`` at ``endpoint``.

    Give ``client`` to share connections or to replay recordings; it is closed only when made here.
    Give ``auth``, such as `lash_ref.credentials.OAuth`, where the endpoint's headers do not authorize.
    """

    def __init__(
        self,
        dialect: Dialect,
        endpoint: Endpoint,
        clock: Clock,
        client: httpx.AsyncClient | None = None,
        auth: httpx.Auth | None = None,
    ) -> None:
        self.dialect = dialect
        self.endpoint = endpoint
        self.clock = clock
        self.auth = auth
        self._owned = client is None
        self.client = client or httpx.AsyncClient(verify=trust(), follow_redirects=False)

    @property
    def kind(self) -> str:
        """The dialect's name, as sessions record it."""
        return self.dialect.kind

    async def close(self) -> None:
        """Let go of connections made here."""
        if self._owned:
            await self.client.aclose()

    async def complete(self, request: LlmRequest, events: LlmEventSink) -> LlmResponse:
        """One attempt, which ends in an answer or a `ProviderFailure` whatever the provider sends ([PRV.49][]).

        Raises:
            ProviderFailure: with what had arrived, how far the reply got, and the provider's request id.
        """
        try:
            call = self.dialect.write(request, self.endpoint)
        except UnusableReasoning as err:
            raise ProviderFailure(str(err), "validation", provider_code=err.fault) from err
        except InvalidRecord as err:
            raise ProviderFailure(str(err), "validation", provider_code="malformed_capability") from err
        reading = self.dialect.reading(request, self.endpoint)
        async with self._reply(call) as reply:
            request_id = _first(reply.headers, self.dialect.request_id_header)
            try:
                if reply.status_code >= 300:
                    raise await self._refused(reply)
                await self._read(reply, reading, events)
                for told in [*reading.last_words()]:
                    await events(told)
                with distrusting():
                    response = reading.end()
            except MalformedReply as err:
                raise self._stopped(reading, request_id, _interrupted(str(err), "malformed_reply")) from err
            except httpx.RequestError as err:
                wire = _interrupted(f"{type(err).__name__} after the reply had begun", "stream_interrupted")
                raise self._stopped(reading, request_id, wire) from err
            except ProviderFailure as err:
                raise self._stopped(reading, request_id, err) from None
        return self._completed(response, reply, call, request_id)

    @asynccontextmanager
    async def _reply(self, call: HttpCall) -> AsyncGenerator[httpx.Response]:
        wait_s = min(self.endpoint.response_start_s, self.endpoint.chunk_s)
        for name, value in self.endpoint.headers:
            if not value.isprintable() or value != value.strip():
                raise _unaskable(f"header {name}: printable text with no blanks around it expected")
        try:
            outgoing = self.client.build_request(
                "POST",
                self.endpoint.base_url.rstrip("/") + call.path,
                params=dict(call.params) or None,
                json=call.body,
                headers=list(self.endpoint.headers),
                timeout=httpx.Timeout(wait_s, read=wait_s),
            )
        except (httpx.InvalidURL, UnicodeError) as err:
            raise _unaskable(err) from err
        try:
            reply = await self._sent(outgoing, wait_s)
            try:
                yield reply
            finally:
                await reply.aclose()
        except ProviderFailure as err:
            err.hush(lambda said: redacted(said, _credentials(outgoing.headers)))
            raise

    async def _sent(self, outgoing: httpx.Request, wait_s: float) -> httpx.Response:
        try:
            return await self.client.send(outgoing, stream=True, auth=self.auth or httpx.USE_CLIENT_DEFAULT)
        except httpx.TimeoutException as err:
            raise ProviderFailure(
                f"no reply within {wait_s:g} s", "timeout", retryable=True, provider_code="response_start_timeout"
            ) from err
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as err:
            raise _unaskable(err) from err
        except httpx.RequestError as err:
            words = f"{type(err).__name__}: {err}"
            raise ProviderFailure(words, "transport", retryable=True, provider_code="no_connection") from err

    async def _refused(self, reply: httpx.Response) -> ProviderFailure:
        raw = b""
        try:
            async for chunk in decoded(reply):
                raw += chunk
                if len(raw) > REFUSAL_LIMIT_BYTES:
                    break
        except httpx.RequestError:
            pass
        try:
            body = _as_error(parsed(_unframed(raw)))
            refusal = self.dialect.refusal(body, reply.status_code)
            delay = retry_delay_s(body)
        except MalformedReply:  # a proxy's page, say: the status speaks ([PRV.54][])
            words = raw.decode("utf-8", "replace").strip()
            refusal, delay = Refusal(words or f"HTTP {reply.status_code}", status=reply.status_code), None
        wait = retry_after_s(reply.headers, self.clock.now_ms())
        asked = {"true": True, "false": False}.get(reply.headers.get("x-should-retry", "").strip().lower())
        return failure(refusal, self.dialect.codes, retry_after_s=wait if wait is not None else delay, asked=asked)

    async def _read(self, reply: httpx.Response, reading: Reading, events: LlmEventSink) -> None:
        framer = Framer()
        head = b""
        buffer: list[bytes] | None = None
        try:
            async for chunk in decoded(reply):
                fresh = chunk
                if not _opening(head):
                    head += chunk
                    fresh = _opening(head)
                    if not fresh:
                        continue
                    if _is_document(fresh):
                        buffer = []
                if buffer is None:
                    await self._feed(framer.feed(fresh), reading, events)
                else:
                    buffer.append(fresh)
        except httpx.RequestError:
            if reading.settled:
                return
            raise
        if buffer is not None:
            with distrusting():
                reading.documents([_as_error(body) for body in documents(b"".join(buffer))])
            return
        await self._feed(framer.flush(), reading, events)
        if not reading.settled and framer.stray:
            await self._feed([ServerSentEvent(b"\n".join(framer.stray))], reading, events)

    async def _feed(self, framed: list[ServerSentEvent], reading: Reading, events: LlmEventSink) -> None:
        for event in framed:
            if _is_blank(event.data):
                continue
            try:
                data = parsed(event.data)
            except MalformedReply:
                if reading.settled:
                    continue
                raise
            if event.name == "error" and data.get("error") is None and data.get("type") != "error":
                data = {"error": data}
            for told in [*reading.take(_as_error(data))]:
                await events(told)

    def _stopped(self, reading: Reading, request_id: str | None, err: ProviderFailure) -> ProviderFailure:
        try:
            with distrusting():
                err.partial = reading.partial()
        except MalformedReply:
            err.partial = None
        err.position = reading.position
        err.request_id = request_id
        return err

    def _completed(
        self, response: LlmResponse, reply: httpx.Response, call: HttpCall, request_id: str | None
    ) -> LlmResponse:
        found = thawed(response.response_metadata)
        for probe in self.endpoint.metadata:
            name = probe.removeprefix("header:").lower()
            if probe.startswith("header:") and (value := _first(reply.headers, name)) is not None:
                found[f"header:{name}"] = value
        evidence = thawed(response.execution_evidence)
        if request_id is not None:
            evidence["provider_request_id"] = request_id
        return response.but(
            request_body=Json(call.body),
            http_summary=f"POST {call.path} {reply.status_code}",
            execution_evidence=Json(evidence),
            response_metadata=Json(found) if found else None,
        )


def _opening(head: bytes) -> bytes:
    """A reply's first bytes without what some servers put before them ([PRV.46][])."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip() if head not in codecs.BOM_UTF8 else b""


def _is_document(start: bytes) -> bool:
    """Whether the reply is one JSON document, whatever was asked for and is said of it ([PRV.47][])."""
    return start.startswith((b"{", b"["))


def _first(headers: httpx.Headers, name: str) -> str | None:
    """A header's value; of one that proxies on the way have repeated the first."""
    return next(iter(headers.get_list(name)), None)


def _unframed(raw: bytes) -> bytes:
    """An error's body without the frame of a stream around it."""
    if not _opening(raw).startswith((b"data:", b"event:", b":")):
        return raw
    framer = Framer()
    return next((event.data for event in (*framer.feed(_opening(raw)), *framer.flush())), raw)


def _as_error(data: dict[str, Any]) -> dict[str, Any]:
    """The reply; one whose service tells of errors in a ``base_resp`` of its own as an error."""
    match data.get("base_resp"):
        case {"status_code": int() as code, "status_msg": str() as said} if code:
            return {"error": {"message": said, "code": code}}
        case _:
            return data


def _is_blank(data: bytes) -> bool:
    """Whether an event says nothing; the mark of an ended stream is no evidence of anything."""
    return len(data) < 16 and data.strip() in {b"", b"[DONE]"}


def _credentials(headers: httpx.Headers) -> list[str]:
    """What a request authorizes itself with, without the scheme before it."""
    return [value.split()[-1] for name, value in headers.items() if _SECRET_HEADER.search(name) and value.strip()]


def _unaskable(err: object) -> ProviderFailure:
    return ProviderFailure(f"the route cannot be asked: {err}", "validation", provider_code="bad_route")


def _interrupted(words: str, code: str) -> ProviderFailure:
    return ProviderFailure(words, "stream", retryable=True, provider_code=code)
