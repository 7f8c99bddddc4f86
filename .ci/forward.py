"""Python's fluent-logger: seven uses of the decoy's token, by messages of one event each, which ask for no acknowledgement."""

import json
import sys

from fluent import asyncsender, sender

PORT = int(sys.argv[1])


def event(number):
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": f"python-{number}",
        "stage": "ResponseComplete",
        "verb": "list",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"},
        "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z",
    }


seconds = sender.FluentSender("kube.audit", host="127.0.0.1", port=PORT)
assert seconds.emit("parsed", event(1))
assert seconds.emit_with_time("parsed", 1795455390, event(2))
seconds.close()

exact = sender.FluentSender("kube.audit", host="127.0.0.1", port=PORT, nanosecond_precision=True)
assert exact.emit_with_time("raw", 1795455390.5, {"log": json.dumps(event(3))})
exact.close()

queued = asyncsender.FluentSender("kube.audit", host="127.0.0.1", port=PORT)
for number in range(4, 8):
    queued.emit("queued", event(number))
queued.close()
