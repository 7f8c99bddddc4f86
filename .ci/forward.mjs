// Node's @fluent-org/logger: three uses of the decoy's token in each of its modes, acknowledged, with and without a key; and one
// with a wrong key, which must not be.

import { createRequire } from "node:module";

const { FluentClient } = createRequire(import.meta.url)("@fluent-org/logger");
const [open, locked] = process.argv.slice(2).map(Number);
const right = { clientHostname: "node-1", sharedKey: "open sesame", username: "ann", password: "her secret" };
let number = 0;

const event = () => ({
  kind: "Event",
  apiVersion: "audit.k8s.io/v1",
  auditID: `node-${++number}`,
  stage: "ResponseComplete",
  verb: "list",
  user: { username: "system:serviceaccount:honeypot:backup-sa" },
  requestReceivedTimestamp: "2026-11-23T17:21:08.912184Z",
});

const client = (eventMode, security, socket = {}) =>
  new FluentClient("kube", {
    eventMode,
    security,
    ack: { ackTimeout: 20000 },
    socket: { host: "127.0.0.1", port: security ? locked : open, timeout: 20000, ...socket },
  });

for (const mode of ["Message", "Forward", "PackedForward", "CompressedPackedForward"]) {
  for (const security of [undefined, right]) {
    const logger = client(mode, security);
    const acknowledged = [1, 2, 3].map(() => logger.emit("audit", event()));
    await logger.flush();
    await Promise.all(acknowledged);
    await logger.disconnect();
  }
}

const sent = number;
const stranger = client("Forward", { ...right, sharedKey: "another" }, { disableReconnect: true });
stranger.socketOn("error", () => {});
const heard = await Promise.race([
  stranger.emit("audit", event()).then(
    () => "acknowledged",
    () => "refused",
  ),
  new Promise((resolve) => setTimeout(resolve, 2000, "not acknowledged")),
]);
if (heard === "acknowledged" || sent !== 24) {
  console.error(`a wrong key was ${heard}; ${sent} events were sent`);
  process.exit(1);
}
process.exit(0);
