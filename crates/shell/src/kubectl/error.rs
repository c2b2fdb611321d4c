//! What kubectl prints when something fails (`kubectl/pkg/cmd/util/helpers.go`, v1.37).

use kubarium_objects::go;
use kubarium_objects::status::Status;

/// A failure on its way to a person.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// The API server's answer.
    Status(Box<Status>),
    /// Printed behind `error: `.
    Plain(String),
    /// Printed as it is.
    Verbatim(String),
    /// Several, one a line.
    Many(Vec<Error>),
    /// A process' exit status, with what is printed.
    Exit(i32, String),
}

pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Status(Box::new(status))
    }
}

/// `error: …`
pub(crate) fn plain<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Plain(text.into()))
}

impl Error {
    /// Several errors as one; `Ok` where there is none.
    pub fn aggregate(errors: Vec<Error>) -> Result {
        let mut flat = Vec::new();
        for error in errors {
            match error {
                Error::Many(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Ok(()),
            1 => Err(flat.remove(0)),
            _ => Err(Error::Many(flat)),
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Status(s) if s.is("NotFound"))
    }

    /// The status with which kubectl exits.
    pub fn status(&self) -> i32 {
        match self {
            Error::Exit(status, _) => *status,
            _ => 1,
        }
    }

    /// Go's `err.Error()`.
    pub fn text(&self) -> String {
        match self {
            Error::Status(s) => s.message.to_string(),
            Error::Plain(text) | Error::Verbatim(text) | Error::Exit(_, text) => text.clone(),
            Error::Many(all) => {
                let mut texts: Vec<String> = Vec::new();
                for text in all.iter().map(Error::text) {
                    if !texts.contains(&text) {
                        texts.push(text);
                    }
                }
                match &texts[..] {
                    [one] => one.clone(),
                    many => format!("[{}]", many.join(", ")),
                }
            }
        }
    }

    /// `error when creating "STDIN": …`: says where the object came from (`cmdutil.AddSourceToErr`).
    pub fn when(self, verb: &str, source: &str) -> Error {
        if source.is_empty() {
            return self;
        }
        match self {
            Error::Status(mut status) => {
                status.message = format!(
                    "error when {verb} {}: {}",
                    go::quote(source),
                    status.message
                );
                Error::Status(status)
            }
            other => Error::Plain(format!(
                "error when {verb} {}: {}",
                go::quote(source),
                other.text()
            )),
        }
    }

    /// What kubectl writes to standard error, with its newline; empty for none.
    pub fn printed(&self) -> String {
        let text = match self {
            Error::Status(status) if status.is("Invalid") => invalid(status),
            Error::Status(status) => standard(status),
            Error::Plain(text) if text.starts_with("error: ") => text.clone(),
            Error::Plain(text) => format!("error: {text}"),
            Error::Verbatim(text) | Error::Exit(_, text) => text.clone(),
            Error::Many(all) => all.iter().map(|e| e.for_list() + "\n").collect(),
        };
        match text.as_str() {
            "" => text,
            ended if ended.ends_with('\n') => text,
            _ => text + "\n",
        }
    }

    fn for_list(&self) -> String {
        match self {
            Error::Status(status) => standard(status),
            other => other.text(),
        }
    }
}

/// `Error from server (NotFound): …`
fn standard(status: &Status) -> String {
    match &*status.reason {
        "Unauthorized" => format!(
            "error: You must be logged in to the server ({})",
            status.message
        ),
        "" => format!("Error from server: {}", status.message),
        reason => format!("Error from server ({reason}): {}", status.message),
    }
}

/// `The Pod "web" is invalid: …`
fn invalid(status: &Status) -> String {
    let details = &status.details;
    let head = if details.kind.is_empty() && details.name.is_empty() {
        "The request is invalid".to_owned()
    } else {
        format!(
            "The {} {} is invalid",
            details.kind,
            go::quote(&details.name)
        )
    };
    let mut causes: Vec<String> = Vec::new();
    for cause in &details.causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    match &causes[..] {
        [] if details.kind.is_empty() => format!("{head}: {}", status.message),
        [] => head,
        [one] => format!("{head}: {one}"),
        many => {
            let lines: String = many.iter().map(|cause| format!("* {cause}\n")).collect();
            format!("{head}: \n{lines}")
        }
    }
}
