#!/usr/bin/env bash
# GKE's audit logs from Cloud Logging by Pub/Sub, which posts them to baitline. The other side is ../webhook.yaml, on an https URL
# that Google reaches, with path /audit and the token that ../webhook.yaml calls WEBHOOK_TOKEN.
#
# Writes are always logged. Reads are only in the Data Access logs, which are off by default: with them off baitline sees
# neither who reads the decoy's Secret, nor what its token lists. They are paid for by volume.
#
# There is no credential id in these logs: the token of an incident is the ServiceAccount.
#
# What is lost: nothing while Pub/Sub keeps it (--message-retention-duration, here 7 days): it posts again, with growing pauses, until
# baitline answers 200, and baitline answers once all that came of it is in its data_dir.
set -euo pipefail

project=${1:?usage: WEBHOOK_TOKEN=… gke-pubsub.sh PROJECT CLUSTER https://HOST:PORT}
cluster=${2:?}
url=${3:?}
: "${WEBHOOK_TOKEN:?the token of ../webhook.yaml}"

# Data Access logs of Kubernetes, beside what the policy has.
policy=$(mktemp)
trap 'rm -f "$policy"' EXIT
gcloud projects get-iam-policy "$project" --format json |
  jq '.auditConfigs = ((.auditConfigs // []) | map(select(.service != "container.googleapis.com")))
    + [{ service: "container.googleapis.com",
         auditLogConfigs: [{ logType: "ADMIN_READ" }, { logType: "DATA_READ" }, { logType: "DATA_WRITE" }] }]' >"$policy"
gcloud projects set-iam-policy "$project" "$policy"

gcloud pubsub topics create baitline-audit --project "$project"
gcloud logging sinks create baitline-audit "pubsub.googleapis.com/projects/$project/topics/baitline-audit" \
  --project "$project" \
  --log-filter "resource.type=\"k8s_cluster\" AND resource.labels.cluster_name=\"$cluster\" AND log_id(\"cloudaudit.googleapis.com/activity\") OR resource.type=\"k8s_cluster\" AND resource.labels.cluster_name=\"$cluster\" AND log_id(\"cloudaudit.googleapis.com/data_access\")"
gcloud pubsub topics add-iam-policy-binding baitline-audit --project "$project" --role roles/pubsub.publisher \
  --member "$(gcloud logging sinks describe baitline-audit --project "$project" --format 'value(writerIdentity)')"

# Pub/Sub has no header for a token of one's own: it stands behind the path.
gcloud pubsub subscriptions create baitline-audit --project "$project" --topic baitline-audit \
  --push-endpoint "$url/audit?token=$WEBHOOK_TOKEN" \
  --ack-deadline 60 --message-retention-duration 7d --expiration-period never \
  --min-retry-delay 1s --max-retry-delay 600s
