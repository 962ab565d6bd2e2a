"""Google Cloud Storage and Azure Blob Storage, as fake-gcs-server and Microsoft's Azurite speak for them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import buckets
import numbered
import pytest
from buckets import AZURE_ACCOUNT, AZURE_KEY, BUCKET
from program import invoke

import logstats
from logstats.archive.archive import Archive
from logstats.archive.verify import verify
from logstats.errors import SourceError
from logstats.inputs import credentials, discover, object_store
from logstats.inputs.stores import OpenObject

obstore = pytest.importorskip("obstore")

ROOT = Path(__file__).parent.parent
SAMPLE = (ROOT / "sample_logs" / "combined_time.log").read_bytes()
SERVERS = {"gs": buckets.fake_gcs, "az": buckets.azurite}


@pytest.fixture(scope="module", params=SERVERS)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket of each, whose place and credentials the environment says."""
    server = SERVERS[request.param](tmp_path_factory.mktemp(request.param))
    with server as environment, pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        object_store.connect.cache_clear()
        bucket = object_store.connect(request.param, BUCKET, None)
        for key, data in {
            "web/a.log": SAMPLE,
            "web/2025/b.log.gz": gzip.compress(SAMPLE),
            "web/2025/c d%20é.log": SAMPLE,
            "large.log": SAMPLE * 20,
        }.items():
            bucket.put(key, data, key)
        yield f"{request.param}://{BUCKET}"
    object_store.connect.cache_clear()


def report(*arguments: str) -> tuple[set[str], dict[str, object]]:
    ran = invoke("report", "-q", "-o", "json", *arguments)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    return {source["name"].partition(f"//{BUCKET}/")[2] for source in found["sources"]}, found


def test_keys_globs_and_what_is_packed(cloud: str) -> None:
    whole = logstats.report(ROOT / "sample_logs" / "combined_time.log")
    for argument, expected in {
        "web/a.log": {"web/a.log"},
        "web/2025/*.gz": {"web/2025/b.log.gz"},
        "web/**/*.log": {"web/a.log", "web/2025/c d%20é.log"},
        "web/": {"web/a.log", "web/2025/b.log.gz", "web/2025/c d%20é.log"},
    }.items():
        names, found = report(f"{cloud}/{argument}")
        assert names == expected
        assert found["requests"] == whole.requests * len(expected) and found["bytes"] == whole.bytes * len(expected)
    ran = invoke("report", f"{cloud}/none.log")
    assert ran.returncode == 1 and b"there is no such object" in ran.stderr


def test_stretches_of_an_object_are_the_object(cloud: str, tmp_path: Path) -> None:
    (tmp_path / "large.log").write_bytes(SAMPLE * 20)
    ((source,), _) = discover([f"{cloud}/large.log"])
    opened = OpenObject(source)
    assert opened.seek(1000) and opened.read(3000) == (SAMPLE * 20)[1000:4000]
    assert opened.at(len(SAMPLE) * 20 - 5, 100) == SAMPLE[-5:]
    asked = []
    for log in (f"{cloud}/large.log", str(tmp_path / "large.log")):
        _, found = report(log, "--by=status")
        del found["generated_at"], found["sources"]
        asked.append(json.dumps(found).replace(log, "large.log"))
    assert asked[0] == asked[1]


def test_an_object_that_is_written_anew_is_an_error(cloud: str) -> None:
    """Of a listing and of a single key: the versions of both are conditions of each request."""
    scheme = cloud.partition(":")[0]
    if scheme == "gs":
        pytest.skip("fake-gcs-server does not heed If-Match")
    bucket = object_store.connect(scheme, BUCKET, None)
    bucket.put("changes/one.log", SAMPLE, "one")
    named, listed = (discover([f"{cloud}/changes/{key}"])[0][0] for key in ("one.log", "*.log"))
    assert OpenObject(listed).whole() == OpenObject(named).whole() == SAMPLE
    bucket.put("changes/one.log", SAMPLE[::-1], "one")
    for source in (named, listed):
        with pytest.raises(SourceError, match="written anew"):
            OpenObject(source).whole()


def test_an_archive(cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sixteen writers one wins; and what is asked is answered as by an archive in a folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.log").write_bytes(numbered.log(0, 500))
    asked = []
    for archive in (f"{cloud}/of/archive", str(tmp_path / "archive")):
        for command in (
            ["init", archive],
            ["add", str(tmp_path / "a.log"), "--archive", archive],
            ["add", str(tmp_path / "a.log"), "--archive", archive],
            ["tier", "--archive", archive, "--now", "2030-01-01", "--grace", "0h"],
        ):
            ran = invoke("archive", *command)
            assert ran.returncode == 0, ran.stderr
        _, found = report("--archive", archive)
        del found["generated_at"]
        query = invoke(
            "query",
            "SELECT tier, status, count(*) AS n FROM logs GROUP BY ALL ORDER BY ALL",
            "--archive",
            archive,
            "-o",
            "csv",
        )
        assert query.returncode == 0 and not list(verify(Archive.open(archive)))
        asked.append((found, query.stdout))
    assert asked[0] == asked[1]
    assert asked[0][0]["requests"] == 500


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without credentials."""
    for name in os.environ:
        if name.startswith(("AZURE_", "GOOGLE_", "STORAGE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    object_store.connect.cache_clear()


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_KEY": "Zm9v"}, {"account_name": "a", "account_key": "Zm9v"}),
        ({"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_SAS_TOKEN": "sv=1"}, {"account_name": "a"}),
        ({"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}, {"use_emulator": True}),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=https;AccountName={AZURE_ACCOUNT};"
             f"AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net"},
            {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY,
             "endpoint": f"https://{AZURE_ACCOUNT}.blob.core.windows.net"},
        ),
        (
            {"AZURE_STORAGE_CONNECTION_STRING":
             "BlobEndpoint=https://one.blob.core.windows.net/;SharedAccessSignature=sv=2022-11-02&sig=a%3D"},
            {"account_name": "one", "sas_key": "sv=2022-11-02&sig=a%3D", "endpoint": "https://one.blob.core.windows.net"},
        ),
    ],
)  # fmt: skip
def test_azure_is_found_as_its_own_tools_find_it(
    environment: dict[str, str], expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft, "Authorize access to blob data with Azure CLI" and "Configure Azure Storage connection strings"."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert credentials.settings("az", None) == expected


@pytest.mark.usefixtures("bare")
def test_a_connection_string_without_an_account_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=secret")
    ran = invoke("report", f"az://{BUCKET}/a.log")
    assert ran.returncode == 1 and b"it names no account" in ran.stderr and b"secret" not in ran.stderr


@pytest.mark.usefixtures("bare")
def test_the_folder_of_gcloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    assert credentials.settings("gs", None) == {}
    login = tmp_path / "application_default_credentials.json"
    login.write_text("{}", encoding="utf-8")
    assert credentials.settings("gs", None) == {"application_credentials": str(login)}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:9023")
    assert credentials.settings("gs", None)["base_url"] == "http://localhost:9023"
