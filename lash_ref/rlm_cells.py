"""Model-written Python in the Monty sandbox: a cell runs whole or changes nothing (extra ``rlm``).

Every cell runs in a worker process of its own that starts from the last good state and is gone when the cell
ends, so nothing that a cell does to its worker outlives it ([RLM.5][], [RLM.6][]). Tools are the sandbox's only way
out: no file, no network. The clock can be read; a cell that sleeps uses up its time.
"""

from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, Final, cast

from lash_ref.code_tools import CodeTools
from lash_ref.protocol import CodeResult
from lash_ref.scalars import U64, Json, Record

LANGUAGE: Final = "python"

class CellLimits(Record, extra="forbid"):
    """What one cell may use."""

    seconds: float = 10.0
    """Of its own computing, and as much again of sleeping; time spent waiting for tools does not count."""
    memory_bytes: U64 = 64 * 1024 * 1024
    recursion: U64 = 200
    tool_calls: U64 = 200
    output_bytes: U64 = 64 * 1024
    state_bytes: U64 = 16 * 1024 * 1024


class _Submitted(Exception):
    """Ends a cell that has said its last word."""


class MontyExecutor:
    """A `CodeExecutor` over the Monty sandbox; its state is the dump after the last cell that ended well."""

    def __init__(self, limits: CellLimits | None = None) -> None:
        """Make an executor with a fresh state.

        Raises:
            ImportError: the sandbox is not installed.
        """
        if find_spec("pydantic_monty") is None:
            raise ImportError("RLM mode needs its extra: pip install 'lash-ref[rlm]' (No module named 'pydantic_monty')")
        self.limits = limits or CellLimits()
        self._state: bytes | None = None
        self._dirty = False

    @property
    def execution_state_dirty(self) -> bool:
        """Whether a cell has ended well since the state was last captured."""
        return self._dirty

    def snapshot(self) -> bytes | None:
        """The state, as the commit keeps it; clears the dirty mark ([RLM.4][])."""
        self._dirty = False
        return self._state

    def restore(self, state: bytes | None) -> None:
        """Take up a committed state; none is a fresh one."""
        self._state = state
        self._dirty = False

    async def execute(self, code: str, language: str, tools: CodeTools) -> CodeResult:
        """Run one cell; whatever it does ends in a result, never in an exception.

        A cell that fails, or uses more than its limits, leaves the state as it was.
        """
        if language != LANGUAGE:
            return CodeResult("", f"cells are written in {LANGUAGE}, found {language!r}")
        from pydantic_monty import AsyncMonty, CollectString, MontyError

        printed = CollectString(max_bytes=self.limits.output_bytes)
        cell = _Cell(tools)
        value: Any = None
        error: str | None = None
        try:
            async with (
                AsyncMonty(max_processes=1, request_timeout=None) as pool,
                pool.checkout(limits=self._resources()) as session,
            ):
                if self._state is not None:
                    await session.load_session(self._state)
                try:
                    value = await session.feed_run(code, external_lookup=cell.names(), print_callback=printed)
                except MontyError as err:
                    error = None if cell.ended else _told(err)
                if error is None:
                    error = await self._keep(session)
        except MontyError as err:
            error = _told(err)
        output = printed.output + (f"{value!r}\n" if value is not None and not cell.ended else "")
        return CodeResult(
            output[: self.limits.output_bytes],
            error,
            final=cell.final if error is None else None,
            failed_with=cell.failed_with if error is None else None,
            tool_call_ids=tuple(cell.call_ids),
        )

    async def _keep(self, session: Any) -> str | None:
        """Take the cell's state for the session's, unless it is too large to commit."""
        dumped = cast("bytes", await session.dump())
        if len(dumped) > self.limits.state_bytes:
            return f"StateTooLarge: at most {self.limits.state_bytes} bytes of variables are kept, found {len(dumped)}"
        self._state = dumped
        self._dirty = True
        return None

    def _resources(self) -> Any:
        return {
            "max_feed_duration_secs": self.limits.seconds,
            "max_memory": self.limits.memory_bytes,
            "max_recursion_depth": self.limits.recursion,
            "max_suspensions": self.limits.tool_calls,
            "max_total_sleep_secs": self.limits.seconds,
        }


def _told(err: Any) -> str:
    """The error as the model is told it: its type, its message, and the line at fault."""
    try:
        return str(err.display("traceback"))
    except TypeError:
        return str(err)


class _Cell:
    """What one run of a cell calls and says."""

    def __init__(self, tools: CodeTools) -> None:
        self.tools = tools
        self.call_ids: list[str] = []
        self.final: Json | None = None
        self.failed_with: Json | None = None

    @property
    def ended(self) -> bool:
        """Whether the cell said its last word."""
        return self.final is not None or self.failed_with is not None

    def names(self) -> dict[str, Callable[..., Any]]:
        """What the cell's code can call."""
        offered: dict[str, Callable[..., Any]] = {name: self._tool(name) for name in self.tools.names}
        return offered | {"submit": self._submit, "submit_error": self._submit_error}

    def _tool(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def tool(*positional: Any, **named: Any) -> Any:
            arguments = dict(zip(self.tools.parameters(name), positional, strict=False)) | named
            number = len(self.call_ids)
            self.call_ids.append("")
            call_id, value = await self.tools.call(number, name, arguments)
            self.call_ids[number] = call_id
            return value

        return tool

    def _submit(self, value: Any = None) -> None:
        if not self.ended:
            self.final = Json(value)
        raise _Submitted("submitted")

    def _submit_error(self, value: Any = None) -> None:
        if not self.ended:
            self.failed_with = Json(value)
        raise _Submitted("submitted an error")
