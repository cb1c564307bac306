# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken credentials: tokens renewed too late, too often, or for the wrong reason."""

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant


@host_mutant("PRV.70", character="Last-minute: renews a token when it has ended.")
class RenewsWhenEnded(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.credentials:REFRESH_EARLY_MS", lambda original: 0)


@host_mutant("PRV.70", character="Nervous: renews a token before every request.")
class RenewsAlways(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.credentials:OAuth._ends_soon", lambda original: lambda self, token: True)


class _NoLock:
    async def __aenter__(self) -> None:
        """Nobody waits."""

    async def __aexit__(self, *_: object) -> None:
        """Nobody waited."""


@host_mutant("PRV.71", character="Crowded: every call renews for itself.")
class RenewsForEachCall(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def token(self: Any, rejected: str | None = None) -> str:
                self._lock = _NoLock()
                return await original(self, rejected)

            return token

        patch("lash_ref.credentials:OAuth.token", make)


@host_mutant("PRV.72", character="Resigned: takes a 401 for the end.")
class ResignsAt401(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def flow(self: Any, request: Any) -> Any:
                request.headers["authorization"] = f"Bearer {await self.token()}"
                yield request

            return flow

        patch("lash_ref.credentials:OAuth.async_auth_flow", make)


@host_mutant("PRV.72", character="Stubborn: answers every 401 with another token.")
class RepeatsEvery401(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def flow(self: Any, request: Any) -> Any:
                token = await self.token()
                while True:
                    request.headers["authorization"] = f"Bearer {token}"
                    reply = yield request
                    if reply.status_code != 401:
                        return
                    token = await self.token(rejected=token)

            return flow

        patch("lash_ref.credentials:OAuth.async_auth_flow", make)


@host_mutant("PRV.73", character="Eager: repeats a call whose stream says the token is bad.")
class RepeatsAfterOutput(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def reason(self: Any, failure: Any, spent: int) -> Any:
                failure.retryable = failure.retryable or (failure.kind == "stream" and self.policy.max_attempts > spent)
                return original(self, failure, spent)

            return reason

        patch("lash_ref.retries:Retries._reason", make)


@host_mutant("PRV.74", character="Hopeful: asks again with a grant that was refused.")
class AsksAgain(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def renewed(self: Any) -> Any:
                self._refused = None
                return await original(self)

            return renewed

        patch("lash_ref.credentials:OAuth._renewed", make)


@host_mutant("PRV.75", character="Final: takes a busy token endpoint for a refusal.")
class GivesUpOnABusyEndpoint(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            return lambda code, words, retryable=False, wait_s=None: original(code, words)

        patch("lash_ref.credentials:_failure", make)


@host_mutant("PRV.76", character="Diligent: records the renewal as an attempt.")
class RecordsRenewals(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def complete(self: Any, provider: Any, *call: Any) -> Any:
                done = await original(self, provider, *call)
                if provider.auth is None or not done.record.attempts:
                    return done
                first = done.record.attempts[0]
                return done.but(record=done.record.but(attempts=(first, *done.record.attempts)))

            return complete

        patch("lash_ref.retries:Retries.complete", make)


@host_mutant("PRV.70", "PRV.72", character="Partial: renews tokens on Gemini's route alone.")
class RenewsForGeminiOnly(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def init(self: Any, dialect: Any, endpoint: Any, *more: Any, auth: Any = None) -> None:
                if auth is not None and dialect.kind != "gemini":
                    endpoint = endpoint.but(headers=(("authorization", f"Bearer {auth.current.value}"),))
                    auth = None
                original(self, dialect, endpoint, *more, auth=auth)

            return init

        patch("lash_ref.http_provider:HttpProvider.__init__", make)


@host_mutant("PRV.75", character="Narrow: takes a token endpoint for busy at 503 alone.")
class KnowsOneBusyStatus(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def failure(code: str, words: str, retryable: bool = False, wait_s: float | None = None) -> Any:
                return original(code, words, retryable and words.endswith("503"), wait_s)

            return failure

        patch("lash_ref.credentials:_failure", make)


@host_mutant("PRV.70", "PRV.83", character="Typed: takes a life told in digits for none, and an hour in its place.")
class TakesAnHour(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.credentials:count", lambda original: lambda body, key: body[key] if isinstance(body.get(key), int) else None)
