//! `kubectl events`

use kubarium_cluster::Time;
use kubarium_objects::{ObjectMeta, time};

use crate::kubectl::command::{ALL_NAMESPACES, Command, PRINT};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{self, Flag, flag, list, switch, text};
use crate::kubectl::follow::{Follow, Kind, Watch};
use crate::kubectl::output::Format;
use crate::kubectl::printers;
use crate::kubectl::resource::{Info, Query};
use crate::kubectl::{Kubectl, table};

const FLAGS: &[Flag] = &[
    flag(
        "chunk-size",
        flags::Kind::Int,
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
    .short('w'),
];

pub(crate) const COMMAND: Command = Command::new(
    "events",
    "[(-o|--output=)FORMAT] [--for TYPE/NAME] [--watch] [--types=Normal,Warning] [options]",
    "List events",
    run,
)
.flags(&[PRINT, ALL_NAMESPACES, FLAGS]);

/// What `kubectl events --watch` has printed so far.
#[derive(Clone)]
pub(crate) struct Watching {
    watch: Watch,
    about: Option<(String, String, String)>,
    widths: Vec<usize>,
    header: bool,
}

fn run(k: &mut Kubectl) -> Result {
    let format = k.format()?;
    let events = k.mapping("events")?;
    let all = k.flags.bool("all-namespaces");
    let about = about(k)?;
    let types: Vec<String> = k.flags.list("types").to_vec();
    if types
        .iter()
        .any(|t| !t.eq_ignore_ascii_case("normal") && !t.eq_ignore_ascii_case("warning"))
    {
        return plain("valid --types are Normal or Warning");
    }
    let query = Query {
        all_namespaces: all,
        ..Query::default()
    };
    let mut infos = k.list(&events, &query)?;
    if k.flags.bool("watch") {
        // A watch without a list tells of what there is first.
        let watch = Watch::new(k, &events, &query, None, &infos)?;
        let mut watching = Watching {
            watch,
            about,
            widths: Vec::new(),
            header: false,
        };
        watching.print(k, &format, infos)?;
        k.follow = Some(Follow::Events(watching));
        return Ok(());
    }
    infos.retain(|i| wanted(k, &about, i));
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
    match format {
        Format::Default | Format::Wide => {
            let rows = rows(k, &infos, !k.flags.bool("no-headers"));
            k.out(table::rows(&rows));
            Ok(())
        }
        Format::Name => {
            let names: String = infos.iter().map(|i| i.shown() + "\n").collect();
            k.out(names);
            Ok(())
        }
        _ => {
            let items: Vec<_> = infos.into_iter().map(|i| i.object).collect();
            let list = kubarium_objects::object([
                ("apiVersion", "v1".into()),
                ("items", kubarium_objects::array(items)),
                ("kind", "EventList".into()),
                ("metadata", kubarium_objects::Value::new_object()),
            ]);
            k.print_object(&format, &list)
        }
    }
}

/// The kind, version and name that `--for` asks about.
fn about(k: &mut Kubectl) -> Result<Option<(String, String, String)>> {
    let wanted = k.flags.str("for").to_owned();
    if wanted.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&str> = wanted.split('/').collect();
    match parts[..] {
        [_] => plain("--for must be in resource/name form"),
        [kind, name] => {
            let resource = k.mapping(&kind.to_lowercase())?;
            Ok(Some((
                resource.kind.to_string(),
                resource.api_version(),
                name.to_owned(),
            )))
        }
        _ => plain("arguments in resource/name form may not have more than one slash"),
    }
}

fn wanted(k: &Kubectl, about: &Option<(String, String, String)>, info: &Info) -> bool {
    let types = k.flags.list("types");
    let e = &info.object;
    let involved = &e["involvedObject"];
    let fits = about.as_ref().is_none_or(|(kind, version, name)| {
        involved["kind"].str() == kind
            && involved["name"].str() == name
            && (involved["apiVersion"].is_empty() || involved["apiVersion"].str() == version)
    });
    fits && (types.is_empty()
        || types
            .iter()
            .any(|t| t.eq_ignore_ascii_case(e["type"].str())))
}

impl Watching {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        let format = k.format()?;
        let new = self.watch.take(k.cluster());
        let infos = new
            .into_iter()
            .filter(|(kind, _)| *kind != Kind::Deleted)
            .map(|(_, info)| info)
            .collect();
        self.print(k, &format, infos)?;
        Ok(Some(k.next_look(None)))
    }

    fn print(&mut self, k: &mut Kubectl, format: &Format, mut infos: Vec<Info>) -> Result {
        infos.retain(|i| wanted(k, &self.about, i));
        for info in infos {
            match format {
                Format::Default | Format::Wide => {
                    let header = !self.header && !k.flags.bool("no-headers");
                    self.header = true;
                    let rows = rows(k, &[info], header);
                    k.out(table::more_rows(&rows, &mut self.widths));
                }
                Format::Name => k.out(info.shown() + "\n"),
                _ => k.print_object(format, &info.object)?,
            }
        }
        Ok(())
    }
}

fn rows(k: &Kubectl, infos: &[Info], header: bool) -> Vec<Vec<String>> {
    let all = k.flags.bool("all-namespaces");
    let now = k.now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if header {
        let head = [
            "NAMESPACE",
            "LAST SEEN",
            "TYPE",
            "REASON",
            "OBJECT",
            "MESSAGE",
        ];
        let skipped = usize::from(!all);
        rows.push(head.iter().skip(skipped).map(|h| (*h).to_owned()).collect());
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
    rows
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
