//! A [`Snapshot`] as the text that Prometheus scrapes, in the OpenMetrics format.
//!
//! Names and labels are Vector's where it has the same; what only baitline has begins with
//! `baitline_`. To every counter the format adds `_total`. The labels' values come from the
//! configuration, from a fixed set of words, or from a bounded number of decoys.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::snapshot::{Component, Figures, Snapshot};

/// What stands in the header `Content-Type` of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All of `snapshot`, as text.
pub(super) fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(snapshot)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

/// A metric that components have.
struct Family {
    name: &'static str,
    help: &'static str,
    metric_type: MetricType,
    read: fn(&Component) -> Option<Number>,
}

enum Number {
    Whole(u64),
    Fraction(f64),
}

const fn counter(
    name: &'static str,
    help: &'static str,
    read: fn(&Component) -> Option<Number>,
) -> Family {
    Family {
        name,
        help,
        metric_type: MetricType::Counter,
        read,
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    read: fn(&Component) -> Option<Number>,
) -> Family {
    Family {
        name,
        help,
        metric_type: MetricType::Gauge,
        read,
    }
}

macro_rules! whole {
    ($field:ident) => {
        |Component {
             figures: Figures { $field, .. },
             ..
         }| $field.map(Number::Whole)
    };
}

const FAMILIES: &[Family] = &[
    counter(
        "component_received_events",
        "Records that a source read, or records and detections that a transform took in.",
        whole!(received_events),
    ),
    counter(
        "component_received_bytes",
        "Bytes of the records that a source read, after decompression.",
        whole!(received_bytes),
    ),
    counter(
        "component_sent_events",
        "What a component handed on: records of a source, detections or alerts of a transform, \
         messages that a sink's receiver took.",
        whole!(sent_events),
    ),
    counter(
        "component_errors",
        "Faults on the way in or out, each try counted.",
        whole!(errors),
    ),
    counter(
        "component_discarded_events",
        "Records that a source passed because nothing can be in them, or messages that a sink gave up.",
        whole!(discarded_events),
    ),
    gauge(
        "baitline_component_healthy",
        "1 if the component works, 0 if it is in trouble; /health says why.",
        |component| Some(Number::Whole(u64::from(component.trouble.is_none()))),
    ),
    counter(
        "baitline_undecodable",
        "What might concern a decoy and could not be decoded, or is no detection, or not understood in full, where one is expected.",
        whole!(undecodable),
    ),
    gauge(
        "baitline_source_seconds_since_last_event",
        "Seconds since the source read its last record; before the first, since the start.",
        |component| {
            let figures = &component.figures;
            figures.seconds_since_last_event.map(Number::Fraction)
        },
    ),
    gauge(
        "baitline_source_lag_records",
        "Records that wait upstream of the source, where it can tell.",
        whole!(lag_records),
    ),
    gauge(
        "baitline_open_incidents",
        "Incidents that go on, floods included.",
        whole!(open_incidents),
    ),
    counter(
        "baitline_alerts_suppressed",
        "Hits that were counted in a flood and not told as incidents of their own.",
        whole!(suppressed),
    ),
    counter(
        "baitline_incidents_evicted",
        "Incidents that were closed early because more are open than cache.num_events.",
        whole!(evicted),
    ),
    counter(
        "baitline_requests_retried",
        "Tries of a sink that failed and were repeated.",
        whole!(retried),
    ),
    gauge(
        "buffer_events",
        "Messages that wait for the sink.",
        whole!(buffer_events),
    ),
    gauge(
        "buffer_byte_size",
        "Bytes of these messages, as JSON; where nothing is stored, only if buffer.max_size is set.",
        whole!(buffer_bytes),
    ),
    gauge(
        "buffer_max_event_size",
        "How many messages may wait for the sink, if that is limited.",
        whole!(buffer_max_events),
    ),
    gauge(
        "buffer_max_byte_size",
        "How many bytes of messages may wait for the sink, if that is limited.",
        whole!(buffer_max_bytes),
    ),
    counter(
        "buffer_discarded_events",
        "Messages that the sink never gets, because its buffer was full or it had ended.",
        whole!(buffer_discarded_events),
    ),
    counter(
        "connection_established",
        "Connections that a source accepted.",
        whole!(established_connections),
    ),
    gauge(
        "open_connections",
        "Connections of a source that are open.",
        whole!(open_connections),
    ),
];

/// Written whenever the registry is.
#[derive(Debug)]
struct Exposition(Snapshot);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = &self.0;
        process(snapshot, &mut encoder)?;
        for family in FAMILIES {
            components(family, snapshot, &mut encoder)?;
        }
        refused(snapshot, &mut encoder)?;
        detections(snapshot, &mut encoder)?;
        alerts(snapshot, &mut encoder)?;
        match &snapshot.commit_seconds {
            Some(histogram) => histogram.encode(encoder.encode_descriptor(
                "baitline_store_commit_seconds",
                "How long a transaction of the store took.",
                None,
                MetricType::Histogram,
            )?),
            None => Ok(()),
        }
    }
}

