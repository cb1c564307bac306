"""The judge inside pytest: options, the ``store_target`` fixture by name, and readable comparisons."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast

import pytest

from lash_conformance.check import Check
from lash_conformance.difference import difference
from lash_conformance.host import HostTarget
from lash_conformance.host import load as load_host
from lash_conformance.target import Backend, Capability, Interruptible, Place, StoreTarget, checked, load
from lash_ref.scalars import Record

Made = TypeVar("Made", StoreTarget, HostTarget)

HANG_MARGIN_S = 3.0
"""How long after a check's own deadline a target that blocks the thread is killed."""
FILE_LIMIT_BYTES = 256 * 1024 * 1024
"""What a child may write to one file, so that a flooding target meets an error and not a full disk."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of a judged run."""
    group = parser.getgroup("lash-conformance")
    group.addoption("--lash-target", default=None, help="store target to judge")
    group.addoption("--lash-select", default="*", help="comma-separated clause or check patterns")
    group.addoption("--lash-deadline", default="30", help="seconds an example may take")
    group.addoption("--lash-search", default="", help="seed and scale of the searches")
    group.addoption("--lash-isolate", action="store_true", help="bound what the target may write")


class AsyncFactory:
    """A target made of one async callable that opens a place."""

    def __init__(
        self, opens: Callable[[Place], Awaitable[Backend]], name: str, capabilities: frozenset[Capability]
    ) -> None:
        self.open = opens
        self.name = name
        self.version = "0"
        self.capabilities = capabilities


def target_of(opens: Callable[[Place], Awaitable[Backend]], *capabilities: Capability) -> StoreTarget:
    """A target from an async callable that opens a place, and the capabilities it declares."""
    if not inspect.iscoroutinefunction(opens):
        raise TypeError("a target opens a place with an async function")
    made = AsyncFactory(opens, getattr(opens, "__name__", "target"), frozenset(capabilities))
    return checked(made.name, made)


@pytest.fixture(scope="session")
def store_target(request: pytest.FixtureRequest) -> Iterator[StoreTarget]:
    """The target named by ``--lash-target``; override this fixture in your own suite."""
    yield from _while_used(load(_named(request, "store_target")))


@pytest.fixture(scope="session")
def host_target(request: pytest.FixtureRequest) -> Iterator[HostTarget]:
    """The host named by ``--lash-target``; override this fixture in your own suite."""
    yield from _while_used(load_host(_named(request, "host_target")))


def _named(request: pytest.FixtureRequest, fixture: str) -> str:
    name = request.config.getoption("lash_target")
    if name is None:
        raise pytest.UsageError(f"give --lash-target, or define a {fixture} fixture")
    return cast("str", name)


def _while_used(made: Made) -> Iterator[Made]:
    yield made
    if isinstance(made, Interruptible):
        made.stop()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show the place where two values differ."""
    if op != "==":
        return None
    wanted, found = difference(right, left)
    what = type(left).__name__ if isinstance(left, Record) and type(left) is type(right) else "found"
    return [f"{what} differs" + (" from expected" if what == "found" else ""), f"expected {wanted}", f"found {found}"]


def pytest_configure(config: pytest.Config) -> None:
    """Set what the searches use, and the child's limits."""
    if search := cast("str", config.getoption("lash_search")):
        from lash_conformance import search as searching

        searching.configure(search)
    if config.getoption("lash_isolate") and hasattr(config, "workerinput"):
        _bound_files()


def _bound_files() -> None:
    try:
        import resource
        import signal
    except ImportError:
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT_BYTES, hard))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the selected checks when the judge runs, and give searches the time they may take."""
    from lash_conformance.select import selects

    pattern = cast("str", config.getoption("lash_select"))
    kept: list[pytest.Item] = []
    for item in items:
        spec = cast("Any", getattr(item, "callspec", None))
        made = cast("Check | None", spec.params.get("check") if spec is not None else None)
        if made is None or selects(pattern, made):
            kept.append(item)
        if made is not None and made.kind != "example" and config.getoption("lash_isolate"):
            from lash_conformance.suite import PATIENCE

            deadline = float(cast("str", config.getoption("lash_deadline")))
            item.add_marker(pytest.mark.timeout(PATIENCE[made.kind] * deadline + HANG_MARGIN_S))
    items[:] = kept
