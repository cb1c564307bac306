"""A target that misbehaves in the way it is told; plain Python, so that it starts at once.

It speaks the wire well enough to hold one empty session, and does its mischief when a node is loaded,
unless the mischief belongs to the start or the end.
"""

import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1]
REST = 3600


def raw(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def send(**message: object) -> None:
    raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def sleeper(**options: object) -> None:
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({REST})"], **options)


def mischief(number: int) -> bool:
    """What is done instead of answering; whether the request is to be answered as well."""
    match MODE:
        case "hangs_in_a_call" | "answers_late":
            time.sleep(REST)
        case "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "segfaults":
            print("about to fault", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exits_in_a_call":
            os._exit(0)
        case "half_a_line_then_hangs":
            raw(b'{"jsonrpc":"2.0","id":')
            time.sleep(REST)
        case "half_a_line_then_exits":
            raw(b'{"jsonrpc":"2.0","id":')
            os._exit(0)
        case "seventeen_mebibytes":
            raw(b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * (17 << 20) + b'"}\n')
        case "line_without_end":
            while True:
                raw(b"x" * 65536)
        case "answers_twice":
            send(id=number, result=None)
        case "wrong_id":
            send(id=number + 1000, result=None)
            return False
        case "old_id":
            send(id=1, result=None)
            return False
        case "text_id":
            send(id=str(number), result=None)
            return False
        case "null_id":
            send(id=None, error={"code": -32700, "message": "what?"})
            return False
        case "wrong_type":
            send(id=number, result=42)
            return False
        case "wrong_record":
            send(id=number, result={"kind": "event", "node_id": 7})
            return False
        case "noise":
            raw(b"loading node\n")
        case "blank_line":
            raw(b"\n")
        case "no_utf8":
            raw(b'{"jsonrpc":"2.0","id":%d,"result":"\xff"}\n' % number)
            return False
        case "nan":
            raw(b'{"jsonrpc":"2.0","id":%d,"result":NaN}\n' % number)
            return False
        case "deep":
            raw(b'{"jsonrpc":"2.0","id":%d,"result":' % number + b"[" * 200_000 + b"]" * 200_000 + b"}\n")
            return False
        case "both":
            send(id=number, result=None, error={"code": 1, "message": ""})
            return False
        case "neither":
            send(id=number)
            return False
        case "a_list":
            raw(b"[]\n")
        case "unknown_error":
            send(id=number, error={"code": 1, "message": "", "data": {"error": "Tired", "fields": {}}})
            return False
        case "error_without_fields":
            send(id=number, error={"code": 1, "message": "", "data": {"error": "UnreadableRecord", "fields": {}}})
            return False
        case "says_it_is_broken":
            send(id=number, error={"code": -32603, "message": "index out of range"})
            return False
        case "blames_the_judge":
            send(id=number, error={"code": -32601, "message": "no such method"})
            return False
        case "does_not_know":
            send(id=number, error={"code": 3, "message": "the server went away"})
            return False
        case "floods_errors":
            for _ in range(4096):
                os.write(2, b"y" * 4096)
        case "floods_both":
            while True:
                os.write(2, b"y" * 4096)
                send(id=number, result=None)
        case "closes_output":
            os.close(1)
            time.sleep(REST)
        case "grandchild_keeps_the_pipe":
            sleeper()
            os._exit(1)
        case "grandchild_leaves_the_group":
            sleeper(start_new_session=True)
            time.sleep(REST)
    return True


def main() -> None:
    match MODE:
        case "hangs_at_start":
            time.sleep(REST)
        case "exits_at_once":
            sys.exit(0)
        case "fails_at_start":
            sys.exit("acme: no configuration")
        case "noise_at_start":
            print("acme store 1.0", flush=True)
        case "slow_start":
            time.sleep(1.5)
        case "does_not_read":
            time.sleep(REST)
    for line in sys.stdin:
        asked = json.loads(line)
        number, method = asked["id"], asked["method"]
        if method in ("store.load_node", "session.turn") and not mischief(number):
            continue
        answers = {
            "initialize": {
                "protocol": 99 if MODE == "other_protocol" else 1, "edition": "2026.11", "capabilities": ["clock"],
                "target": {"name": MODE, "version": "0"}, "store": "sqlite",
                "limits": {"in_flight": 8 if "host" in sys.argv else 1},
            },
            "smoke": 0 if MODE == "does_not_echo" else asked["params"].get("value"),
            "open": {"place": "p"},
            "factory.create_store": {"store": "s"},
            "core.build": {"core": "c"},
            "core.open": {"session": "s"},
        }  # fmt: skip
        send(id=number, result=answers.get(method))
        if method == "close" and MODE == "noise_between_requests":
            print("closed", flush=True)
        if method == "shutdown":
            if MODE == "hangs_at_exit":
                time.sleep(REST)
            if MODE == "leaves_a_daemon":
                sleeper(start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            sys.exit(3 if MODE == "fails_at_exit" else 0)


main()
