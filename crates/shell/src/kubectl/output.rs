//! `-o`: how objects are printed (`cli-runtime/pkg/genericclioptions` and `pkg/printers`, v1.37).

use kubarium_objects::{Value, go, yaml};

use super::error::{Error, Result, plain};
use super::jsonpath;
use super::resource::{Info, kind_name};
use super::{Kubectl, gotemplate, table};

/// An output format.
#[derive(Debug)]
pub(crate) enum Format {
    /// None was asked for.
    Default,
    Wide,
    Json,
    Yaml,
    Kyaml,
    Name,
    JsonPath {
        template: jsonpath::Template,
        source: String,
        as_json: bool,
    },
    GoTemplate {
        template: gotemplate::Template,
        source: String,
    },
    Columns(Vec<Column>),
}

/// A column of `-o custom-columns`.
#[derive(Debug)]
pub(crate) struct Column {
    header: String,
    path: jsonpath::Template,
}

const ALLOWED: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,yaml";
const ALLOWED_BY_GET: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml";

impl Kubectl<'_> {
    /// Reads `-o` and `--template`.
    pub fn format(&mut self) -> Result<Format> {
        let output = self.flags.str("output").to_owned();
        let given = self.flags.str("template").to_owned();
        let output = if output.is_empty() && !given.is_empty() {
            "go-template".to_owned()
        } else {
            output
        };
        let (name, value) = output
            .split_once('=')
            .map_or((output.as_str(), None), |(n, v)| (n, Some(v)));
        let get = self.command.name == "get";
        let format = match name {
            "" => Format::Default,
            "wide" if get => Format::Wide,
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            "name" => Format::Name,
            "jsonpath" | "jsonpath-as-json" | "jsonpath-file" => {
                let source = self.template_text(value, &given, name == "jsonpath-file")?;
                let template = jsonpath::parse(&source)
                    .map_err(|e| Error::Plain(format!("error parsing jsonpath {source}, {e}")))?;
                Format::JsonPath {
                    template,
                    source,
                    as_json: name == "jsonpath-as-json",
                }
            }
            "go-template" | "go-template-file" | "template" | "templatefile" => {
                let source = self.template_text(value, &given, name.ends_with("file"))?;
                let template = gotemplate::parse(&source)
                    .map_err(|e| Error::Plain(format!("error parsing template {source}, {e}")))?;
                Format::GoTemplate { template, source }
            }
            "custom-columns" | "custom-columns-file" if get => {
                Format::Columns(self.columns(name, value.unwrap_or(""))?)
            }
            "kyaml" => Format::Kyaml,
            _ => {
                let allowed = if get { ALLOWED_BY_GET } else { ALLOWED };
                return plain(format!(
                    "unable to match a printer suitable for the output format {}, allowed formats are: {allowed}",
                    go::quote(&output)
                ));
            }
        };
        Ok(format)
    }

    fn template_text(&mut self, value: Option<&str>, given: &str, file: bool) -> Result<String> {
        let text = match value {
            Some(value) if !value.is_empty() => value,
            _ if !given.is_empty() => given,
            _ => return plain("template format specified but no template given"),
        };
        if !file {
            return Ok(text.to_owned());
        }
        let path = self.session.absolute(&self.cwd, text);
        match self.session.read_file(&path) {
            Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            None => plain(format!(
                "error reading --template {text}, open {text}: no such file or directory"
            )),
        }
    }

    fn columns(&mut self, name: &str, spec: &str) -> Result<Vec<Column>> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if name == "custom-columns-file" {
            let path = self.session.absolute(&self.cwd, spec);
            let Some(bytes) = self.session.read_file(&path) else {
                return plain(format!(
                    "error reading template {spec}, open {spec}: no such file or directory"
                ));
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let words = |line: Option<&str>| -> Vec<String> {
                line.unwrap_or("")
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect()
            };
            let mut lines = text.lines();
            let (headers, paths) = (words(lines.next()), words(lines.next()));
            if headers.len() != paths.len() {
                return plain(format!(
                    "number of headers ({}) and field specifications ({}) don't match",
                    headers.len(),
                    paths.len()
                ));
            }
            pairs.extend(headers.into_iter().zip(paths));
        } else {
            if spec.is_empty() {
                return plain("custom-columns format specified but no custom columns given");
            }
            for part in spec.split(',') {
                let Some((header, path)) = part.split_once(':') else {
                    return plain(format!(
                        "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                    ));
                };
                pairs.push((header.to_owned(), path.to_owned()));
            }
        }
        let column = |(header, path): (String, String)| match jsonpath::relaxed(&path) {
            Ok(path) => Ok(Column { header, path }),
            Err(e) => plain(e),
        };
        pairs.into_iter().map(column).collect()
    }

    /// Prints an object (or a List) in a format that shows it whole.
    pub fn print_object(&mut self, format: &Format, object: &Value) -> Result {
        let object = self.shown(object);
        let text = match format {
            Format::Json => go::json_indent(&object, "    ") + "\n",
            Format::Yaml => yaml::to_yaml(&object),
            Format::Kyaml => super::kyaml::print(&object),
            Format::JsonPath {
                template,
                source,
                as_json,
            } => return self.print_jsonpath(template, source, *as_json, &object),
            Format::GoTemplate { template, source } => match template.print(&object) {
                Ok(text) => text,
                Err(why) => {
                    let shown = go::quote(source);
                    self.out(format!(
                        "Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{source}\n\traw data was:\n\t\t{}\n\tobject given to template engine was:\n\t\t{}\n\n",
                        go::json(&object),
                        go::print(&object)
                    ));
                    return plain(format!("error executing template {shown}: {why}"));
                }
            },
            Format::Columns(columns) => {
                self.print_columns(columns, std::slice::from_ref(&object));
                return Ok(());
            }
            Format::Default | Format::Wide | Format::Name => return Ok(()),
        };
        self.out(text);
        Ok(())
    }

    /// The object as it is shown: with who manages its fields where that is asked for, as the API
    /// server keeps it beside the object.
    pub fn shown(&self, object: &Value) -> Value {
        const NAME: &str = "managedFields";
        let asked = |flag: &str| self.flags.str(flag).contains(NAME);
        if !self.flags.bool("show-managed-fields") && !asked("output") && !asked("template") {
            return object.clone();
        }
        let mut object = object.clone();
        if object["kind"].str() == "List" {
            for at in 0..object["items"].items().len() {
                object["items"][at] = self.shown(&object["items"][at]);
            }
        } else if let Some(key) = self.cluster().key_of(&object) {
            let managed = self.cluster().managed_fields(&key).to_value();
            if !managed.is_empty() {
                object["metadata"][NAME] = managed;
            }
        }
        object
    }

    fn print_jsonpath(
        &mut self,
        template: &jsonpath::Template,
        source: &str,
        as_json: bool,
        object: &Value,
    ) -> Result {
        if as_json {
            let found = template.find(object).map_err(Error::Plain)?;
            let text = go::json_indent(&kubarium_objects::array(found), "    ") + "\n";
            self.out(text);
            return Ok(());
        }
        let lenient = self.flags.bool("allow-missing-template-keys")
            || !self.flags.changed("allow-missing-template-keys");
        match template.print(object, lenient) {
            Ok(text) => {
                self.out(text);
                Ok(())
            }
            Err(why) => plain(format!(
                "error executing jsonpath {}: Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{source}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n",
                go::quote(source),
                go::syntax(object, "string")
            )),
        }
    }

    /// Prints objects as columns.
    pub fn print_columns(&mut self, columns: &[Column], objects: &[Value]) {
        let objects: Vec<Value> = objects.iter().map(|o| self.shown(o)).collect();
        let rows = columns_of(columns, &objects, !self.flags.bool("no-headers"));
        self.out(table::custom_columns(&rows, &mut Vec::new()));
    }

    /// Prints what became of an object: `deployment.apps/web created`, or the object in the format
    /// that `-o` asks for.
    pub fn report(&mut self, format: &Format, info: &Info, operation: &str) -> Result {
        let suffix = self.dry_run()?.suffix();
        self.report_as(format, info, &format!("{operation}{suffix}"))
    }

    /// The same without a word of a dry run: some commands forget it.
    pub fn report_as(&mut self, format: &Format, info: &Info, operation: &str) -> Result {
        match format {
            Format::Default => {
                self.out(format!("{} {operation}\n", named(info)));
                Ok(())
            }
            Format::Name => {
                self.out(named(info) + "\n");
                Ok(())
            }
            Format::Yaml => {
                if self.printed_yaml() {
                    self.out("---\n");
                }
                self.print_object(format, &info.object)
            }
            format => self.print_object(format, &info.object),
        }
    }

    fn printed_yaml(&self) -> bool {
        self.output
            .iter()
            .any(|(s, _)| *s == crate::session::Stream::Out)
    }
}

/// `deployment.apps/web`, by what the object says of itself.
fn named(info: &Info) -> String {
    let name = match info.object["metadata"]["name"].str() {
        "" => &*info.name,
        name => name,
    };
    format!("{}/{name}", kind_name(&info.resource))
}

/// Objects as columns, with the headers where they are wanted.
pub(crate) fn columns_of(columns: &[Column], objects: &[Value], header: bool) -> Vec<Vec<String>> {
    let head = header.then(|| columns.iter().map(|c| c.header.clone()).collect());
    let cell = |column: &Column, object: &Value| {
        let found = column.path.find(object).unwrap_or_default();
        let values: Vec<String> = found
            .iter()
            .map(|v| {
                if v.is_null() {
                    "<none>".to_owned()
                } else {
                    go::print(v)
                }
            })
            .collect();
        if values.is_empty() {
            "<none>".to_owned()
        } else {
            values.join(",")
        }
    };
    let body = objects
        .iter()
        .map(|object| columns.iter().map(|column| cell(column, object)).collect());
    head.into_iter().chain(body).collect()
}
