#!/usr/bin/env bash
# EKS's audit log from CloudWatch by Firehose, which posts it to baitline. The other side is ../webhook.yaml, on an https URL that AWS
# reaches, with path /audit; Firehose shows WEBHOOK_TOKEN as its access key.
#
# EKS logs nothing until the type audit is switched on, as it is here; audit is the only one that baitline needs.
#
# What is lost: CloudWatch cuts an entry at 256 KB, while an event may have more than 1 MB: what is left of it is reported as
# `undecodable` if it names a decoy. Firehose tries for RetryOptions.DurationInSeconds (at most two hours) and puts what it could not deliver
# into the bucket: `baitline scan` reads it there, after baitline was away for longer.
set -euo pipefail

cluster=${1:?usage: WEBHOOK_TOKEN=… eks-firehose.sh CLUSTER https://HOST BUCKET_ARN FIREHOSE_ROLE_ARN LOGS_ROLE_ARN}
url=${2:?}
bucket=${3:?of what could not be delivered}
firehose_role=${4:?that may write to the bucket}
logs_role=${5:?that CloudWatch Logs may assume, and that may call firehose:PutRecord and firehose:PutRecordBatch}
: "${WEBHOOK_TOKEN:?the token of ../webhook.yaml}"

aws eks update-cluster-config --name "$cluster" \
  --logging '{ "clusterLogging": [{ "types": ["audit"], "enabled": true }] }'

destination=$(jq -n --arg url "$url/audit" --arg key "$WEBHOOK_TOKEN" --arg bucket "$bucket" --arg role "$firehose_role" '{
  EndpointConfiguration: { Name: "baitline", Url: $url, AccessKey: $key },
  BufferingHints: { IntervalInSeconds: 0, SizeInMBs: 1 },
  RequestConfiguration: { ContentEncoding: "NONE" },
  RetryOptions: { DurationInSeconds: 7200 },
  RoleARN: $role,
  S3BackupMode: "FailedDataOnly",
  S3Configuration: { RoleARN: $role, BucketARN: $bucket, Prefix: "baitline/" }
}')
stream=$(aws firehose create-delivery-stream --delivery-stream-name "baitline-$cluster" --delivery-stream-type DirectPut \
  --http-endpoint-destination-configuration "$destination" --query DeliveryStreamARN --output text)
until [ "$(aws firehose describe-delivery-stream --delivery-stream-name "baitline-$cluster" \
  --query DeliveryStreamDescription.DeliveryStreamStatus --output text)" = ACTIVE ]; do sleep 5; done

# By a word that each event begins with, since what was cut off is no JSON any more, and has to come too.
aws logs put-subscription-filter --log-group-name "/aws/eks/$cluster/cluster" --filter-name baitline \
  --filter-pattern '"audit.k8s.io"' --destination-arn "$stream" --role-arn "$logs_role"
