#!/usr/bin/env bash
# GKE: Cloud Logging hands the audit log to Pub/Sub, and Pub/Sub posts it to baitline. The other side is ../webhook.yaml.
#
#   PROJECT=my-project URL=https://baitline.example.com/audit WEBHOOK_TOKEN=... ./gke-pubsub.sh
#
# GKE always logs writes. Reads, by which a stolen token most often shows, are logged only with Data Access audit logs switched on:
# without the first step the decoy is blind. Pub/Sub posts only to HTTPS with a certificate that public authorities vouch for: put
# a load balancer in front of the 9443 of ../webhook.yaml, or let baitline have the certificate.
#
# What is lost: what is not answered 2xx in time is posted again for seven days. What Cloud Logging has not handed on when the
# sink is removed, and all from before it was made, is never posted. The token stands in the URL, since Pub/Sub can set no header:
# who may read the subscription may read it.
set -euo pipefail
: "${PROJECT:?}" "${URL:?}" "${WEBHOOK_TOKEN:?}"

policy=$(mktemp)
gcloud projects get-iam-policy "$PROJECT" --format=json > "$policy"
jq '.auditConfigs = [(.auditConfigs // [])[] | select(.service != "container.googleapis.com")] + [{
      service: "container.googleapis.com", auditLogConfigs: [{logType: "ADMIN_READ"}, {logType: "DATA_READ"}, {logType: "DATA_WRITE"}]
    }]' "$policy" > "$policy.new"
gcloud projects set-iam-policy "$PROJECT" "$policy.new"

gcloud pubsub topics create baitline-audit --project "$PROJECT"
gcloud logging sinks create baitline-audit "pubsub.googleapis.com/projects/$PROJECT/topics/baitline-audit" --project "$PROJECT" \
  --log-filter='logName:"cloudaudit.googleapis.com" AND protoPayload.serviceName="k8s.io"'
writer=$(gcloud logging sinks describe baitline-audit --project "$PROJECT" --format='value(writerIdentity)')
gcloud pubsub topics add-iam-policy-binding baitline-audit --project "$PROJECT" --member "$writer" --role roles/pubsub.publisher

gcloud pubsub subscriptions create baitline-audit --project "$PROJECT" --topic baitline-audit \
  --push-endpoint "$URL?token=$WEBHOOK_TOKEN" --ack-deadline 60 --message-retention-duration 7d --expiration-period never \
  --min-retry-delay 1s --max-retry-delay 60s
