"""Attachments as each dialect carries them: bytes, an address that the provider fetches, or a file that it keeps."""

import base64
from typing import Any, Final

from lash_ref.dialect import unrepresentable
from lash_ref.inputs import AttachmentSource, ExternalUrlSource, InlineSource, ProviderFileSource

_OWN: Final = {
    "anthropic-messages": {"anthropic", "anthropic-messages"},
    "openai-chat": set[str](),
    "openai-responses": {"openai", "openai-responses"},
    "gemini": {"gemini", "google", "google_oauth"},
}
"""Providers whose files a dialect can name; Chat has no word for a file."""

_PICTURES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What Anthropic's schema has for a picture."""


def anthropic_block(source: AttachmentSource) -> dict[str, Any]:
    """A picture or a PDF.

    Raises:
        ProviderFailure: it is neither, or cannot be carried.
    """
    sent, media = _carried(source, "anthropic-messages")
    shape = "image" if media in _PICTURES else "document" if media == "application/pdf" else ""
    if not shape:
        raise unrepresentable(f"attachment_{media}", "anthropic-messages")
    match sent:
        case InlineSource():
            return {"type": shape, "source": {"type": "base64", "media_type": media, "data": _base64(sent)}}
        case ExternalUrlSource():
            return {"type": shape, "source": {"type": "url", "url": sent.url}}
        case ProviderFileSource():
            return {"type": shape, "source": {"type": "file", "file_id": sent.id}}


def image_url(source: AttachmentSource) -> str:
    """A picture's address, its bytes inline where it has no other.

    Raises:
        ProviderFailure: it is no picture, or cannot be carried.
    """
    sent, media = _carried(source, "openai-chat")
    if not media.startswith("image/"):
        raise unrepresentable(f"attachment_{media}", "openai-chat")
    return _url(sent)


def responses_item(source: AttachmentSource) -> dict[str, Any]:
    """A picture or a file; sound and film have no place.

    Raises:
        ProviderFailure: it has none, or cannot be carried.
    """
    sent, media = _carried(source, "openai-responses")
    if isinstance(sent, ProviderFileSource):
        return {"type": "input_file", "file_id": sent.id}
    if media.startswith("image/"):
        return {"type": "input_image", "image_url": _url(sent)}
    if not media.startswith(("application/", "text/")):
        raise unrepresentable(f"attachment_{media}", "openai-responses")
    return {"type": "input_file", "file_url" if isinstance(sent, ExternalUrlSource) else "file_data": _url(sent)}


def gemini_part(source: AttachmentSource) -> dict[str, Any]:
    """Media of any type.

    Raises:
        ProviderFailure: it cannot be carried.
    """
    sent, media = _carried(source, "gemini")
    if isinstance(sent, InlineSource):
        return {"inlineData": {"mimeType": media, "data": _base64(sent)}}
    if isinstance(sent, ProviderFileSource):
        return {"fileData": {"fileUri": sent.id} | ({"mimeType": media} if media else {})}
    return {"fileData": {"mimeType": media, "fileUri": sent.url}}


def _carried(source: AttachmentSource, kind: str) -> tuple[InlineSource | ExternalUrlSource | ProviderFileSource, str]:
    """What a request can carry, and its media type; stored bytes were not resolved by the session."""
    match source:
        case InlineSource() | ExternalUrlSource():
            return source, source.media_type
        case ProviderFileSource() if source.provider_scope.provider.lower() in _OWN[kind]:
            return source, source.media_type or ""
        case _:
            raise unrepresentable(f"{source.source}_attachment", kind)


def _url(sent: InlineSource | ExternalUrlSource | ProviderFileSource) -> str:
    match sent:
        case InlineSource():
            return f"data:{sent.media_type};base64,{_base64(sent)}"
        case ExternalUrlSource():
            return sent.url
        case ProviderFileSource():
            return sent.id


def _base64(sent: InlineSource) -> str:
    return base64.b64encode(sent.bytes).decode("ascii")
