"""The reasons for rejected lines, in words."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "unbalanced_quote": "a quote is not closed",
    "missing_field": "it ends too early, or is of another format",
    "trailing_text": "there is more after the last field",
    "no_fields_directive": "no #Fields line says what its columns are",
    "unexpected_text": "it is of another format",
    "no_match": "it is of another format",
    "bad_client_ip": "where the client should stand there is no address",
    "bad_user_id": "where the user should stand there is something else",
    "bad_host": "where the host should stand there is no host name",
    "bad_ident": "where the identity should stand there is something else",
    "bad_status": "the status is not a number of three digits",
    "other_format": "its keys are those of another format",
    "not_json": "it is not JSON",
    "not_an_object": "it is JSON, but not an object",
    "no_pairs": "it has no key=value",
    "no_known_fields": "no request and no message in it",
    "too_long": "it is longer than 4 MiB",
    "unknown_format": "no format reads it",
}


def describe_reason(reason: str) -> str:
    """A reason for a rejected line, in words."""
    return REASONS.get(reason, "it cannot be read")
