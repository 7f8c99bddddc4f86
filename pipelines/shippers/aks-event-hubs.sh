#!/usr/bin/env bash
# AKS to Event Hubs, by Azure's own command line. The other side is ../aks-event-hubs.yaml.
#
# The category has to be kube-audit. Its cheaper brother kube-audit-admin has no get and no list, and the first thing that a thief does
# with a token is to list: without kube-audit the decoy is blind to it.
#
# What is lost: Azure delivers minutes late at times, and promises no more than to try. Event Hubs keeps what was delivered for its
# retention (here 7 days), and baitline goes on where it was, so that it may be away as long. Bodies of requests that are too
# large are replaced by a word, by Azure.
set -euo pipefail

group=${1:?usage: aks-event-hubs.sh RESOURCE_GROUP CLUSTER EVENT_HUBS_NAMESPACE}
cluster=${2:?}
namespace=${3:?}

az eventhubs namespace create --resource-group "$group" --name "$namespace" --sku Standard
az eventhubs eventhub create --resource-group "$group" --namespace-name "$namespace" --name aks-audit \
  --partition-count 4 --cleanup-policy Delete --retention-time 168

# AKS may write, baitline may read.
az eventhubs namespace authorization-rule create --resource-group "$group" --namespace-name "$namespace" \
  --name diagnostics --rights Manage Listen Send
az eventhubs eventhub authorization-rule create --resource-group "$group" --namespace-name "$namespace" \
  --eventhub-name aks-audit --name baitline --rights Listen

az monitor diagnostic-settings create --name baitline \
  --resource "$(az aks show --resource-group "$group" --name "$cluster" --query id --output tsv)" \
  --event-hub aks-audit \
  --event-hub-rule "$(az eventhubs namespace authorization-rule show --resource-group "$group" \
    --namespace-name "$namespace" --name diagnostics --query id --output tsv)" \
  --logs '[{ "category": "kube-audit", "enabled": true }]'

echo "EVENT_HUBS=$namespace.servicebus.windows.net:9093"
echo "EVENT_HUBS_CONNECTION_STRING is what this prints; keep it in a secret:"
echo "  az eventhubs eventhub authorization-rule keys list --resource-group $group --namespace-name $namespace" \
  "--eventhub-name aks-audit --name baitline --query primaryConnectionString --output tsv"
