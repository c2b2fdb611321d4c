//! Which objects a command line means (`cli-runtime/pkg/resource`, v1.37).

use std::borrow::Cow;
use std::sync::Arc;

use kubarium_cluster::api::fields_match;
use kubarium_objects::{FieldSelector, ObjectKey, Resource, Selector, Status, Text, Value, go};

use super::Kubectl;
use super::error::{Error, Result, plain};

/// An object that a command line means.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub resource: Arc<Resource>,
    /// Empty for cluster-scoped objects.
    pub namespace: Text,
    pub name: Text,
    /// As it is stored, or as a file has it.
    pub object: Value,
    /// The file that it came from: `STDIN`; empty for none.
    pub source: String,
}

impl Info {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(
            self.resource.id(),
            self.namespace.clone(),
            self.name.clone(),
        )
    }

    /// `deployment.apps/web`
    pub fn shown(&self) -> String {
        format!("{}/{}", kind_name(&self.resource), self.name)
    }

    /// `deployments/web`, as waiting speaks of it.
    pub fn plural(&self) -> String {
        format!("{}/{}", self.resource.plural, self.name)
    }
}

/// `deployment.apps`
pub(crate) fn kind_name(resource: &Resource) -> String {
    let kind = resource.kind.to_lowercase();
    if resource.group.is_empty() {
        kind
    } else {
        format!("{kind}.{}", resource.group)
    }
}

/// What is asked for by arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub args: Vec<String>,
    pub selector: Option<String>,
    pub field_selector: Option<String>,
    /// `--all`, or a type without a name where the command takes that.
    pub all: bool,
    pub all_namespaces: bool,
    /// The verb of the request that follows for objects asked for by name, where kubectl does not
    /// get them first.
    pub verb: Option<&'static str>,
}

/// One kind's part of what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub resource: Arc<Resource>,
    pub infos: Vec<Info>,
    /// Asked for as a list, not by name.
    pub list: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub groups: Vec<Group>,
    pub errors: Vec<Error>,
    /// One object was asked for by its name.
    pub single: bool,
}

impl Selection {
    pub fn infos(self) -> impl Iterator<Item = Info> {
        self.groups.into_iter().flat_map(|g| g.infos)
    }

    /// All infos, or the errors where there are any.
    pub fn all(self) -> Result<Vec<Info>> {
        Error::aggregate(self.errors.clone())?;
        Ok(self.infos().collect())
    }
}

/// The error for a command that names nothing.
pub(crate) const NOTHING_NAMED: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

pub(crate) const COMBINED: &str = "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'";

/// Arguments split into types and names.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// `TYPE/NAME`
    pub tuples: Vec<(String, String)>,
    pub types: Vec<String>,
    pub names: Vec<String>,
}

/// Splits arguments as `Builder.ResourceTypeOrNameArgs` does.
pub(crate) fn targets(args: &[String]) -> Result<Targets> {
    let args = &*each_of_each(args);
    let mut targets = Targets::default();
    let slashes = args.iter().filter(|a| a.contains('/')).count();
    if slashes > 0 {
        if slashes != args.len() {
            return plain(COMBINED);
        }
        for arg in args {
            let parts: Vec<&str> = arg.split('/').collect();
            let [kind, name] = parts[..] else {
                return plain("arguments in resource/name form may not have more than one slash");
            };
            if kind.is_empty() || name.is_empty() || kind.contains(',') {
                return plain(
                    "arguments in resource/name form must have a single resource and name",
                );
            }
            targets.tuples.push((kind.to_owned(), name.to_owned()));
        }
        return Ok(targets);
    }
    if let Some((types, names)) = args.split_first() {
        targets.types = types.split(',').map(str::to_owned).collect();
        targets.names = names.to_vec();
    }
    Ok(targets)
}

/// `a,b c` means `a/c b/c` (`normalizeMultipleResourcesArgs`).
fn each_of_each(args: &[String]) -> Cow<'_, [String]> {
    match args {
        [types, names @ ..] if types.contains(',') && !names.is_empty() => {
            let pairs = |word| names.iter().map(move |name| format!("{word}/{name}"));
            types.split(',').flat_map(pairs).collect()
        }
        args => args.into(),
    }
}

/// What kubectl says of custom resources where it needs the kind's own type
/// (`runtime.NewNotRegisteredErrForKind`).
pub(crate) fn not_registered(resource: &Resource) -> Error {
    Error::Plain(format!(
        "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
        go::quote(&resource.kind),
        go::quote(&resource.api_version())
    ))
}

