"""Credentials: every dialect takes a bearer token, and one that is renewed is renewed alike in each."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import calling, failure, streamed, text
from lash_conformance.fixture import Exchange, Fixture, Matcher, OAuthSetup, RequestMatch, Response
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import PATHS, WORDS, asked, filled, reply

Data = dict[str, Any]
JSON = ("content-type", "application/json")
EARLY_MS = 5 * 60_000 + 30_000
OLD, NEW = "fixture-old", "fixture-new"
RENEWED = reply(b'{"access_token":"fixture-new","expires_in":3600,"token_type":"Bearer"}', 200, JSON)
REJECTED = reply(b'{"error":{"message":"made up"}}', 401, JSON)


def renews(answer: Response = RENEWED) -> Exchange:
    """A request for a new token, and its answer."""
    wanted = {"/grant_type": Matcher(equals="refresh_token"), "/refresh_token": Matcher(equals="fixture-refresh")}
    return Exchange(role="token", request=RequestMatch(path="/token", body=wanted), response=answer)


def asks(dialect: str, token: str, answer: Response | None = None) -> Exchange:
    """A request to the model with that token, and its answer, ``Hi.`` unless given."""
    asked_for = RequestMatch(path=PATHS[dialect], headers={"authorization": {"equals": f"Bearer {token}"}})
    return Exchange(request=asked_for, response=answer or streamed(WORDS[dialect].said("Hi.")))


def signed(
    dialect: str, *exchanges: Exchange, ends_in_ms: int, calls: int = 1, attempts: int = 1, parallel: bool = False
) -> Fixture:
    """Calls on a route whose access token is renewed."""
    made = asked(dialect, attempts=attempts)
    setup = OAuthSetup(
        token_path="/token", client_id="fixture-client", refresh_token="fixture-refresh", access_token=OLD,
        expires_in_ms=ends_in_ms,
    )  # fmt: skip
    host = made.host.model_copy(update={"oauth": setup, "parallel": parallel})
    return made.model_copy(update={"exchanges": list(exchanges), "calls": made.calls * calls, "host": host})


@host_check("PRV.70", needs=("providers",))
async def a_token_is_renewed_five_minutes_and_thirty_seconds_early(bench: HostBench) -> None:
    """A second sooner it is used as it is; from then on a new one is fetched first."""
    async with calling(bench) as call:
        for dialect in WORDS:
            (used,) = await call(signed(dialect, asks(dialect, OLD), ends_in_ms=EARLY_MS + 1000))
            (fetched,) = await call(signed(dialect, renews(), asks(dialect, NEW), ends_in_ms=EARLY_MS))
            assert (text(used), text(fetched)) == ("Hi.", "Hi.")


@host_check("PRV.70", "PRV.83", needs=("providers",))
async def a_token_s_life_may_be_told_in_digits(bench: HostBench) -> None:
    """Sixty seconds in a text: the token is renewed before it is used a second time."""
    short = reply(b'{"access_token":"fixture-new","expires_in":"60"}', 200, JSON)
    async with calling(bench) as call:
        for dialect in WORDS:
            found = await call(signed(dialect, renews(short), asks(dialect, NEW), renews(), asks(dialect, NEW), ends_in_ms=0, calls=2))
            assert [text(one) for one in found] == ["Hi.", "Hi."]


@host_check("PRV.71", needs=("providers",))
async def calls_at_once_share_one_renewal(bench: HostBench) -> None:
    """Three calls with a token that has ended: one request for a token, three to the model."""
    async with calling(bench) as call:
        for dialect in WORDS:
            exchanges = [renews(), *[asks(dialect, NEW)] * 3]
            found = await call(signed(dialect, *exchanges, ends_in_ms=0, calls=3, parallel=True))
            assert [text(one) for one in found] == ["Hi."] * 3


@host_check("PRV.72", "PRV.76", needs=("providers",))
async def a_401_renews_the_token_once(bench: HostBench) -> None:
    """The request goes again with a new token, as one attempt; a second 401 is the answer."""
    async with calling(bench) as call:
        for dialect in WORDS:
            rejected = [asks(dialect, OLD, REJECTED), renews()]
            (once,) = await call(signed(dialect, *rejected, asks(dialect, NEW), ends_in_ms=EARLY_MS * 2, attempts=4))
            (twice,) = await call(
                signed(dialect, *rejected, asks(dialect, NEW, REJECTED), ends_in_ms=EARLY_MS * 2, attempts=4)
            )
            assert (text(once), len(once["attempts"])) == ("Hi.", 1)
            kind, _, status, again = failure(twice)
            assert (kind, status, again, len(twice["attempts"])) == ("auth", 401, False, 1)


UNAUTHORIZED: dict[str, Data] = {
    "anthropic-messages": {"type": "error", "error": {"type": "authentication_error", "message": "made up"}},
    "openai-chat": {"error": {"message": "made up", "type": "authentication_error", "code": None}},
    "openai-responses": {"type": "error", "code": "authentication_error", "message": "made up"},
    "gemini": {"error": {"code": 401, "message": "made up", "status": "UNAUTHENTICATED"}},
}


@host_check("PRV.73", needs=("providers",))
async def an_authorization_error_after_output_is_final(bench: HostBench) -> None:
    """The stream had begun: no new token, no second request."""
    async with calling(bench) as call:
        for dialect, words in WORDS.items():
            begun = streamed([*words.opening, filled(words.text, "Half"), UNAUTHORIZED[dialect]])
            (found,) = await call(signed(dialect, asks(dialect, OLD, begun), ends_in_ms=EARLY_MS * 2, attempts=4))
            kind, _, _, again = failure(found)
            assert (kind, again) == ("stream", False)


@host_check("PRV.74", needs=("providers",))
async def a_refused_grant_is_not_asked_for_again(bench: HostBench) -> None:
    """Whatever the refusal is called: the call fails, and the next one without any request."""
    async with calling(bench) as call:
        for dialect in WORDS:
            for status, body in ((400, b'{"error":"invalid_grant"}'), (401, b'{"error":"invalid_client"}'), (403, b"no")):
                refused = renews(reply(body, status, JSON))
                found = await call(signed(dialect, refused, ends_in_ms=0, calls=2, attempts=4))
                assert [(failure(one)[0], failure(one)[3]) for one in found] == [("auth", False)] * 2


@host_check("PRV.75", "PRV.76", needs=("providers",))
async def a_renewal_that_failed_for_now_is_tried_again(bench: HostBench) -> None:
    """408, 429, every 5xx and a lost connection: a retry asks for the token again, and the model was not asked before."""
    failing = [reply(b"<html>busy</html>", status) for status in (408, 429, 500, 501, 502, 503, 504, 505, 520, 529)]
    failing.append(Response(before="refuse"))
    async with calling(bench) as call:
        for number, busy in enumerate(failing):
            dialect = list(WORDS)[number % len(WORDS)]
            made = signed(dialect, renews(busy), renews(), asks(dialect, NEW), ends_in_ms=0, attempts=2)
            (found,) = await call(made)
            assert (text(found), found["waits_ms"], len(found["attempts"])) == ("Hi.", [2000], 2)
