"""`logstats-daily.service`, run with its own settings: a user that nobody knows, no home, a system that is read-only.

Systemd is not what CI runs on, so the settings of the unit are applied as systemd documents them (systemd.exec(5)),
by unshare, mount and setpriv.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "scripts" / "logstats-daily.service"
STRANGER = 61_234  # no uid of passwd
# What is not about what the process may do.
WITHOUT_EFFECT = {"type", "environmentfile", "nice", "ioschedulingclass"}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux"
    or os.geteuid() != 0
    or not (shutil.which("unshare") and shutil.which("setpriv"))
    or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs Linux, root, unshare and setpriv",
)


def settings() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(UNIT, encoding="utf-8")
    return unit["Service"]


def namespace(unit: configparser.SectionProxy, state: Path) -> list[str]:
    """Shell commands that make of a mount namespace of its own what the unit asks for."""
    hidden = []
    done = ["mount --make-rprivate /"]
    for key, value in unit.items():
        match key, value:
            case "protecthome", "yes":
                hidden += ["/home", "/root", "/run/user"]
            case "privatetmp", "yes":
                hidden += ["/tmp", "/var/tmp"]
            case "protectsystem", "full":
                done += [f"[ ! -d {d} ] || (mount --bind {d} {d} && mount -o remount,bind,ro {d})" for d in READ_ONLY]
            case "statedirectory", name:
                done += [f"mkdir -p /var/lib/{name}", f"mount --bind {shlex.quote(str(state))} /var/lib/{name}"]
            case (("execstart" | "user"), _):
                pass  # see below
            case _:
                assert key in WITHOUT_EFFECT, f"{key}={value}: what does that mean?"
    # A checkout and an interpreter that lie in what is hidden stay in sight: an installed program would not lie there.
    kept = [
        str(place) for place in (ROOT, Path(sys.base_prefix), Path(sys.prefix)) if str(place).startswith(tuple(hidden))
    ]
    for number, place in enumerate(kept):
        done += [f"mkdir -p /mnt/kept{number}", f"mount --bind {shlex.quote(place)} /mnt/kept{number}"]
    # Mounts below /mnt are of this namespace; their mount points are made in a file system of its own.
    done.insert(1, "mount -t tmpfs tmpfs /mnt")
    done += [f"[ ! -d {place} ] || mount -t tmpfs -o mode=1777 tmpfs {place}" for place in hidden]
    for number, place in enumerate(kept):
        done += [f"mkdir -p {shlex.quote(place)}", f"mount --bind /mnt/kept{number} {shlex.quote(place)}"]
    return done


READ_ONLY = ("/usr", "/boot", "/etc")


def test_the_unit_runs(tmp_path: Path) -> None:
    unit = settings()
    assert unit["ExecStart"] == "/usr/local/bin/logstats-daily"
    state, log = tmp_path / "state", tmp_path / "state" / "access.log"
    state.mkdir()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    sample = (ROOT / "sample_logs" / "combined_time.log").read_text(encoding="utf-8")
    log.write_text(sample.replace("17/Jan/2025", f"{yesterday:%d/%b/%Y}"), encoding="utf-8")
    for place in (state, log):
        os.chown(place, STRANGER, STRANGER)
    program = [sys.executable, "-m", "logstats"]
    shim = state / "logstats"  # the program as one file, as an installation has it
    shim.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = {
        "PATH": "/usr/bin:/bin",  # systemd gives no HOME for a user that passwd does not know
        "PYTHONPATH": str(ROOT),
        "LOGSTATS": "/var/lib/logstats/logstats",
        "LOGSTATS_LOGS": "/var/lib/logstats/access.log",
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    user = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--no-new-privs"]
    last = shlex.join([*user, "env", "-i", *words, "/bin/sh", str(ROOT / "scripts" / "logstats-daily")])
    script = "\n".join(["set -e", *namespace(unit, state), "cd /", f"exec {last}"])
    ran = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=120)
    with contextlib.suppress(OSError):
        Path("/var/lib/logstats").rmdir()  # the mount point, if it was made for this
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert "an archive; its lifecycle.toml" in ran.stderr  # which it is told once, and nothing else
    assert len(ran.stderr.splitlines()) == 2
    page = state / "reports" / f"report-{yesterday:%Y-%m-%d}.html"
    assert "<dd>897</dd>" in page.read_text(encoding="utf-8")
    assert page.stat().st_uid == STRANGER