impl Kubectl<'_> {
    /// Whether a kind is defined by a person.
    pub fn is_custom(&self, resource: &Resource) -> bool {
        self.cluster().definitions().version(resource).is_some()
    }

    /// The kind that a word names (`mappingFor`).
    pub fn mapping(&self, word: &str) -> Result<Arc<Resource>> {
        self.check_configuration()?;
        let (head, group) = word.split_once('.').unwrap_or((word, ""));
        let found = self.cluster().resource_by_name(word);
        // A single part behind the name is a group, never a version.
        let found =
            found.filter(|r| group.is_empty() || group.contains('.') || r.group.starts_with(group));
        match found {
            Some(resource) => Ok(resource),
            None if group.is_empty() => plain(format!(
                "the server doesn't have a resource type {}",
                go::quote(word)
            )),
            None => plain(format!(
                "the server doesn't have a resource type {} in group {}",
                go::quote(head),
                go::quote(group)
            )),
        }
    }

    /// Says what else a short name could mean (`client-go/restmapper/shortcut.go`).
    fn warn_of_others(&mut self, word: &str) {
        let Ok(chosen) = self.mapping(word) else {
            return;
        };
        let is_short = |r: &Resource| r.short_names.iter().any(|s| **s == *word);
        if !is_short(&chosen) {
            return;
        }
        let mut others: Vec<_> = self.cluster().resources();
        others.retain(|r| is_short(r) && r.id() != chosen.id());
        for other in others {
            let text = format!(
                "short name {} could also match lower priority resource {}",
                go::quote(word),
                other.id()
            );
            self.warn(&text);
        }
    }

    fn mappings(&self, types: &[String]) -> Result<Vec<Arc<Resource>>> {
        let mut found: Vec<Arc<Resource>> = Vec::new();
        for word in types {
            let category: Vec<_> = self.category(word);
            if category.is_empty() {
                found.push(self.mapping(word)?);
            } else {
                found.extend(category);
            }
        }
        let mut seen = Vec::new();
        found.retain(|r| {
            !seen.contains(&r.id()) && {
                seen.push(r.id());
                true
            }
        });
        Ok(found)
    }

    /// The kinds of a category such as `all`, in discovery's order.
    fn category(&self, word: &str) -> Vec<Arc<Resource>> {
        let mut seen = Vec::new();
        let mut of_category: Vec<_> = self.cluster().resources();
        of_category.retain(|r| {
            let new = r.categories.iter().any(|c| **c == *word) && !seen.contains(&r.id());
            if new {
                seen.push(r.id());
            }
            new
        });
        of_category
    }

    /// Looks up what the arguments mean.
    ///
    /// # Errors
    /// kubectl's own for arguments that make no sense; what the API server says about single
    /// objects is in the selection.
    pub fn select(&mut self, query: &Query) -> Result<Selection> {
        let targets = targets(&query.args)?;
        let tuples = targets.tuples.iter().map(|(word, _)| word);
        for word in targets.types.iter().chain(tuples) {
            self.warn_of_others(word);
        }
        let by_selector = query.selector.is_some() || query.field_selector.is_some() || query.all;
        if by_selector {
            if !targets.names.is_empty() {
                return plain("name cannot be provided when a selector is specified");
            }
            if !targets.tuples.is_empty() {
                return plain(
                    "selectors and the all flag cannot be used when passing resource/name arguments",
                );
            }
            if targets.types.is_empty() {
                return plain("at least one resource must be specified to use a selector");
            }
            return self.select_lists(&targets.types, query);
        }
        if !targets.tuples.is_empty() {
            return self.select_named(&targets.tuples, query);
        }
        if let ([word], [_, ..]) = (&*targets.types, &*targets.names) {
            let pairs: Vec<_> = targets
                .names
                .iter()
                .map(|n| (word.clone(), n.clone()))
                .collect();
            if !self.category(word).is_empty() {
                return plain("you must specify only one resource");
            }
            return self.select_named(&pairs, query);
        }
        if !targets.types.is_empty() {
            self.mappings(&targets.types)?;
            return plain("resource(s) were provided, but no name was specified");
        }
        plain(NOTHING_NAMED)
    }

    fn select_named(&mut self, pairs: &[(String, String)], query: &Query) -> Result<Selection> {
        let mut selection = Selection {
            single: pairs.len() == 1,
            ..Selection::default()
        };
        let mut mapped = Vec::new();
        for (word, name) in pairs {
            mapped.push((self.mapping(word)?, name));
        }
        for (resource, name) in mapped {
            if resource.namespaced && query.all_namespaces {
                return plain("a resource cannot be retrieved by name across all namespaces");
            }
            let namespace = if resource.namespaced {
                self.namespace()
            } else {
                "".into()
            };
            let verb = query.verb.unwrap_or("get");
            match self.read_to(verb, &resource, &namespace, name) {
                Ok(object) => {
                    let info = Info {
                        resource: resource.clone(),
                        namespace,
                        name: name.as_str().into(),
                        object,
                        source: String::new(),
                    };
                    match selection.groups.last_mut() {
                        Some(group) if group.resource.id() == resource.id() => {
                            group.infos.push(info)
                        }
                        _ => selection.groups.push(Group {
                            resource,
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

    fn select_lists(&mut self, types: &[String], query: &Query) -> Result<Selection> {
        let mut selection = Selection::default();
        for resource in self.mappings(types)? {
            match self.list(&resource, query) {
                Ok(infos) => selection.groups.push(Group {
                    resource,
                    infos,
                    list: true,
                }),
                Err(error) => selection.errors.push(error),
            }
        }
        Ok(selection)
    }

    /// GET of one object.
    pub fn read(&mut self, resource: &Arc<Resource>, namespace: &str, name: &str) -> Result<Value> {
        self.read_to("get", resource, namespace, name)
    }

    fn read_to(
        &mut self,
        verb: &str,
        resource: &Arc<Resource>,
        namespace: &str,
        name: &str,
    ) -> Result<Value> {
        self.warn_deprecated(resource);
        self.authorize(verb, resource, "", namespace, name)?;
        if let Some(objects) = self.computed(resource) {
            let found = objects
                .into_iter()
                .find(|o| o["metadata"]["name"].str() == name);
            return found.ok_or_else(|| Status::not_found(&resource.id(), name).into());
        }
        let key = ObjectKey::new(resource.id(), namespace, name);
        let object = self.cluster().get(&key)?.clone();
        Ok(self.as_version(resource, object))
    }

    /// LIST of one kind.
    pub fn list(&mut self, resource: &Arc<Resource>, query: &Query) -> Result<Vec<Info>> {
        self.warn_deprecated(resource);
        if !resource.has_verb("list") {
            return Err(Status::method_not_allowed(&resource.id(), "list").into());
        }
        let namespace = (resource.namespaced && !query.all_namespaces).then(|| self.namespace());
        self.authorize("list", resource, "", namespace.as_deref().unwrap_or(""), "")?;
        let (selector, field_selector) = self.filters(resource, query)?;
        let objects: Vec<Value> = match self.computed(resource) {
            Some(objects) => objects,
            None => self
                .cluster()
                .etcd
                .list(&resource.id(), namespace.as_deref())
                .map(|(_, o)| o.clone())
                .collect(),
        };
        let wanted = objects
            .into_iter()
            .filter(|o| fits(&selector, &field_selector, o));
        let infos = wanted.map(|object| Info {
            resource: resource.clone(),
            namespace: if resource.namespaced {
                object["metadata"]["namespace"].text()
            } else {
                "".into()
            },
            name: object["metadata"]["name"].text(),
            object: self.as_version(resource, object),
            source: String::new(),
        });
        Ok(infos.collect())
    }

    /// The label and field selectors of a request.
    pub fn filters(&self, resource: &Resource, query: &Query) -> Result<(Selector, FieldSelector)> {
        let labels = query.selector.as_deref().unwrap_or("");
        let fields = query.field_selector.as_deref().unwrap_or("");
        let refuse = |why: String| {
            let of = format!(
                "{}, Resource={}",
                if resource.group.is_empty() {
                    format!("/{}", resource.version)
                } else {
                    resource.api_version()
                },
                resource.plural
            );
            let text = format!(
                "Unable to find {} that match label selector {}, field selector {}: {why}",
                go::quote(&of),
                go::quote(labels),
                go::quote(fields)
            );
            Error::from(Status::bad_request(text))
        };
        let selector = Selector::parse(labels).map_err(|e| refuse(e.to_string()))?;
        let field_selector = FieldSelector::parse(fields).map_err(|e| refuse(e.to_string()))?;
        for (field, _, _) in &field_selector.terms {
            if let Some(why) = self.cluster().why_not_selectable(resource, field) {
                return Err(refuse(why));
            }
        }
        Ok((selector, field_selector))
    }
}

/// Whether selectors let an object through.
pub(crate) fn fits(selector: &Selector, fields: &FieldSelector, object: &Value) -> bool {
    fields_match(fields, object) && selector.matches(&object["metadata"]["labels"])
}
