"""Pushes recorded audit events to a running baitline by Vector's protocol, with the client that grpcio-tools generate.

push.py BAITLINE INPUT.NDJSON TLS_DIR: each way of sending the events gives the hits that the same events give by standard input.
"""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import grpc

import event_pb2
import vector_pb2
import vector_pb2_grpc

PROGRAM, INPUT, TLS = sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes(), pathlib.Path(sys.argv[3])
EVENTS = [json.loads(line) for line in INPUT.splitlines()]


def value(it):
    """A value of JSON as Vector has it."""
    kind = event_pb2.Value
    if it is None:
        return kind(null=event_pb2.NULL_VALUE)
    if isinstance(it, bool):
        return kind(boolean=it)
    if isinstance(it, int):
        return kind(integer=it)
    if isinstance(it, float):
        return kind(float=it)
    if isinstance(it, str):
        return kind(raw_bytes=it.encode())
    if isinstance(it, datetime.datetime):
        made = kind()
        made.timestamp.FromDatetime(it)
        return made
    if isinstance(it, list):
        return kind(array=event_pb2.ValueArray(items=map(value, it)))
    return kind(map=event_pb2.ValueMap(fields=fields(it)))


def fields(it):
    return {key: value(inner) for key, inner in it.items()}


def parsed(event):
    return event_pb2.Log(fields=fields(event))


def with_times(event):
    """Parsed, and its times too."""
    event = dict(event)
    for key in ("requestReceivedTimestamp", "stageTimestamp"):
        event[key] = datetime.datetime.fromisoformat(event[key].replace("Z", "+00:00"))
    return parsed(event)


def raw(event):
    return event_pb2.Log(fields=fields({"message": json.dumps(event), "source_type": "file"}))


def root(event):
    """As Vector sends what is no map: the event is the value itself."""
    return event_pb2.Log(fields=fields({".": None}), value=value(json.dumps(event)))


def beside(event):
    """With metadata beside it."""
    log = raw(event)
    log.metadata_full.value.CopyFrom(value({"vector": {"source_type": "file"}}))
    return log


def request(form):
    logs = [event_pb2.EventWrapper(log=form(event)) for event in EVENTS]
    metric = event_pb2.EventWrapper(metric=event_pb2.Metric(name="events_total"))
    return vector_pb2.PushEventsRequest(events=logs[:3] + [metric] + logs[3:])


def configuration(source):
    return {
        "decoys": [{"service_account": "honeypot/backup-sa", "secret": "backup-sa-token", "pod": "file-backup", "whole_namespace": True}],
        "sources": {"audit": source},
        "transforms": {"detections": {"type": "detect", "inputs": ["audit"]}},
        "sinks": {"told": {"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}}},
    }


def hits(output):
    detections = [json.loads(line) for line in output.splitlines()]
    assert detections, "nothing was found"
    return sorted((it["detection_id"], it["technique"], it["class"]) for it in detections)


def run(source, use):
    """What is found while `use` talks to the source."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(configuration(source), file)
        file.flush()
        command = [PROGRAM, "run", "--config", file.name]
        pipe = subprocess.PIPE
        program = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        try:
            use(program)
            program.terminate()
            output, errors = program.communicate(timeout=60)
        finally:
            program.kill()
        assert program.returncode == 0, errors
        return hits(output)


def address(program):
    for line in program.stderr:
        found = re.search(r"address=127\.0\.0\.1:(\d+)", line)
        if found:
            return f"localhost:{found[1]}"
    raise AssertionError("it does not listen")


def write(program):
    program.stdin.write(INPUT.decode())
    program.stdin.close()
    program.stdin = None
    program.wait(60)


def push(form, compression, credentials=None):
    def use(program):
        options = {"compression": compression}
        target = address(program)
        channel = (
            grpc.secure_channel(target, credentials, **options)
            if credentials
            else grpc.insecure_channel(target, **options)
        )
        with channel:
            stub = vector_pb2_grpc.VectorStub(channel)
            health = stub.HealthCheck(vector_pb2.HealthCheckRequest(), timeout=60)
            assert health.status == vector_pb2.SERVING
            assert stub.PushEvents(request(form), timeout=60) == vector_pb2.PushEventsResponse()
            probe = channel.unary_unary("/grpc.health.v1.Health/Check", lambda it: it, lambda it: it)
            assert probe(b"", timeout=60) == b"\x08\x01", "SERVING"
            unknown = channel.unary_unary("/vector.Vector/Unknown", lambda it: it, lambda it: it)
            try:
                unknown(b"", timeout=60)
                raise AssertionError("there is no such method")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    return use


def main():
    wanted = run({"type": "stdin"}, write)
    source = {"type": "vector", "address": "127.0.0.1:0"}
    for form in (parsed, with_times, raw, root, beside):
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate):
            assert run(source, push(form, compression)) == wanted, (form, compression)
    pem = {name: (TLS / name).read_bytes() for name in ("ca.crt", "client.crt", "client.key")}
    tls = {"enabled": True, "crt_file": str(TLS / "server.crt"), "key_file": str(TLS / "server.key")}
    encrypted = grpc.ssl_channel_credentials(pem["ca.crt"])
    assert run(source | {"tls": tls}, push(raw, grpc.Compression.Gzip, encrypted)) == wanted
    mutual = source | {"tls": tls | {"ca_file": str(TLS / "ca.crt"), "verify_certificate": True}}
    known = grpc.ssl_channel_credentials(pem["ca.crt"], pem["client.key"], pem["client.crt"])
    assert run(mutual, push(raw, grpc.Compression.Gzip, known)) == wanted

    def stay_out(program):
        with grpc.secure_channel(address(program), encrypted) as channel:
            try:
                vector_pb2_grpc.VectorStub(channel).PushEvents(request(raw), timeout=60)
                raise AssertionError("it shows no certificate")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    try:
        run(mutual, stay_out)
    except AssertionError as error:
        assert str(error) == "nothing was found", error
    print(f"grpcio {grpc.__version__}: {len(wanted)} detections by each of 15 ways, and by TLS with and without a certificate")


main()
