#!/usr/bin/env bash
# AKS: its diagnostic setting hands the audit log to Event Hubs, which speaks Kafka. The other side is ../siem-kafka.yaml, with
#
#   sources:
#     audit:
#       type: kafka
#       bootstrap_servers: NAMESPACE.servicebus.windows.net:9093
#       group_id: baitline
#       topics: [kube-audit]
#       tls: { enabled: true }
#       sasl: { enabled: true, mechanism: PLAIN, username: "$$ConnectionString", password: "${EVENT_HUBS_CONNECTION}" }
#
#   GROUP=my-group CLUSTER=my-cluster NAMESPACE=my-event-hubs ./aks-event-hubs.sh
#
# The category is kube-audit. kube-audit-admin, which is cheaper and often advised, has no reads: with it alone the decoy is blind to
# what a stolen token does first.
#
# What is lost: nothing while baitline is away for less than the hub keeps: seven days here, the most of the tier Standard, the
# least tier that speaks Kafka. AKS cuts large events: one that names a decoy is told as `undecodable`. Events may come minutes late.
set -euo pipefail

az eventhubs namespace create --resource-group "$GROUP" --name "$NAMESPACE" --sku Standard
az eventhubs eventhub create --resource-group "$GROUP" --namespace-name "$NAMESPACE" --name kube-audit --partition-count 4 \
  --cleanup-policy Delete --retention-time 168
cluster=$(az aks show --resource-group "$GROUP" --name "$CLUSTER" --query id --output tsv)
rule=$(az eventhubs namespace authorization-rule show --resource-group "$GROUP" --namespace-name "$NAMESPACE" \
  --name RootManageSharedAccessKey --query id --output tsv)
az monitor diagnostic-settings create --name baitline --resource "$cluster" --event-hub kube-audit --event-hub-rule "$rule" \
  --logs '[{"category": "kube-audit", "enabled": true}]'

# What baitline reads with, which may listen and nothing else: EVENT_HUBS_CONNECTION.
az eventhubs namespace authorization-rule create --resource-group "$GROUP" --namespace-name "$NAMESPACE" --name baitline --rights Listen
az eventhubs namespace authorization-rule keys list --resource-group "$GROUP" --namespace-name "$NAMESPACE" --name baitline \
  --query primaryConnectionString --output tsv
