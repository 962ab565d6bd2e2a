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
    "bad_time": "where the time should stand there is something else",
    "bad_size": "where the size should stand there is something else",
    "bad_status": "the status is not a number of three digits",
    "other_format": "it looks otherwise than this format has it",
    "bad_method": "where the method should stand there is none",
    "bad_protocol": "where the protocol should stand there is none",
    "not_json": "it is not JSON",
    "not_an_object": "it is JSON, but not an object",
    "no_pairs": "it has no key=value",
    "no_known_fields": "no request and no message in it",
    "too_long": "it is longer than 4 MiB",
    "unknown_format": "no format reads it",
}


# Why a format is not the one that lines have (`formats detect`); {} is a value or a name.
VERDICTS: Final = {
    "no_fingerprint": "it has none of the keys that only this format has: {}",
    "foreign_key": "it has {}, which another format has",
    "no_request": "there is no request in it",
    "behaviour": "the numbers in it look like {}, not like durations",
    "other_format": "{} does not look as this format has it",
    "less_specific": "it reads the same lines, but {} is more specific",
    "fewer_lines": "it reads fewer lines than {}",
    "fewer_fields": "it reads fewer fields than {}",
    "odd_durations": "the durations would be less likely ones than with {}",
    "other_name": "it reads them as {} does",
}


def describe_verdict(reason: str, value: str = "") -> str:
    """Why a format is not the one that lines have, in words."""
    return VERDICTS[reason].format(value) if value and reason in VERDICTS else describe_reason(reason)


def describe_reason(reason: str) -> str:
    """A reason for a rejected line, in words."""
    return REASONS.get(reason, "it cannot be read")
