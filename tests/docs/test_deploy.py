"""Files for deploying, as far as that goes without the engines that read them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages
from tests.service.serving import serving
from tests.store.places import Place

ROOT = pages.DOCS.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def last(instruction: str) -> str:
    """What the image's last stage says, which alone counts."""
    stage = DOCKERFILE.rpartition("\nFROM ")[2]
    found: list[str] = re.findall(rf"^{instruction} ((?:.*\\\n)*.*)$", stage, re.MULTILINE)
    return found[-1]


def test_the_image_is_made_of_what_is_there() -> None:
    """All that is copied exists, and is let through to the builder; nothing runs as root."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [word for line in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert {"src", "pyproject.toml", "requirements/run.txt"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name.partition('/')[0]}" in ignored
    assert last("USER") not in ("root", "0")
    assert (json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))) == (["sojourn"], ["serve"])


def test_the_image_says_whether_it_is_well(tmp_path: Path) -> None:
    """Its health check passes where the service is ready, and fails where nobody is."""
    command = json.loads(re.sub(r".*CMD ", "", last("HEALTHCHECK"), flags=re.DOTALL))
    assert command[0] == "python"
    with serving(Place(tmp_path / "home").open()) as client:
        told = {**os.environ, "SOJOURN_PORT": str(client.base_url.port)}
        assert subprocess.run([sys.executable, *command[1:]], env=told, check=False).returncode == 0
    assert subprocess.run([sys.executable, *command[1:]], env=told, stderr=subprocess.DEVNULL, check=False).returncode


def test_the_compose_file_runs_the_service_beside_postgresql() -> None:
    """Version 18, its data where the image keeps them, and secrets from the environment alone."""
    text = (ROOT / "compose.yaml").read_text()
    assert re.search(r"image: postgres:18$", text, re.MULTILINE)
    assert "- database:/var/lib/postgresql\n" in text
    assert set(re.findall(r"\$\{(\w+):\?", text)) == {"POSTGRES_PASSWORD", "SOJOURN_TOKENS"}
    assert "condition: service_healthy" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a command that exists it has nothing to say."""
    text = (ROOT / "deploy" / "sojourn.service").read_text()
    unit = tmp_path / "sojourn.service"
    unit.write_text(text.replace("/opt/sojourn/bin/sojourn ", "/bin/true "))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit.write_text(text.replace("/opt/sojourn/bin/sojourn ", "/bin/true ").replace("DynamicUser=", "DynamicUsr="))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "DynamicUsr" in done.stderr, "the control: a mistake is found"
