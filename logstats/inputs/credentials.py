"""Where a store is and who asks: settings for obstore, found where each cloud's own tools find them.

obstore reads many variables of the environment itself. What is made here is what it does not know: the profiles of AWS
in their files, the variables of the Azure CLI, the folder of gcloud, and the emulators of both.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

from logstats.errors import SourceError

HINTS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE in ~/.aws, the role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, the account of the machine",
    "az": "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, "
    "`az login`, the identity of the machine",
}
_OWN_AZURE: Final = (  # of obstore's variables, those that say who asks
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_IDENTITY_ENDPOINT",
    "AZURE_MSI_ENDPOINT",
)


def settings(scheme: str, address: str | None) -> dict[str, Any]:
    """The settings of a store of a scheme; `address` is of one that speaks S3 and is not AWS. Raises SourceError."""
    if scheme == "s3":
        return _s3(address)
    return _google() if scheme == "gs" else _azure() if scheme == "az" else {}


def _s3(address: str | None) -> dict[str, Any]:
    """The environment first, then the files of a profile."""
    import configparser

    made: dict[str, Any] = {"disable_bulk_delete": True}  # which not every store has
    if address:
        made |= {"endpoint": address, "virtual_hosted_style_request": False}
    profile = os.environ.get("AWS_PROFILE", "default")
    folder = Path.home() / ".aws"
    keys, own = configparser.RawConfigParser(), configparser.RawConfigParser()
    try:
        keys.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", folder / "credentials"), encoding="utf-8")
        own.read(os.environ.get("AWS_CONFIG_FILE", folder / "config"), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise SourceError("~/.aws", f"the settings cannot be read: {words}", "mend them") from None
    if "AWS_ACCESS_KEY_ID" not in os.environ and keys.has_section(profile):
        for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
            if name in keys[profile]:
                made[name] = keys[profile][name]
    section = profile if profile == "default" else f"profile {profile}"
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = region or (own[section].get("region") if own.has_section(section) else None)
    return {**made, **({"region": region} if region else {})}


def _google() -> dict[str, Any]:
    """STORAGE_EMULATOR_HOST is where Google's clients find an emulator, CLOUDSDK_CONFIG the folder of gcloud."""
    if host := os.environ.get("STORAGE_EMULATOR_HOST"):
        address = host if "://" in host else f"http://{host}"
        return {"base_url": address.rstrip("/"), "bearer_token": "nobody"}  # an emulator asks nobody who they are
    folder = os.environ.get("CLOUDSDK_CONFIG")
    if folder and "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ:
        login = Path(folder) / "application_default_credentials.json"
        return {"application_credentials": str(login)} if login.is_file() else {}
    return {}


def _azure() -> dict[str, Any]:
    """The variables of the Azure CLI; without any, its login. Raises SourceError."""
    environment = os.environ
    if text := environment.get("AZURE_STORAGE_CONNECTION_STRING"):
        return _connection(text)
    found = {
        "account_name": environment.get("AZURE_STORAGE_ACCOUNT"),
        "account_key": environment.get("AZURE_STORAGE_KEY"),
    }
    made: dict[str, Any] = {name: value for name, value in found.items() if value}
    known = "account_key" in made or any(name in environment for name in _OWN_AZURE)
    folder = Path(environment.get("AZURE_CONFIG_DIR") or Path.home() / ".azure")
    if not known and (folder / "azureProfile.json").is_file() and shutil.which("az"):
        made["use_azure_cli"] = True
    return made


def _connection(text: str) -> dict[str, Any]:
    """The settings of a connection string: `AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net`."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    found = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if found.get("usedevelopmentstorage", "").lower() == "true":
        return {"use_emulator": True}
    names = {"accountname": "account_name", "accountkey": "account_key", "sharedaccesssignature": "sas_key"}
    made: dict[str, Any] = {own: found[name] for name, own in names.items() if found.get(name)}
    if not made or not {"account_name", "sas_key"} & made.keys():
        raise SourceError(
            "AZURE_STORAGE_CONNECTION_STRING",
            "it names no account",
            "copy it from the portal: AccountName=…;AccountKey=…",
        )
    endpoint = found.get("blobendpoint")
    if "account_name" not in made and endpoint:
        made["account_name"] = endpoint.partition("://")[2].partition(".")[0]
    if endpoint:
        made["endpoint"] = endpoint.rstrip("/")
    elif suffix := found.get("endpointsuffix"):
        protocol = found.get("defaultendpointsprotocol") or "https"
        made["endpoint"] = f"{protocol}://{made.get('account_name')}.blob.{suffix}"
    return made
