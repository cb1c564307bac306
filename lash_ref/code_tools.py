"""How model-written code calls a turn's tools."""

import json
from collections.abc import Sequence
from typing import Any

from lash_ref.dispatch import ToolDispatch
from lash_ref.provider import ToolCallPart
from lash_ref.tool_results import Success


class CodeTools:
    """A turn's tools as model-written code may call them."""

    def __init__(self, dispatch: ToolDispatch, effect_id: int) -> None:
        self._dispatch = dispatch
        self._effect_id = effect_id

    @property
    def names(self) -> Sequence[str]:
        """Tools that the turn offers."""
        return [member.name for member in self._dispatch.members]

    def parameters(self, name: str) -> Sequence[str]:
        """The tool's parameters in the order of its schema, for positional arguments."""
        contract = self._dispatch.registry.resolve_contract(name)
        schema: Any = contract.input_schema.value if contract is not None else {}
        return list(schema.get("properties", {}))

    async def call(self, number: int, name: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        """Call one tool as any turn would; answers its call id and its value.

        Raises:
            RuntimeError: the tool failed; the message is what a model reads.
        """
        call_id = f"{self._dispatch.turn_id}:code:{self._effect_id}:{number}"
        part = ToolCallPart(call_id=call_id, tool_name=name, input_json=json.dumps(arguments))
        answer = await self._dispatch.run_cell(f"{self._effect_id}.{number}", part)
        if isinstance(answer.output.outcome, Success):
            return call_id, answer.output.outcome.payload.value
        raise RuntimeError(answer.output.model_text())