fn process(snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut build = encoder.encode_descriptor(
        "baitline_build_info",
        "Always 1; which baitline this is.",
        None,
        MetricType::Gauge,
    )?;
    build
        .encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?
        .encode_gauge(&1_u64)?;
    let mut uptime = encoder.encode_descriptor(
        "baitline_uptime_seconds",
        "Seconds since the start.",
        None,
        MetricType::Gauge,
    )?;
    uptime.encode_gauge(&snapshot.uptime.as_secs_f64())
}

/// One family, unless no component has it.
fn components(
    family: &Family,
    snapshot: &Snapshot,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut numbers = snapshot
        .components
        .iter()
        .filter_map(|component| Some((component, (family.read)(component)?)))
        .peekable();
    if numbers.peek().is_none() {
        return Ok(());
    }
    let Family {
        name,
        help,
        metric_type,
        ..
    } = *family;
    let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
    for (component, number) in numbers {
        let labels = [
            ("component_id", &*component.id),
            ("component_kind", component.kind.as_str()),
            ("component_type", component.component_type),
        ];
        let mut metric = metric.encode_family(&labels)?;
        match (metric_type, number) {
            (MetricType::Counter, Number::Whole(number)) => count(&mut metric, number)?,
            (_, Number::Whole(number)) => metric.encode_gauge(&number)?,
            (_, Number::Fraction(number)) => metric.encode_gauge(&number)?,
        }
    }
    Ok(())
}

fn refused(snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let components = snapshot.components.iter();
    let mut all = components
        .flat_map(|component| {
            let refused = component.figures.refused.iter();
            refused.map(move |refused| (component, refused))
        })
        .peekable();
    if all.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(
        "baitline_source_refused",
        "Connections and requests that a source refused, by reason.",
        None,
        MetricType::Counter,
    )?;
    for (component, (reason, number)) in all {
        let labels = [
            ("component_id", &*component.id),
            ("component_kind", component.kind.as_str()),
            ("component_type", component.component_type),
            ("reason", reason),
        ];
        count(&mut metric.encode_family(&labels)?, *number)?;
    }
    Ok(())
}

fn detections(snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "baitline_detections",
        "Audit events that touch a decoy, found here or sent by agents.",
        None,
        MetricType::Counter,
    )?;
    for detections in &snapshot.detections {
        let decoy = escaped(&detections.decoy);
        let labels = [
            ("decoy", &*decoy),
            ("technique", detections.technique),
            ("class", detections.class),
        ];
        count(&mut metric.encode_family(&labels)?, detections.count)?;
    }
    Ok(())
}

fn alerts(snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "baitline_alerts",
        "Alerts that were given to the sinks, each counted once however many take it.",
        None,
        MetricType::Counter,
    )?;
    for alerts in &snapshot.alerts {
        let labels = [("kind", alerts.kind), ("severity", alerts.severity)];
        count(&mut metric.encode_family(&labels)?, alerts.count)?;
    }
    Ok(())
}

/// `value` as it stands between the quotes of a label: the encoder writes it as it is.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for char in value.chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            char => escaped.push(char),
        }
    }
    escaped
}

fn count(metric: &mut MetricEncoder<'_>, number: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, f64>(&number, None)
}

#[cfg(test)]
mod tests;
