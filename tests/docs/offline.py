"""Commands with the network cut: in a network namespace of their own where the kernel lets us, else by refusing sockets."""

import subprocess
import sys
from pathlib import Path

NAMESPACE = ["unshare", "--map-root-user", "--net"]
REFUSAL = """
import socket

def refused(*_, **__):
    raise OSError("the network is cut")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refused
socket.create_connection = socket.getaddrinfo = refused
"""


def cut(folder: Path) -> tuple[list[str], dict[str, str]]:
    """What to put before a command and into its environment, so that it reaches nobody."""
    try:
        allowed = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        allowed = False
    if allowed:
        return NAMESPACE, {}
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(REFUSAL, encoding="utf-8")
    return [], {"PYTHONPATH": f"{folder}"}


def reaches(port: int, prefix: list[str], env: dict[str, str]) -> bool:
    """Whether a command run so can connect to a server that listens on this machine."""
    probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=30)"
    return subprocess.run([*prefix, sys.executable, "-c", probe], env=env, capture_output=True, check=False, timeout=120).returncode == 0
