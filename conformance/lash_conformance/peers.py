"""The same turns on other runtimes (extra ``peers``), for numbers side by side; imported when asked for."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MISSING = "langgraph is not installed, so it is not measured: pip install 'lash-ref[peers]'"


def langgraph_installed() -> bool:
    """Whether langgraph and its SQLite saver can be imported."""
    return find_spec("langgraph") is not None and find_spec("aiosqlite") is not None


@contextlib.asynccontextmanager
async def langgraph_chat(
    folder: Path, said: str, answer: str
) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """One chat on langgraph's AsyncSqliteSaver with a model that answers at once; each call runs a turn.

    Raises:
        ImportError: the extra is not installed.
    """
    graph: Any = import_module("langgraph.graph")
    saving: Any = import_module("langgraph.checkpoint.sqlite.aio")
    spoken: Any = import_module("langchain_core.messages")

    async def model(state: Any) -> Any:
        del state
        return {"messages": [spoken.AIMessage(content=answer)]}

    drawn = graph.StateGraph(graph.MessagesState)
    drawn.add_node("model", model)
    drawn.add_edge(graph.START, "model")
    drawn.add_edge("model", graph.END)
    async with saving.AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as saver:
        app = drawn.compile(checkpointer=saver)
        thread = {"configurable": {"thread_id": "s1"}}

        async def turn() -> object:
            return await app.ainvoke({"messages": [spoken.HumanMessage(content=said)]}, thread)

        yield turn
