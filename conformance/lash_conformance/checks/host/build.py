"""Checks of building cores ([BLD.1] to [BLD.14])."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import CoreSpec, Data
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import exchange, opened, refusal, refused, say, transcript

PEERS = {"attachment_store": "attachment", "process_env_store": "env"}
"""What must be durable beside a durable session store, and a word by which a host names it."""


async def _without(bench: HostBench, *facets: Any, **parts: Any) -> Any:
    """An attempt to build a core that lacks these facets."""
    return await bench.build(CoreSpec(without=facets, **parts))


@host_check("BLD.1")
async def a_core_needs_a_protocol(bench: HostBench) -> None:
    """Building without one is refused by name."""
    await refusal("MissingProtocolPlugin", _without(bench, "protocol_plugin"))


@host_check("BLD.2")
async def a_core_needs_a_model(bench: HostBench) -> None:
    """Building without one is refused by name."""
    await refusal("MissingModelSpec", _without(bench, "model"))


@host_check("BLD.3")
async def a_core_needs_its_facets(bench: HostBench) -> None:
    """Each of the three that nothing stands in for is refused by its own name."""
    await refusal("MissingEffectHost", _without(bench, "effect_host"))
    await refusal("MissingAttachmentStore", _without(bench, "attachment_store"))
    await refusal("MissingProcessEnvStore", _without(bench, "process_env_store"))


@host_check("BLD.4")
async def a_durable_store_needs_durable_peers(bench: HostBench) -> None:
    """Each ephemeral facet beside a durable session store is named."""
    for facet, word in PEERS.items():
        durable = ("session_store", *(peer for peer in PEERS if peer != facet))
        err = await refusal("DurableStorePeerRequired", bench.build(CoreSpec(durable=durable)))
        assert word in str(err.fields.get("facet"))


@host_check("BLD.15")
async def a_durable_controller_needs_durable_peers(bench: HostBench) -> None:
    """A turn that is recorded beside a store that is not durable is refused before the model is asked."""
    core = await bench.core(journal=True)
    session = await opened(core)

    await refused(say(session, "hi", turn_id="t1"), "durable")

    assert await core.requests() == []


@host_check("BLD.5", needs=("processes",))
async def a_durable_registry_needs_a_durable_store(bench: HostBench) -> None:
    """Beside an ephemeral session store it is refused."""
    await refusal(
        "DurableProcessRegistryRequiresStoreFactory", bench.build(CoreSpec(registry="durable"))
    )


@host_check("BLD.6", needs=("processes",))
async def a_registry_needs_a_store_factory(bench: HostBench) -> None:
    """Without a factory it is refused by name."""
    await refusal("ProcessRegistryRequiresStoreFactory", bench.build(CoreSpec(store="none", registry="inline")))


@host_check("BLD.7")
async def an_ephemeral_core_builds(bench: HostBench) -> None:
    """With every facet explicit and nothing durable, and it opens sessions."""
    core = await bench.build(CoreSpec(store="none"))

    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    assert await transcript(session) == ["user: hi", "assistant: hello"]


@host_check("BLD.8", needs=("processes",))
async def the_concurrency_is_judged_first(bench: HostBench) -> None:
    """0 is refused by its own name, also on a core that lacks everything else."""
    lacking = CoreSpec(process_concurrency=0, without=("protocol_plugin", "model", "effect_host"))

    await refusal("ProcessExecutionConcurrency", bench.build(lacking))


@host_check("BLD.9")
async def a_model_has_limits(bench: HostBench) -> None:
    """A context window of 0 is refused, as is an output capacity of 0; 1 is accepted."""
    for window, output in ((0, None), (8000, 0)):
        await refusal("InvalidRecord", bench.pure("model_spec", {"id": "m", "window": window, "output": output}))

    assert await bench.pure("model_spec", {"id": "m", "window": 1, "output": 1}) == {
        "id": "m", "limits": {"context_window_tokens": 1, "output_token_capacity": 1}, "variant": "provider_default",
    }  # fmt: skip


@host_check("BLD.10")
async def a_lease_outlives_two_missed_renewals(bench: HostBench) -> None:
    """A time below three renewals is refused; three are accepted."""
    await refusal("InvalidRecord", bench.build(CoreSpec(lease_ttl_ms=29_999, lease_renew_ms=10_000)))

    await bench.build(CoreSpec(lease_ttl_ms=30_000, lease_renew_ms=10_000))


@host_check("BLD.11", needs=("clock",))
async def the_default_lease_is_thirty_seconds(bench: HostBench) -> None:
    """A core that says nothing claims the lane for 30000 ms."""
    core = await bench.core(lease_ttl_ms=None, lease_renew_ms=None)
    await exchange(core, await opened(core), "hi", "hello")

    ttls = [call.arguments[2] for call in await bench.sent(core, "try_claim_session_execution_lease")]
    assert set(ttls) == {30_000}


@host_check("BLD.12")
async def wiring_errors_are_final(bench: HostBench) -> None:
    """Each says that no repeat can help."""
    for facet in ("protocol_plugin", "model", "effect_host", "attachment_store"):
        err = await refused(_without(bench, facet))
        told: Data = {"code": err.code, "fields": err.fields}
        assert await bench.pure("is_terminal", told) is True
        assert await bench.pure("is_retryable", told) is False


@host_check("BLD.13")
async def tools_have_one_surface(bench: HostBench) -> None:
    """A tool of the core and one of a plugin are offered to the model together."""
    core = await bench.core("counter", tools=("echo",))
    session = await opened(core)
    await exchange(core, session, "hi", "hello")

    assert sorted(await session.read("active_tools")) == ["count", "echo"]
    assert sorted((await core.requests())[0]["tools"]) == ["count", "echo"]


@host_check("BLD.14")
async def a_mode_must_be_installed(bench: HostBench) -> None:
    """A session that asks for one the core lacks is refused by name; the installed one opens."""
    core = await bench.core()

    await refusal("ModeNotInstalled", opened(core, "s1", mode="moon"), mode="moon")

    assert await (await opened(core, "s1", mode="standard")).read("session_id") == "s1"
