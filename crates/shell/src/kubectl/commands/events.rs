//! `kubectl events`

use kubarium_objects::{ObjectMeta, time};

use crate::kubectl::command::{ALL_NAMESPACES, Command, PRINT};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::output::Format;
use crate::kubectl::printers;
use crate::kubectl::resource::{Info, Query};
use crate::kubectl::{Kubectl, table};

const FLAGS: &[Flag] = &[
    flag(
        "chunk-size",
        Kind::Int,
        "500",
        "Return large lists in chunks rather than all at once.",
    ),
    text(
        "for",
        "Filter events to only those pertaining to the specified resource.",
    ),
    switch(
        "no-headers",
        "When using the default output format, don't print headers.",
    ),
    list("types", "Output only events of given types."),
    switch(
        "watch",
        "After listing the requested events, watch for more events.",
    )
    .short('w')
    .not_yet(),
];

pub(crate) const COMMAND: Command = Command::new(
    "events",
    "[(-o|--output=)FORMAT] [--for TYPE/NAME] [--watch] [--types=Normal,Warning] [options]",
    "List events",
    run,
)
.flags(&[PRINT, ALL_NAMESPACES, FLAGS]);

fn run(k: &mut Kubectl) -> Result {
    let format = k.format()?;
    let events = k.mapping("events")?;
    let all = k.flags.bool("all-namespaces");
    let mut infos = k.list(
        &events,
        &Query {
            all_namespaces: all,
            ..Query::default()
        },
    )?;
    let wanted = k.flags.str("for").to_owned();
    if !wanted.is_empty() {
        let Some((kind, name)) = wanted.split_once('/') else {
            return plain("--for must be in resource/name form");
        };
        let resource = k.mapping(kind)?;
        infos.retain(|i| {
            i.object["involvedObject"]["kind"].str() == &*resource.kind
                && i.object["involvedObject"]["name"].str() == name
        });
    }
    let types: Vec<String> = k.flags.list("types").to_vec();
    if let Some(bad) = types
        .iter()
        .find(|t| !t.eq_ignore_ascii_case("normal") && !t.eq_ignore_ascii_case("warning"))
    {
        return plain(format!("valid --types are Normal or Warning, got {bad}"));
    }
    infos.retain(|i| {
        types.is_empty()
            || types
                .iter()
                .any(|t| t.eq_ignore_ascii_case(i.object["type"].str()))
    });
    infos.sort_by_key(seen);
    if infos.is_empty() {
        let namespace = k.namespace();
        k.err(if all {
            "No events found.\n".to_owned()
        } else {
            format!("No events found in {namespace} namespace.\n")
        });
        return Ok(());
    }
    if !matches!(format, Format::Default | Format::Wide) {
        let items: Vec<_> = infos.into_iter().map(|i| i.object).collect();
        let list = kubarium_objects::object([
            ("apiVersion", "v1".into()),
            ("items", kubarium_objects::array(items)),
            ("kind", "List".into()),
            ("metadata", kubarium_objects::Value::new_object()),
        ]);
        return k.print_object(&format, &list);
    }
    let now = k.now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !k.flags.bool("no-headers") {
        let head = [
            "NAMESPACE",
            "LAST SEEN",
            "TYPE",
            "REASON",
            "OBJECT",
            "MESSAGE",
        ];
        rows.push(
            head.iter()
                .skip(usize::from(!all))
                .map(|h| (*h).to_owned())
                .collect(),
        );
    }
    for info in infos {
        let e = &info.object;
        let involved = &e["involvedObject"];
        let mut row = vec![
            info.namespace.to_string(),
            printers::event_interval(e, now),
            e["type"].str().to_owned(),
            e["reason"].str().to_owned(),
            format!("{}/{}", involved["kind"].str(), involved["name"].str()),
            e["message"].str().trim().to_owned(),
        ];
        if !all {
            row.remove(0);
        }
        rows.push(row);
    }
    k.out(table::rows(&rows));
    Ok(())
}

/// When an event was seen last.
fn seen(info: &Info) -> i64 {
    let e = &info.object;
    let times = [
        &e["series"]["lastObservedTime"],
        &e["lastTimestamp"],
        &e["eventTime"],
        &e["firstTimestamp"],
    ];
    let at = times
        .into_iter()
        .find_map(|t| t.as_str().and_then(time::parse_micros));
    at.unwrap_or_else(|| {
        info.object
            .creation_timestamp()
            .and_then(time::parse_micros)
            .unwrap_or(0)
    })
}
