//! `kubectl get`

use std::cmp::Ordering;
use std::sync::Arc;

use kubarium_cluster::Time;
use kubarium_cluster::api::table::Table;
use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectMeta, Resource, Value, array, go, object};

use crate::kubectl::command::{ALL_NAMESPACES, Command, FIELD_SELECTOR, FILES, PRINT, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{self, Flag, flag, list, switch, text};
use crate::kubectl::follow::{Follow, Kind, Watch};
use crate::kubectl::output::{Format, columns_of};
use crate::kubectl::printers::{self, Context};
use crate::kubectl::resource::{Group, Info, Query, Selection, kind_name};
use crate::kubectl::{Kubectl, jsonpath, table};

const FLAGS: &[Flag] = &[
    flag(
        "chunk-size",
        flags::Kind::Int,
        "500",
        "Return large lists in chunks rather than all at once.",
    ),
    switch(
        "ignore-not-found",
        "If the requested object does not exist the command will return exit code 0.",
    ),
    list(
        "label-columns",
        "Accepts a comma separated list of labels that are going to be presented as columns.",
    )
    .short('L'),
    switch(
        "no-headers",
        "When using the default or custom-column output format, don't print headers (default print headers).",
    ),
    switch(
        "output-watch-events",
        "Output watch event objects when --watch or --watch-only is used.",
    ),
    text("raw", "Raw URI to request from the server."),
    flag(
        "server-print",
        flags::Kind::Bool,
        "true",
        "If true, have the server return the appropriate table output.",
    ),
    switch(
        "show-kind",
        "If present, list the resource type for the requested object(s).",
    ),
    switch(
        "show-labels",
        "When printing, show all labels as the last column (default hide labels column)",
    ),
    text(
        "sort-by",
        "If non-empty, sort list types using this field specification.",
    ),
    text(
        "subresource",
        "If specified, gets the subresource of the requested object.",
    ),
    switch(
        "watch",
        "After listing/getting the requested object, watch for changes.",
    )
    .short('w'),
    switch(
        "watch-only",
        "Watch for changes to the requested object(s), without listing/getting first.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "get",
    "[(-o|--output=)FORMAT] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags] [options]",
    "Display one or many resources",
    run,
)
.flags(&[PRINT, FILES, SELECTOR, FIELD_SELECTOR, ALL_NAMESPACES, FLAGS]);

fn run(k: &mut Kubectl) -> Result {
    if k.flags.changed("raw") {
        return super::raw::run(k);
    }
    let args = k.flags.args.clone();
    if args.is_empty() && k.flags.list("filename").is_empty() {
        k.err("You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n\n");
        return Err(k.usage("Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods)."));
    }
    let output = k.flags.str("output");
    if k.flags.bool("show-labels") && !matches!(output, "" | "wide") {
        return plain(format!(
            "--show-labels option cannot be used with {output} printer"
        ));
    }
    if output.starts_with("custom-columns") && !k.flags.list("label-columns").is_empty() {
        return plain(format!(
            "--label-columns option cannot be used with {output} printer"
        ));
    }
    if k.flags.bool("output-watch-events") && !watches(k) {
        return plain("--output-watch-events option can only be used with --watch or --watch-only");
    }
    if watches(k) {
        let format = k.format()?;
        return watch(k, &format);
    }
    let mut selection = if k.flags.list("filename").is_empty() {
        from_args(k, args)?
    } else {
        from_files(k)?
    };
    if k.flags.bool("ignore-not-found") {
        selection.errors.retain(|e| !e.is_not_found());
    }
    let only_failed = selection.groups.iter().all(|group| group.infos.is_empty());
    let format = match k.format() {
        // Printers are made when there is something to print.
        Err(_) if only_failed && selection.errors.len() == 1 => {
            return Error::aggregate(selection.errors);
        }
        format => format?,
    };
    if k.flags.str("subresource") == "scale" {
        for info in selection.groups.iter_mut().flat_map(|g| &mut g.infos) {
            info.object = super::scale::scale_of(k, info)?;
        }
    }
    let sort = k.flags.str("sort-by").to_owned();
    if !sort.is_empty() {
        for group in &mut selection.groups {
            sort_by(&sort, &mut group.infos)?;
        }
    }
    let errors = std::mem::take(&mut selection.errors);
    match &format {
        Format::Default | Format::Wide => print_tables(
            k,
            &selection,
            matches!(format, Format::Wide),
            errors.is_empty(),
        ),
        Format::Name => {
            let names: String = selection
                .groups
                .iter()
                .flat_map(|g| &g.infos)
                .map(|i| i.shown() + "\n")
                .collect();
            k.out(names);
        }
        _ => print_objects(k, &format, &selection, &errors)?,
    }
    Error::aggregate(errors)
}

fn watches(k: &Kubectl) -> bool {
    k.flags.bool("watch") || k.flags.bool("watch-only")
}

/// What `kubectl get --watch` has said so far.
#[derive(Clone)]
pub(crate) struct Watching {
    watch: Watch,
    printed: Printed,
}

/// Where a watch's output stands.
#[derive(Clone, Default)]
struct Printed {
    header: bool,
    widths: Vec<usize>,
    objects: usize,
}

/// `kubectl get --watch`: what there is, then what becomes of it (`get.go`, `watch`).
fn watch(k: &mut Kubectl, format: &Format) -> Result {
    let args = k.flags.args.clone();
    let query = query_of(k, args);
    let selection = if k.flags.list("filename").is_empty() {
        k.select(&query)?
    } else {
        from_files(k)?
    };
    let missing_is_fine = k.flags.bool("ignore-not-found");
    if selection
        .errors
        .iter()
        .any(|e| e.is_not_found() && missing_is_fine)
    {
        return Ok(());
    }
    Error::aggregate(selection.errors.clone())?;
    let [group] = &selection.groups[..] else {
        return plain("you may only specify a single resource type");
    };
    if !group.list && group.infos.len() > 1 {
        return plain(
            "watch is only supported on individual resources and resource collections - more than 1 resource was found",
        );
    }
    let name = (!group.list)
        .then(|| group.infos.first().map(|i| i.name.clone()))
        .flatten();
    let mut watching = Watching {
        watch: Watch::new(k, &group.resource, &query, name, &group.infos)?,
        printed: Printed::default(),
    };
    if !k.flags.bool("watch-only") {
        watching
            .printed
            .print(k, format, &group.resource, Kind::Added, &group.infos)?;
    }
    k.follow = Some(Follow::Get(watching));
    Ok(())
}

impl Watching {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        let format = k.format()?;
        for (kind, info) in self.watch.take(k.cluster()) {
            let resource = info.resource.clone();
            self.printed.print(k, &format, &resource, kind, &[info])?;
        }
        Ok(Some(k.next_look(None)))
    }
}

impl Printed {
    /// Prints objects, a table's rows or one after the other.
    fn print(
        &mut self,
        k: &mut Kubectl,
        format: &Format,
        resource: &Arc<Resource>,
        kind: Kind,
        infos: &[Info],
    ) -> Result {
        if infos.is_empty() {
            return Ok(());
        }
        let with_events = k.flags.bool("output-watch-events");
        let header = !std::mem::replace(&mut self.header, true) && !k.flags.bool("no-headers");
        match format {
            Format::Default | Format::Wide => {
                let group = Group {
                    resource: resource.clone(),
                    infos: infos.to_vec(),
                    list: true,
                };
                let wide = matches!(format, Format::Wide);
                let mut table = rows(k, &group, wide, k.flags.bool("show-kind"), header);
                if with_events {
                    for (at, row) in table.iter_mut().enumerate() {
                        let head = header && at == 0;
                        row.insert(0, if head { "EVENT" } else { kind.word() }.to_owned());
                    }
                }
                k.out(table::more_rows(&table, &mut self.widths));
            }
            Format::Columns(columns) => {
                let objects: Vec<Value> = infos.iter().map(|i| i.object.clone()).collect();
                let table = columns_of(columns, &objects, header);
                k.out(table::custom_columns(&table, &mut self.widths));
            }
            Format::Name => {
                let names: String = infos.iter().map(|i| i.shown() + "\n").collect();
                k.out(names);
            }
            _ => {
                for info in infos {
                    if self.objects > 0 && matches!(format, Format::Yaml) {
                        k.out("---\n");
                    }
                    self.objects += 1;
                    if with_events {
                        let shown = k.shown(&info.object);
                        let event = object([("type", kind.word().into()), ("object", shown)]);
                        k.print_object(format, &event)?;
                    } else {
                        k.print_object(format, &info.object)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn from_args(k: &mut Kubectl, args: Vec<String>) -> Result<Selection> {
    let query = query_of(k, args);
    k.select(&query)
}

fn query_of(k: &Kubectl, args: Vec<String>) -> Query {
    Query {
        all: args.len() == 1 && !args[0].contains('/'),
        args,
        selector: k
            .flags
            .changed("selector")
            .then(|| k.flags.str("selector").to_owned()),
        field_selector: k
            .flags
            .changed("field-selector")
            .then(|| k.flags.str("field-selector").to_owned()),
        all_namespaces: k.flags.bool("all-namespaces"),
        verb: None,
    }
}

fn from_files(k: &mut Kubectl) -> Result<Selection> {
    let manifests = k.manifests()?;
    let mut selection = Selection {
        errors: manifests.errors,
        single: manifests.infos.len() == 1,
        ..Selection::default()
    };
    for mut info in manifests.infos {
        match k.read(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
        ) {
            Ok(object) => {
                info.object = object;
                match selection.groups.last_mut() {
                    Some(group) if group.resource.id() == info.resource.id() => {
                        group.infos.push(info)
                    }
                    _ => selection.groups.push(Group {
                        resource: info.resource.clone(),
                        infos: vec![info],
                        list: false,
                    }),
                }
            }
            Err(error) => selection.errors.push(error),
        }
    }
    Ok(selection)
}

fn print_tables(k: &mut Kubectl, selection: &Selection, wide: bool, no_errors: bool) {
    let several = selection.groups.len() > 1 || k.flags.bool("show-kind");
    let mut written = false;
    for group in selection.groups.iter().filter(|g| !g.infos.is_empty()) {
        let rows = rows(k, group, wide, several, !k.flags.bool("no-headers"));
        if written && !k.flags.bool("no-headers") {
            k.out("\n");
        }
        k.out(table::rows(&rows));
        written = true;
    }
    if written || !no_errors || k.flags.bool("ignore-not-found") {
        return;
    }
    let namespaced = selection.groups.iter().all(|g| g.resource.namespaced);
    if namespaced && !k.flags.bool("all-namespaces") {
        let namespace = k.namespace();
        k.err(format!("No resources found in {namespace} namespace.\n"));
    } else {
        k.err("No resources found\n");
    }
}

fn rows(
    k: &Kubectl,
    group: &Group,
    wide: bool,
    with_kind: bool,
    with_header: bool,
) -> Vec<Vec<String>> {
    let table = Table::of(k.cluster(), &group.resource);
    let context = Context { now: k.now(), wide };
    let with_namespace = k.flags.bool("all-namespaces") && group.resource.namespaced;
    let label_columns = k.flags.list("label-columns");
    let show_labels = k.flags.bool("show-labels");
    let mut rows = Vec::new();
    if with_header {
        let mut header: Vec<String> = Vec::new();
        if with_namespace {
            header.push("NAMESPACE".to_owned());
        }
        header.extend(
            table
                .columns
                .iter()
                .filter(|c| wide || !c.is_wide())
                .map(|c| c.name.to_uppercase()),
        );
        header.extend(
            label_columns
                .iter()
                .map(|l| l.rsplit('/').next().unwrap_or(l).to_uppercase()),
        );
        if show_labels {
            header.push("LABELS".to_owned());
        }
        rows.push(header);
    }
    for info in &group.infos {
        let mut row: Vec<String> = Vec::new();
        if with_namespace {
            row.push(info.namespace.to_string());
        }
        let mut cells = table.row(&info.object, &context);
        if with_kind && let Some(name) = cells.first_mut() {
            *name = format!("{}/{name}", kind_name(&group.resource));
        }
        row.extend(
            cells
                .into_iter()
                .zip(&table.columns)
                .filter(|(_, c)| wide || !c.is_wide())
                .map(|(cell, _)| cell),
        );
        row.extend(
            label_columns
                .iter()
                .map(|l| info.object.label(l).unwrap_or("").to_owned()),
        );
        if show_labels {
            row.push(printers::labels(info.object.labels()));
        }
        rows.push(row);
    }
    rows
}

fn print_objects(
    k: &mut Kubectl,
    format: &Format,
    selection: &Selection,
    errors: &[Error],
) -> Result {
    let objects: Vec<Value> = selection
        .groups
        .iter()
        .flat_map(|g| &g.infos)
        .map(|i| i.object.clone())
        .collect();
    if let Format::Columns(columns) = format {
        if !objects.is_empty() || selection.groups.iter().any(|g| g.list) {
            k.print_columns(columns, &objects);
        }
        return Ok(());
    }
    let single = selection.single && selection.groups.iter().all(|g| !g.list);
    if single {
        return match objects.first() {
            Some(object) => k.print_object(format, object),
            None => Ok(()),
        };
    }
    if objects.is_empty() && !errors.is_empty() {
        return Ok(());
    }
    let list = object([
        ("apiVersion", "v1".into()),
        ("items", array(objects)),
        ("kind", "List".into()),
        ("metadata", object([("resourceVersion", "".into())])),
    ]);
    k.print_object(format, &list)
}

/// Sorts by a field, objects without it first (`kubectl/pkg/cmd/get/sorter.go`).
pub(crate) fn sort_by(field: &str, infos: &mut [Info]) -> Result {
    if infos.is_empty() {
        return Ok(());
    }
    let path = jsonpath::relaxed(field).map_err(Error::Plain)?;
    let value = |info: &Info| {
        path.find(&info.object)
            .unwrap_or_default()
            .into_iter()
            .next()
    };
    let mut keyed: Vec<(Option<Value>, Info)> =
        infos.iter().map(|i| (value(i), i.clone())).collect();
    if keyed.iter().all(|(v, _)| v.is_none()) {
        let shown = field
            .trim_start_matches('{')
            .trim_end_matches('}')
            .trim_start_matches('.');
        return plain(format!(
            "couldn't find any field with path {} in the list of objects",
            go::quote(&format!("{{.{shown}}}"))
        ));
    }
    keyed.sort_by(|(a, _), (b, _)| order(a.as_ref(), b.as_ref()));
    for (place, (_, info)) in infos.iter_mut().zip(keyed) {
        *place = info;
    }
    Ok(())
}

fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Value::String(a)), Some(Value::String(b))) => {
            match (a.parse::<Quantity>(), b.parse::<Quantity>()) {
                (Ok(a), Ok(b)) => a
                    .as_f64()
                    .partial_cmp(&b.as_f64())
                    .unwrap_or(Ordering::Equal),
                _ => natural(a, b),
            }
        }
        (Some(a), Some(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => go::json(a).cmp(&go::json(b)),
        },
    }
}

/// Text with numbers in it, compared as people do: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (m, n) = (digits(a), digits(b));
        if m > 0 && n > 0 {
            let (x, y) = (
                a[..m].trim_start_matches('0'),
                b[..n].trim_start_matches('0'),
            );
            let by_value = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if by_value != Ordering::Equal {
                return by_value;
            }
            if m != n {
                return m.cmp(&n);
            }
            (a, b) = (&a[m..], &b[n..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        for (a, b) in [
            ("a2", "a10"),
            ("a", "b"),
            ("a", "a1"),
            ("1", "a"),
            ("x9y", "x10a"),
        ] {
            assert_eq!(natural(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(natural(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(natural("a1", "a1"), Ordering::Equal);
    }
}
